use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::auth::testing::{FakeStore, START, Stepped};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

struct Cluster {
    store: Arc<FakeStore>,
    clock: Arc<Stepped>,
    tokens: Tokens,
}

/// A cluster with the account `default/app` (uid `sa-1`), and the Pod `web`, the Secret `s` and the Node `n` to bind to.
fn cluster(leeway: u64) -> Cluster {
    let store = Arc::new(FakeStore::default());
    let clock = Stepped::new();
    put(&store, "serviceaccounts", "default", "app", "sa-1");
    put(&store, "pods", "default", "web", "pod-1");
    put(&store, "secrets", "default", "s", "secret-1");
    put(&store, "nodes", "", "n", "node-1");
    let policy = TokenPolicy {
        minimum: Duration::from_secs(600),
        leeway: Duration::from_secs(leeway),
    };
    let tokens = Tokens::new(ISSUER, None, policy, clock.clone(), store.clone());
    Cluster {
        store,
        clock,
        tokens,
    }
}

fn put(store: &FakeStore, resource: &str, namespace: &str, name: &str, uid: &str) {
    let object = json!({"metadata": {"name": name, "namespace": namespace, "uid": uid}});
    store.put("", resource, &object);
}

fn pair(name: &str, uid: &str) -> (String, String) {
    (name.to_owned(), uid.to_owned())
}

impl Cluster {
    fn spec(&self) -> TokenSpec {
        TokenSpec {
            namespace: "default".into(),
            service_account: pair("app", "sa-1"),
            audiences: vec![ISSUER.into()],
            pod: None,
            node: None,
            secret: None,
            issued_at: self.clock.now(),
            expiration: Duration::from_secs(600),
            extended: false,
        }
    }

    fn in_pod(&self) -> TokenSpec {
        TokenSpec {
            pod: Some(pair("web", "pod-1")),
            node: Some(pair("n", "node-1")),
            ..self.spec()
        }
    }

    fn error(&self, token: &str) -> String {
        self.tokens
            .verify(token, &[])
            .expect_err("the token should be refused")
    }

    fn step(&self, seconds: u64) {
        self.clock.step(Duration::from_secs(seconds));
    }
}

/// The header and the claims, as text.
fn open(token: &str) -> (String, String) {
    let mut segments = token
        .split('.')
        .map(|s| String::from_utf8(URL_SAFE_NO_PAD.decode(s).unwrap_or_default()));
    let mut next = || segments.next().expect("a segment").unwrap_or_default();
    (next(), next())
}

/// `token` with another header or payload, and its old signature.
fn forge(token: &str, header: Option<&Value>, payload: Option<&str>) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let header = header.map_or(parts[0].to_owned(), |h| {
        URL_SAFE_NO_PAD.encode(h.to_string())
    });
    let payload = payload.map_or(parts[1].to_owned(), |p| URL_SAFE_NO_PAD.encode(p));
    format!("{header}.{payload}.{}", parts[2])
}

#[test]
fn a_token_has_the_claims_of_a_real_one() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.in_pod());
    let (header, claims) = open(&token);
    let header: Value = serde_json::from_str(&header).expect("JSON");
    let members: Vec<&String> = header.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["alg", "kid"]);
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["kid"], cluster.tokens.jwks()["keys"][0]["kid"]);
    let (iat, exp) = (START, START + 600);
    let parsed: Value = serde_json::from_str(&claims).expect("JSON");
    let jti = parsed["jti"].as_str().expect("a string");
    assert_eq!(jti.len(), 36);
    assert_eq!(
        claims,
        format!(
            concat!(
                r#"{{"aud":["{issuer}"],"exp":{exp},"iat":{iat},"iss":"{issuer}","jti":"{jti}","#,
                r#""kubernetes.io":{{"namespace":"default","node":{{"name":"n","uid":"node-1"}},"#,
                r#""pod":{{"name":"web","uid":"pod-1"}},"serviceaccount":{{"name":"app","uid":"sa-1"}}}},"#,
                r#""nbf":{iat},"sub":"system:serviceaccount:default:app"}}"#
            ),
            issuer = ISSUER,
            exp = exp,
            iat = iat,
            jti = jti
        )
    );
}

#[test]
fn the_extension_puts_the_expiry_off_by_a_year_and_says_when_to_warn() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&TokenSpec {
        expiration: Duration::from_secs(3607),
        extended: true,
        ..cluster.in_pod()
    });
    let claims: Value = serde_json::from_str(&open(&token).1).expect("JSON");
    assert_eq!(claims["exp"], START + 31_536_000);
    assert_eq!(claims["kubernetes.io"]["warnafter"], START + 3607);
}

