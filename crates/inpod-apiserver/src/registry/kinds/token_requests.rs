//! `serviceaccounts/token`: a token for a service account, bound to an object if so wished.

use std::time::Duration;

use serde_json::json;

use super::field;
use crate::admission::{Operation, admit};
use crate::auth::TokenSpec;
use crate::registry::json::Fields as _;
use crate::registry::{Context, Special};
use crate::schema::Json;
use crate::source::rfc3339;
use crate::storage::{Lookup as _, Object};
use crate::{Cause, Status};

/// Answers `TokenRequests`.
pub(super) struct TokenRequests;

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";

/// In seconds.
const DEFAULT_EXPIRATION: i64 = 3600;
const MAXIMUM_EXPIRATION: i64 = 1 << 32;

/// The lifetime that asks for the extension to a year: what the kubelet asks for in Pods' `kube-api-access-*` volumes.
const EXTENSIBLE_EXPIRATION: u64 = 3607;

impl Special for TokenRequests {
    fn default(&self, request: &mut Json) {
        request.default_to("spec.expirationSeconds", DEFAULT_EXPIRATION);
    }

    fn create(&self, cx: &Context<'_>, mut request: Json) -> Result<Json, Status> {
        admit(cx, Operation::Create, &mut request)?;
        let (namespace, name) = (&cx.info.namespace, &cx.info.name);
        names_match(cx, &request)?;
        let account = get(cx, "serviceaccounts", namespace, name)?;
        let uid = request.text("metadata.uid");
        if !uid.is_empty() && uid != account.uid {
            let why = format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({})",
                account.uid
            );
            return Err(Status::conflict(GROUP, KIND, name, &why));
        }
        if request.is_empty_at("spec.audiences") {
            request.put("spec.audiences", json!([cx.core.tokens.issuer()]));
        }
        let causes = problems(&request, cx.core.tokens.policy().minimum);
        if !causes.is_empty() {
            return Err(Status::invalid(GROUP, KIND, "", causes));
        }

        let seconds = request
            .int("spec.expirationSeconds")
            .unwrap_or(DEFAULT_EXPIRATION);
        let expiration = Duration::from_secs(seconds.unsigned_abs());
        let bound = bind(cx, &request)?;
        let audiences: Vec<String> = request.texts("spec.audiences").map(str::to_owned).collect();
        let for_this_server = audiences.iter().all(|a| a == cx.core.tokens.issuer());
        let now = cx.core.source.now();
        let token = cx.core.tokens.mint(&TokenSpec {
            namespace: namespace.clone(),
            service_account: (name.clone(), account.uid.clone()),
            audiences,
            extended: bound.pod.is_some()
                && expiration.as_secs() == EXTENSIBLE_EXPIRATION
                && for_this_server,
            pod: bound.pod,
            node: bound.node,
            secret: bound.secret,
            issued_at: now,
            expiration,
        });
        Ok(super::object(json!({
            "kind": KIND,
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": account.uid,
                "creationTimestamp": rfc3339(now),
            },
            "spec": {
                "audiences": request.at("spec.audiences"),
                "expirationSeconds": seconds,
                "boundObjectRef": request.at("spec.boundObjectRef"),
            },
            "status": {
                "token": token,
                // The extension is the server's secret: a client renews as if there were none.
                "expirationTimestamp": rfc3339(now + expiration),
            },
        })))
    }
}

fn get(
    cx: &Context<'_>,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<std::sync::Arc<Object>, Status> {
    cx.core
        .store
        .get("", resource, namespace, name)
        .ok_or_else(|| Status::not_found("", resource, name))
}

/// Name and namespace of the body are those of the URL, where it has any.
fn names_match(cx: &Context<'_>, request: &Json) -> Result<(), Status> {
    for (field, expected) in [("name", &cx.info.name), ("namespace", &cx.info.namespace)] {
        let path = format!("metadata.{field}");
        let given = request.text(&path);
        if !given.is_empty() && given != expected {
            let detail = format!("must match the service account {field} if specified");
            let cause = field::invalid(path, given, &detail);
            return Err(Status::invalid(GROUP, KIND, &cx.info.name, vec![cause]));
        }
    }
    Ok(())
}

