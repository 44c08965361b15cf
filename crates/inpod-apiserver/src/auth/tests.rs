use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use serde_json::json;

use super::testing::{FakeStore, Stepped};
use super::*;
use crate::Source;
use crate::pki::Pki;
use crate::storage::Lookup;

const RBAC: &str = "rbac.authorization.k8s.io";

struct Cluster {
    store: Arc<FakeStore>,
    clock: Arc<Stepped>,
    tokens: Tokens,
    rbac: Rbac,
}

fn cluster() -> Cluster {
    let store = Arc::new(FakeStore::default());
    let clock = Stepped::new();
    let account = json!({"metadata": {"name": "app", "namespace": "default", "uid": "sa-1"}});
    store.put("", "serviceaccounts", &account);
    let policy = TokenPolicy {
        minimum: Duration::from_secs(600),
        leeway: Duration::from_secs(60),
    };
    let lookup: Arc<dyn Lookup> = store.clone();
    Cluster {
        tokens: Tokens::new(
            "https://issuer",
            None,
            policy,
            clock.clone(),
            lookup.clone(),
        ),
        rbac: Rbac::new(lookup),
        store,
        clock,
    }
}

impl Cluster {
    fn token(&self) -> String {
        self.tokens.mint(&TokenSpec {
            namespace: "default".into(),
            service_account: ("app".into(), "sa-1".into()),
            audiences: vec!["https://issuer".into()],
            pod: None,
            node: None,
            secret: None,
            issued_at: self.clock.now(),
            expiration: Duration::from_secs(600),
            extended: false,
        })
    }

    fn authenticate(&self, parts: &Parts) -> Result<UserInfo, Status> {
        let mut info = RequestInfo::default();
        info.is_resource_request = true;
        info.verb = "list".into();
        info.resource = "pods".into();
        info.namespace = "default".into();
        authenticate(parts, &info, &self.tokens, &self.rbac)
    }

    /// Gives `rules` to the user bob.
    fn allow_bob(&self, rules: &serde_json::Value) {
        let role = json!({"metadata": {"name": "r"}, "rules": rules});
        self.store.put(RBAC, "clusterroles", &role);
        let binding = json!({
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "name": "bob"}],
        });
        self.store.put(RBAC, "clusterrolebindings", &binding);
    }

    /// Who bob becomes by `headers`.
    fn bob(&self, headers: &[(&'static str, &'static str)]) -> Result<UserInfo, Status> {
        let mut parts = request(headers);
        parts.extensions.insert(InProcess(UserInfo::new("bob", [])));
        self.authenticate(&parts)
    }
}

fn request(headers: &[(&'static str, &'static str)]) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    for (name, value) in headers {
        parts.headers.append(*name, HeaderValue::from_static(value));
    }
    parts
}

fn bearer(token: &str) -> Parts {
    let mut parts = request(&[]);
    let value = HeaderValue::try_from(format!("bearer {token}")).expect("ASCII");
    parts.headers.insert(AUTHORIZATION, value);
    parts
}

#[test]
fn without_credentials_a_request_is_anonymous() {
    let cluster = cluster();
    let user = cluster.authenticate(&request(&[])).expect("anonymous");
    assert_eq!(user, UserInfo::anonymous());
    let basic = request(&[("authorization", "Basic YTpi")]);
    assert_eq!(cluster.authenticate(&basic), Ok(UserInfo::anonymous()));
}

#[test]
fn a_wrong_token_is_not_anonymous() {
    let cluster = cluster();
    let token = cluster.token();
    let user = cluster.authenticate(&bearer(&token)).expect("known");
    assert_eq!(user.username, "system:serviceaccount:default:app");
    let error = cluster.authenticate(&bearer("wrong")).expect_err("refused");
    assert_eq!(error, Status::unauthorized());
    cluster.clock.step(Duration::from_secs(661));
    assert_eq!(
        cluster.authenticate(&bearer(&token)),
        Err(Status::unauthorized())
    );
}

#[test]
fn a_caller_in_the_process_is_who_it_says() {
    let cluster = cluster();
    let mut parts = bearer("wrong");
    let controller = UserInfo::new("system:controller", ["system:masters"]);
    parts.extensions.insert(InProcess(controller));
    let user = cluster.authenticate(&parts).expect("known");
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
}

#[test]
fn the_administrators_certificate_is_an_identity() {
    let cluster = cluster();
    let pki = pki(&cluster);
    let mut parts = bearer("wrong");
    parts.extensions.insert(peer(&cluster, &pki, &pki));
    let user = cluster
        .authenticate(&parts)
        .expect("the certificate is good");
    assert_eq!(user.username, "kubernetes-admin");
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
    let credential = &user.extra["authentication.kubernetes.io/credential-id"][0];
    assert_eq!(credential.len(), "X509SHA256=".len() + 64);
}

#[test]
fn a_certificate_of_another_cluster_is_401_unless_the_token_is_good() {
    let cluster = cluster();
    let wrong = peer(&cluster, &pki(&cluster), &pki(&cluster));
    let mut parts = request(&[]);
    parts.extensions.insert(wrong.clone());
    assert_eq!(cluster.authenticate(&parts), Err(Status::unauthorized()));
    let mut parts = bearer(&cluster.token());
    parts.extensions.insert(wrong);
    assert!(cluster.authenticate(&parts).is_ok());
}

#[test]
fn a_certificate_expires_on_a_connection_that_stays_open() {
    let cluster = cluster();
    let pki = pki(&cluster);
    let mut parts = request(&[]);
    parts.extensions.insert(peer(&cluster, &pki, &pki));
    cluster.clock.step(Duration::from_secs(365 * 24 * 3600 + 1));
    assert_eq!(cluster.authenticate(&parts), Err(Status::unauthorized()));
}