#[test]
fn a_good_token_says_who_it_speaks_for() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.in_pod());
    let (user, audiences) = cluster.tokens.verify(&token, &[]).expect("good");
    assert_eq!(audiences, [ISSUER]);
    assert_eq!(user.username, "system:serviceaccount:default:app");
    assert_eq!(user.uid, "sa-1");
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ]
    );
    let extra: Vec<(&str, &str)> = user
        .extra
        .iter()
        .map(|(key, values)| {
            (
                key.trim_start_matches("authentication.kubernetes.io/"),
                values[0].as_str(),
            )
        })
        .collect();
    assert!(extra[0].0 == "credential-id" && extra[0].1.starts_with("JTI="));
    assert_eq!(
        extra[1..],
        [
            ("node-name", "n"),
            ("node-uid", "node-1"),
            ("pod-name", "web"),
            ("pod-uid", "pod-1")
        ]
    );
}

#[test]
fn a_newline_after_the_token_does_no_harm() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.spec());
    assert!(cluster.tokens.verify(&format!("{token}\n"), &[]).is_ok());
}

#[test]
fn a_token_passes_until_the_leeway_after_its_expiry_is_over() {
    for leeway in [60, 0] {
        let cluster = cluster(leeway);
        let token = cluster.tokens.mint(&cluster.spec());
        cluster.step(600 + leeway);
        assert!(
            cluster.tokens.verify(&token, &[]).is_ok(),
            "leeway {leeway}"
        );
        cluster.clock.step(Duration::from_millis(1));
        assert_eq!(
            cluster.error(&token),
            "[invalid bearer token, service account token has expired]"
        );
    }
}

#[test]
fn a_token_of_the_future_is_refused_but_for_the_leeway() {
    let cluster = cluster(60);
    let from = |seconds| TokenSpec {
        issued_at: cluster.clock.now() + Duration::from_secs(seconds),
        ..cluster.spec()
    };
    assert!(
        cluster
            .tokens
            .verify(&cluster.tokens.mint(&from(60)), &[])
            .is_ok()
    );
    assert_eq!(
        cluster.error(&cluster.tokens.mint(&from(61))),
        "[invalid bearer token, service account token is not valid yet]"
    );
}

#[test]
fn a_token_is_good_for_the_audiences_it_names() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&TokenSpec {
        audiences: vec!["vault".into(), "b".into()],
        ..cluster.spec()
    });
    let wanted = ["x".to_owned(), "b".to_owned(), "vault".to_owned()];
    let (_, good_for) = cluster.tokens.verify(&token, &wanted).expect("good");
    assert_eq!(good_for, ["b", "vault"]);
    assert_eq!(
        cluster.error(&token),
        format!(
            r#"[invalid bearer token, token audiences ["vault" "b"] is invalid for the target audiences ["{ISSUER}"]]"#
        )
    );
}

#[test]
fn a_token_dies_with_what_it_is_bound_to() {
    let invalidated = "[invalid bearer token, service account token has been invalidated]";
    let bound = |cluster: &Cluster, resource: &str| match resource {
        "pods" => cluster.in_pod(),
        "secrets" => TokenSpec {
            secret: Some(pair("s", "secret-1")),
            ..cluster.spec()
        },
        _ => TokenSpec {
            node: Some(pair("n", "node-1")),
            ..cluster.spec()
        },
    };
    for (resource, kind, namespace, name) in [
        ("pods", "pod", "default", "web"),
        ("secrets", "secret", "default", "s"),
        ("nodes", "node", "", "n"),
    ] {
        let cluster = cluster(60);
        let token = cluster.tokens.mint(&bound(&cluster, resource));
        assert!(cluster.tokens.verify(&token, &[]).is_ok(), "{resource}");
        cluster.store.remove("", resource, namespace, name);
        assert_eq!(cluster.error(&token), invalidated);
        put(&cluster.store, resource, namespace, name, "other");
        assert_eq!(
            cluster.error(&token),
            format!(
                "[invalid bearer token, {kind} UID (other) does not match service account {kind} ref claim ({kind}-1)]"
            )
        );
    }
}

#[test]
fn the_token_of_a_pod_outlives_its_node() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.in_pod());
    cluster.store.remove("", "nodes", "", "n");
    assert!(cluster.tokens.verify(&token, &[]).is_ok());
}

#[test]
fn a_token_dies_with_its_account() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.spec());
    cluster
        .store
        .remove("", "serviceaccounts", "default", "app");
    assert_eq!(
        cluster.error(&token),
        "[invalid bearer token, serviceaccounts \"app\" not found]"
    );
    put(&cluster.store, "serviceaccounts", "default", "app", "sa-2");
    assert_eq!(
        cluster.error(&token),
        "[invalid bearer token, service account UID (sa-2) does not match claim (sa-1)]"
    );
}