fn problems(request: &Json, minimum: Duration) -> Vec<Cause> {
    if let Some(attestations) = request.at("spec.attestations")
        && !request.is_empty_at("spec.attestations")
    {
        let detail = "attestations may only be specified with a webhook bound object reference";
        return vec![field::invalid(
            "spec.attestations",
            attestations.clone(),
            detail,
        )];
    }
    let path = "spec.expirationSeconds";
    let seconds = request.int(path).unwrap_or(DEFAULT_EXPIRATION);
    let mut causes = Vec::new();
    if u64::try_from(seconds).is_ok_and(|seconds| seconds >= minimum.as_secs()) {
        if seconds > MAXIMUM_EXPIRATION {
            let detail = "may not specify a duration larger than 2^32 seconds";
            causes.push(field::invalid(path, seconds, detail));
        }
    } else {
        let minimum = match minimum.as_secs() {
            600 => "10 minutes".to_owned(),
            seconds => format!("{seconds} seconds"),
        };
        let detail = format!("may not specify a duration less than {minimum}");
        causes.push(field::invalid(path, seconds, &detail));
    }
    causes
}

/// What a token dies with; each with name and uid.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bound {
    pod: Option<(String, String)>,
    node: Option<(String, String)>,
    secret: Option<(String, String)>,
}