fn pki(cluster: &Cluster) -> Pki {
    Pki::new(&*cluster.clock, &[IpAddr::V4(Ipv4Addr::LOCALHOST)], None).expect("a PKI")
}

/// What `server` makes of the administrator's certificate of `client`.
fn peer(cluster: &Cluster, server: &Pki, client: &Pki) -> PeerCertificates {
    let pem = x509_parser::pem::parse_x509_pem(client.admin.certificate.as_bytes());
    let certificate = pem.expect("PEM").1.contents.into();
    let peer = server.peer(&[certificate], cluster.clock.now());
    peer.expect("a certificate was sent")
}

#[test]
fn impersonation_needs_a_permission() {
    let cluster = cluster();
    let error = cluster
        .bob(&[("impersonate-user", "alice")])
        .expect_err("refused");
    assert_eq!(error.code, StatusCode::FORBIDDEN);
    assert_eq!(
        error.message,
        "pods is forbidden: User \"bob\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
}

#[test]
fn the_classic_permission_is_for_any_request() {
    let cluster = cluster();
    cluster.allow_bob(&json!([
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users", "groups"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["uids", "userextras/scopes"]},
    ]));
    let user = cluster
        .bob(&[
            ("impersonate-user", "alice"),
            ("impersonate-group", "dev"),
            ("impersonate-group", "ops"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-scopes", "a"),
            ("impersonate-extra-scopes", "b"),
        ])
        .expect("allowed");
    assert_eq!((user.username.as_str(), user.uid.as_str()), ("alice", "7"));
    assert_eq!(user.groups, ["dev", "ops", "system:authenticated"]);
    assert_eq!(user.extra["scopes"], ["a", "b"]);
    assert!(
        cluster
            .bob(&[
                ("impersonate-user", "alice"),
                ("impersonate-extra-other", "a")
            ])
            .is_err()
    );
}

#[test]
fn an_impersonated_service_account_is_in_its_groups() {
    let cluster = cluster();
    cluster.allow_bob(&json!([
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]},
    ]));
    let user = cluster
        .bob(&[("impersonate-user", "system:serviceaccount:default:app")])
        .expect("allowed");
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ]
    );
    assert!(cluster.bob(&[("impersonate-user", "alice")]).is_err());
}

#[test]
fn a_constrained_permission_is_for_its_request_only() {
    let cluster = cluster();
    let identity = json!({"verbs": ["impersonate:user-info"], "apiGroups": ["authentication.k8s.io"], "resources": ["users"]});
    let request = |verb: &str| {
        json!([
            identity,
            {"verbs": [format!("impersonate-on:user-info:{verb}")], "apiGroups": [""], "resources": ["pods"]},
        ])
    };
    cluster.allow_bob(&request("list"));
    assert!(cluster.bob(&[("impersonate-user", "alice")]).is_ok());
    assert!(
        cluster
            .bob(&[("impersonate-user", "system:node:n1")])
            .is_err()
    );
    cluster.allow_bob(&request("get"));
    assert!(cluster.bob(&[("impersonate-user", "alice")]).is_err());
}

#[test]
fn masters_cannot_be_reached_by_a_constrained_permission() {
    let cluster = cluster();
    cluster.allow_bob(&json!([
        {"verbs": ["impersonate:user-info", "impersonate-on:user-info:list"], "apiGroups": ["*"], "resources": ["*"]},
    ]));
    let headers = [
        ("impersonate-user", "alice"),
        ("impersonate-group", "system:masters"),
    ];
    let error = cluster.bob(&headers).expect_err("refused");
    assert!(
        error
            .message
            .ends_with("impersonating the system:masters group is not allowed"),
        "{}",
        error.message
    );
}

#[test]
fn the_anonymous_user_is_never_authenticated() {
    let cluster = cluster();
    cluster.allow_bob(&json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]));
    let user = cluster
        .bob(&[("impersonate-user", "system:anonymous")])
        .expect("allowed");
    assert_eq!(user, UserInfo::anonymous());
}

#[test]
fn groups_of_nobody_are_a_bad_request() {
    let cluster = cluster();
    let error = cluster
        .bob(&[("impersonate-group", "dev")])
        .expect_err("refused");
    assert_eq!(error.code, StatusCode::BAD_REQUEST);
    assert_eq!(
        error.message,
        "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"dev\"}, Extra:map[string][]string(nil)} without impersonating a user name"
    );
    assert!(cluster.bob(&[("impersonate-uid", "7")]).is_err());
    assert!(cluster.bob(&[("impersonate-extra-a", "7")]).is_err());
}

#[test]
fn extra_keys_may_be_percent_encoded() {
    let cluster = cluster();
    cluster.allow_bob(&json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]));
    let user = cluster
        .bob(&[
            ("impersonate-user", "alice"),
            ("impersonate-extra-example.com%2fscopes", "a"),
            ("impersonate-extra-almost%zz", "b"),
        ])
        .expect("allowed");
    let keys: Vec<&String> = user.extra.keys().collect();
    assert_eq!(keys, ["almost%zz", "example.com/scopes"]);
}

#[test]
fn no_credential_reaches_who_serves_the_request() {
    let mut parts = request(&[
        ("authorization", "Bearer a"),
        ("impersonate-user", "a"),
        ("impersonate-extra-x", "a"),
        ("x-remote-user", "a"),
        ("accept", "a"),
    ]);
    remove_credentials(&mut parts.headers);
    let left: Vec<&str> = parts.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["accept"]);
}