#[test]
fn what_is_being_deleted_keeps_its_token_for_a_minute() {
    let cluster = cluster(0);
    let pod = cluster.tokens.mint(&cluster.in_pod());
    let deleting = |name: &str, uid: &str| {
        json!({"metadata": {
            "name": name, "namespace": "default", "uid": uid,
            "deletionTimestamp": crate::source::rfc3339(cluster.clock.now()),
        }})
    };
    cluster.store.put("", "pods", &deleting("web", "pod-1"));
    cluster.step(60);
    assert!(cluster.tokens.verify(&pod, &[]).is_ok());
    cluster.step(1);
    assert_eq!(
        cluster.error(&pod),
        "[invalid bearer token, service account token has been invalidated]"
    );
    let account = cluster.tokens.mint(&cluster.spec());
    cluster
        .store
        .put("", "serviceaccounts", &deleting("app", "sa-1"));
    cluster.step(61);
    assert_eq!(
        cluster.error(&account),
        "[invalid bearer token, service account default/app has been deleted]"
    );
}

#[test]
fn a_forged_token_is_refused() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.spec());
    let (_, claims) = open(&token);
    let kid = cluster.tokens.jwks()["keys"][0]["kid"].clone();
    let wrong = "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]";

    let other_account = claims.replace("\"app\"", "\"admin\"");
    assert_eq!(
        cluster.error(&forge(&token, None, Some(&other_account))),
        wrong
    );
    for alg in ["none", "HS256", "ES384"] {
        let header = json!({"alg": alg, "kid": kid});
        assert_eq!(
            cluster.error(&forge(&token, Some(&header), None)),
            wrong,
            "{alg}"
        );
    }
    let unsigned = forge(&token, Some(&json!({"alg": "none"})), None);
    let unsigned = &unsigned[..=unsigned.rfind('.').expect("a dot")];
    assert_eq!(cluster.error(unsigned), wrong);
    let header = json!({"alg": "ES256", "kid": "another"});
    assert_eq!(
        cluster.error(&forge(&token, Some(&header), None)),
        "[invalid bearer token, invalid signature, no keys found]"
    );
    let other_issuer = claims.replace(ISSUER, "https://example.com");
    assert_eq!(
        cluster.error(&forge(&token, None, Some(&other_issuer))),
        "invalid bearer token"
    );
    assert!(cluster.tokens.verify(&token, &[]).is_ok());
}

#[test]
fn a_token_of_another_cluster_is_refused() {
    let (ours, theirs) = (cluster(60), cluster(60));
    let token = theirs.tokens.mint(&theirs.spec());
    assert_eq!(
        ours.error(&token),
        "[invalid bearer token, invalid signature, no keys found]"
    );
}

#[test]
fn garbage_is_an_invalid_bearer_token() {
    let cluster = cluster(60);
    for token in [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d",
        "{\"iss\":1}",
        "é.é.é",
        "e30.e30.e30",
    ] {
        assert_eq!(cluster.error(token), "invalid bearer token", "{token}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let cluster = cluster(60);
    let token = cluster.tokens.mint(&cluster.spec());
    assert!(cluster.tokens.verify(&token, &[]).is_ok());
    // The last character of a segment has bits that say nothing, so it is left alone.
    for position in (0..token.len() - 1).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).expect("ASCII");
        assert!(
            cluster.tokens.verify(&tampered, &[]).is_err(),
            "at {position}"
        );
    }
}

#[test]
fn the_discovery_documents_lead_to_the_key() {
    let cluster = cluster(60);
    let uri = "https://127.0.0.1:6443/openid/v1/jwks";
    assert_eq!(
        Value::from(cluster.tokens.openid_configuration(uri)).to_string(),
        format!(
            concat!(
                r#"{{"issuer":"{}","jwks_uri":"{}","response_types_supported":["id_token"],"#,
                r#""subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"]}}"#
            ),
            ISSUER, uri
        )
    );
    let jwks = Value::from(cluster.tokens.jwks());
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks.clone()).expect("a JWK set");
    let key = jsonwebtoken::DecodingKey::from_jwk(&set.keys[0]).expect("a key");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&[ISSUER]);
    validation.validate_exp = false;
    let token = cluster.tokens.mint(&cluster.spec());
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("anyone can verify it");
    let members: Vec<&String> = jwks["keys"][0].as_object().expect("a key").keys().collect();
    assert_eq!(members, ["use", "kty", "kid", "crv", "alg", "x", "y"]);
}

#[test]
fn the_signing_key_is_not_in_debug() {
    let cluster = cluster(60);
    let text = format!("{:?}", cluster.tokens);
    assert!(
        text.contains("SigningKey") && !text.contains("private"),
        "{text}"
    );
}