fn bind(cx: &Context<'_>, request: &Json) -> Result<Bound, Status> {
    let Some(reference) = request.map("spec.boundObjectRef") else {
        return Ok(Bound::default());
    };
    let (kind, name) = (reference.text("kind"), reference.text("name"));
    let (group, version) = match reference.text("apiVersion").rsplit_once('/') {
        Some((group, version)) => (group, version),
        None => ("", reference.text("apiVersion")),
    };
    let (resource, namespace) = match (group, kind) {
        ("", "Pod") => ("pods", cx.info.namespace.as_str()),
        ("", "Secret") => ("secrets", cx.info.namespace.as_str()),
        ("", "Node") => ("nodes", ""),
        _ => {
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    if name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    let object = get(cx, resource, namespace, name)?;
    let this = Some((object.name.clone(), object.uid.clone()));
    let bound = match kind {
        "Pod" => Bound {
            node: node_of(cx, &object.value())?,
            pod: this,
            ..Bound::default()
        },
        "Secret" => Bound {
            secret: this,
            ..Bound::default()
        },
        _ => Bound {
            node: this,
            ..Bound::default()
        },
    };
    let uid = reference.text("uid");
    if !uid.is_empty() && uid != object.uid {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(Status::conflict("", kind, name, &why));
    }
    Ok(bound)
}

/// The node of a Pod that runs as the service account. A node that does not exist has no uid.
fn node_of(cx: &Context<'_>, pod: &Json) -> Result<Option<(String, String)>, Status> {
    if pod.text("spec.serviceAccountName") != cx.info.name {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            cx.info.name
        )));
    }
    let node = pod.text("spec.nodeName");
    if node.is_empty() {
        return Ok(None);
    }
    let uid = cx.core.store.get("", "nodes", "", node);
    let uid = uid.map(|node| node.uid.clone()).unwrap_or_default();
    Ok(Some((node.to_owned(), uid)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::registry::json::tests::object;
    use crate::registry::kinds::testing::{Cluster, claims};

    fn with_pod() -> Cluster {
        let cluster = Cluster::new();
        cluster.store(
            "",
            "serviceaccounts",
            json!({"metadata": {"namespace": "default", "name": "a", "uid": "sa-1"}}),
        );
        cluster.store(
            "",
            "nodes",
            json!({"metadata": {"name": "n", "uid": "node-1"}}),
        );
        cluster.store(
            "",
            "pods",
            json!({
                "metadata": {"namespace": "default", "name": "p", "uid": "pod-1"},
                "spec": {"serviceAccountName": "a", "nodeName": "n"},
            }),
        );
        cluster
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn ask(cluster: &Cluster, spec: Value) -> Result<Json, Status> {
        cluster.special("", "serviceaccounts", "a/token", json!({"spec": spec}))
    }

    fn bound_to(kind: &str, name: &str) -> Value {
        json!({"kind": kind, "apiVersion": "v1", "name": name})
    }

    #[test]
    fn an_empty_request_asks_for_an_hour_for_this_server() {
        let cluster = with_pod();
        let answer = ask(&cluster, json!({})).expect("a token");
        assert_eq!(
            answer["spec"],
            json!({
                "audiences": ["https://test"], "expirationSeconds": 3600, "boundObjectRef": null,
            })
        );
        assert_eq!(answer["metadata"]["uid"], "sa-1");
        let claims = claims(answer["status"]["token"].as_str().expect("a token"));
        assert_eq!(claims["sub"], "system:serviceaccount:default:a");
        assert_eq!(
            claims["exp"].as_i64(),
            claims["iat"].as_i64().map(|iat| iat + 3600)
        );
    }

    #[test]
    fn a_pods_token_names_the_pod_and_its_node_and_lives_longer_than_it_says() {
        let cluster = with_pod();
        let spec = json!({"expirationSeconds": 3607, "boundObjectRef": bound_to("Pod", "p")});
        let answer = ask(&cluster, spec).expect("a token");
        let claims = claims(answer["status"]["token"].as_str().expect("a token"));
        let iat = claims["iat"].as_i64().expect("a time");
        assert_eq!(claims["exp"], iat + 365 * 86400);
        assert_eq!(claims["kubernetes.io"]["warnafter"], iat + 3607);
        assert_eq!(
            claims["kubernetes.io"]["pod"],
            json!({"name": "p", "uid": "pod-1"})
        );
        assert_eq!(
            claims["kubernetes.io"]["node"],
            json!({"name": "n", "uid": "node-1"})
        );

        let elsewhere = json!({
            "expirationSeconds": 3607, "audiences": ["vault"], "boundObjectRef": bound_to("Pod", "p"),
        });
        let answer = ask(&cluster, elsewhere).expect("a token");
        let claims = super::tests::claims(answer["status"]["token"].as_str().expect("a token"));
        assert_eq!(
            claims["exp"].as_i64(),
            claims["iat"].as_i64().map(|iat| iat + 3607)
        );
    }

    #[test]
    fn refusals_are_the_real_servers() {
        let cluster = with_pod();
        cluster.store(
            "",
            "pods",
            json!({
                "metadata": {"namespace": "default", "name": "other", "uid": "pod-2"},
                "spec": {"serviceAccountName": "b"},
            }),
        );
        let refuse = |spec: Value| {
            let status = ask(&cluster, spec).expect_err("refused");
            (status.code.as_u16(), status.message)
        };
        assert_eq!(refuse(json!({"expirationSeconds": 599})), (
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a \
             duration less than 10 minutes".to_owned(),
        ));
        assert_eq!(
            refuse(json!({"expirationSeconds": (1_i64 << 32) + 1})).0,
            422
        );
        assert_eq!(
            refuse(json!({"boundObjectRef": bound_to("ConfigMap", "c")})),
            (
                400,
                "cannot bind token to object of type /v1, Kind=ConfigMap".to_owned()
            )
        );
        assert_eq!(
            refuse(json!({"boundObjectRef": bound_to("Pod", "gone")})),
            (404, "pods \"gone\" not found".to_owned())
        );
        assert_eq!(refuse(json!({"boundObjectRef": bound_to("Pod", "other")})), (
            400,
            "cannot bind token for serviceaccount \"a\" to pod running with different serviceaccount name.".to_owned(),
        ));
        let mut reference = bound_to("Pod", "p");
        reference["uid"] = json!("x");
        assert_eq!(refuse(json!({"boundObjectRef": reference})).0, 409);
    }

    #[test]
    fn the_body_is_about_the_account_of_the_url() {
        let cluster = with_pod();
        let ask = |metadata: Value| {
            let answer = cluster.special(
                "",
                "serviceaccounts",
                "a/token",
                json!({"metadata": metadata}),
            );
            answer.map_err(|status| status.message)
        };
        assert_eq!(
            ask(json!({"name": "b"})),
            Err("TokenRequest.authentication.k8s.io \"a\" is invalid: metadata.name: Invalid value: \"b\": must match the service \
                 account name if specified".to_owned())
        );
        assert_eq!(
            ask(json!({"uid": "x"})),
            Err("Operation cannot be fulfilled on TokenRequest.authentication.k8s.io \"a\": the UID in the token request (x) does \
                 not match the UID of the service account (sa-1)".to_owned())
        );
        assert!(ask(json!({"name": "a", "uid": "sa-1"})).is_ok());
    }

    #[test]
    fn a_cluster_of_short_tokens_says_its_own_minimum() {
        let request = object(json!({"spec": {"expirationSeconds": 0}}));
        let causes = problems(&request, Duration::from_secs(1));
        assert!(
            causes[0]
                .message
                .ends_with("may not specify a duration less than 1 seconds")
        );
    }
}
