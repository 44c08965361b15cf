//! Tokens of service accounts: what may be asked of one, what it says, and how long it is believed.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

use super::discovery::hide_address;
use crate::{Failure, Outcome, Session, case_list, delete, get, post};

case_list!["tokens":
    a_token_says_whose_it_is,
    a_bound_token_says_to_what,
    a_token_lives_as_long_as_it_was_asked_to,
    a_token_expires_a_minute_after_its_time,
    a_token_is_not_good_before_its_time,
    a_request_for_a_token_is_answered_with_it,
    a_request_for_a_token_is_checked,
    a_token_is_bound_only_to_what_is_there,
    a_review_tells_whose_token_it_is,
    a_review_of_a_token_is_checked,
    a_token_dies_with_its_secret,
    a_token_dies_with_its_account,
    a_new_account_does_not_take_its_predecessors_tokens,
    the_issuer_is_described,
];

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

fn account(ns: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{ns}/serviceaccounts/{name}")
}

async fn issue(s: &mut Session, ns: &str, name: &str, spec: &Value) -> Result<String, Failure> {
    let path = format!("{}/token", account(ns, name));
    s.set_up(post(path, &json!({"spec": spec})))
        .await?
        .text("/status/token")
}

/// A reference to an object that is made for it.
async fn bound_to(s: &mut Session, ns: &str, kind: &str) -> Result<Value, Failure> {
    let (resource, body) = match kind {
        "Pod" => (
            "pods",
            json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
        ),
        _ => ("secrets", json!({})),
    };
    let mut object = body;
    object["metadata"] = json!({"name": "b"});
    let path = format!("/api/v1/namespaces/{ns}/{resource}");
    let uid = s.set_up(post(path, &object)).await?.text("/metadata/uid")?;
    Ok(json!({"kind": kind, "apiVersion": "v1", "name": "b", "uid": uid}))
}

/// What a token says, its times relative to the one at which it was issued.
fn claims(token: &str) -> Result<Value, Failure> {
    let part = token.split('.').nth(1).unwrap_or_default();
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|error| Failure::new(format!("no token: {error}")))?;
    let mut claims: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("no claims: {error}")))?;
    let issued = claims["iat"].as_i64().unwrap_or_default();
    for pointer in ["/iat", "/nbf", "/exp", "/kubernetes.io/warnafter"] {
        if let Some(time) = claims.pointer_mut(pointer) {
            *time = (time.as_i64().unwrap_or_default() - issued).into();
        }
    }
    Ok(claims)
}

async fn a_token_says_whose_it_is(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let path = account(&ns, "default");
    let shown = s.set_up(get(path)).await?;
    s.observe("the account", shown.at("/metadata/uid"));
    for spec in [
        json!({}),
        json!({"audiences": ["vault", "other"]}),
        json!({"expirationSeconds": 3600}),
    ] {
        let token = issue(s, &ns, "default", &spec).await?;
        s.observe("claims", claims(&token)?);
    }
    Ok(())
}

async fn a_bound_token_says_to_what(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for kind in ["Pod", "Secret"] {
        let reference = bound_to(s, &ns, kind).await?;
        s.observe("the object", reference.clone());
        let spec = json!({"boundObjectRef": reference});
        let token = issue(s, &ns, "default", &spec).await?;
        s.observe("claims", claims(&token)?);
    }
    Ok(())
}

/// 3607 seconds of a Pod's token are what the kubelet asks for; they are extended to a year, and the token says after which time
/// its use is warned of.
async fn a_token_lives_as_long_as_it_was_asked_to(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let reference = bound_to(s, &ns, "Pod").await?;
    for spec in [
        json!({"expirationSeconds": 600}),
        json!({"expirationSeconds": 3607}),
        json!({"expirationSeconds": 3607, "boundObjectRef": reference}),
        json!({"expirationSeconds": 3608, "boundObjectRef": reference}),
        json!({"expirationSeconds": 3607, "boundObjectRef": reference, "audiences": ["vault"]}),
        json!({"expirationSeconds": 100_000_000}),
    ] {
        let token = issue(s, &ns, "default", &spec).await?;
        let claims = claims(&token)?;
        s.observe("expires", claims["exp"].clone());
        s.observe("warns", claims["kubernetes.io"]["warnafter"].is_i64());
    }
    Ok(())
}

/// The times of a token moved by `by` seconds.
fn moved(claims: &mut Value, names: &[&str], by: i64) {
    for name in names {
        claims[*name] = (claims[*name].as_i64().unwrap_or_default() + by).into();
    }
}

/// Requests with the token, and a review of it.
async fn is_it_good(s: &mut Session, token: &str) -> Outcome {
    s.hide(token, "‹token›");
    s.send(get("/livez").bearer(token)).await?;
    s.send(post(REVIEWS, &json!({"spec": {"token": token}})))
        .await?;
    Ok(())
}

/// The clocks of a cluster's machines are never quite the same.
async fn a_token_expires_a_minute_after_its_time(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let token = issue(s, &ns, "default", &json!({"expirationSeconds": 600})).await?;
    for past in [-30, 30, 90, 3600] {
        s.observe("seconds past its time", past);
        let old = s.forge(&token, |claims| {
            moved(claims, &["iat", "nbf", "exp"], -600 - past);
        })?;
        is_it_good(s, &old).await?;
    }
    Ok(())
}

async fn a_token_is_not_good_before_its_time(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let token = issue(s, &ns, "default", &json!({"expirationSeconds": 600})).await?;
    for names in [&["nbf"] as &[&str], &["iat"], &["iat", "nbf", "exp"]] {
        for ahead in [30, 90] {
            s.observe("seconds to come", ahead);
            let early = s.forge(&token, |claims| moved(claims, names, ahead))?;
            is_it_good(s, &early).await?;
        }
    }
    Ok(())
}

async fn a_request_for_a_token_is_answered_with_it(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let path = format!("{}/token", account(&ns, "default"));
    s.send(post(&path, &json!({}))).await?;
    s.send(post(
        &path,
        &json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"audiences": ["a"]}}),
    ))
    .await?;
    let reference = bound_to(s, &ns, "Secret").await?;
    s.send(post(&path, &json!({"spec": {"boundObjectRef": reference}})))
        .await?;
    s.send(get(&path)).await?;
    Ok(())
}

async fn a_request_for_a_token_is_checked(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let path = format!("{}/token", account(&ns, "default"));
    for body in [
        json!({"spec": {"audiences": [""]}}),
        json!({"spec": {"audiences": "a"}}),
        json!({"spec": {"expirationSeconds": 0}}),
        json!({"spec": {"expirationSeconds": "600"}}),
        json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}),
        json!({"kind": "TokenRequest", "apiVersion": "v1"}),
        json!({"metadata": {"name": "default", "namespace": "other"}}),
        json!({"metadata": {"name": "default", "namespace": ns}, "spec": {"expirationSeconds": 599}}),
        json!({"spec": {"unknown": 1, "expirationSeconds": 599}}),
    ] {
        s.send(post(&path, &body)).await?;
    }
    Ok(())
}

async fn a_token_is_bound_only_to_what_is_there(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let path = format!("{}/token", account(&ns, "default"));
    let mut pod = bound_to(s, &ns, "Pod").await?;
    pod["uid"] = json!("00000000-0000-0000-0000-000000000000");
    for reference in [
        pod,
        json!({"kind": "Pod", "name": "b"}),
        json!({"kind": "Pod", "apiVersion": "v2", "name": "b"}),
        json!({"kind": "Secret", "apiVersion": "v1", "name": "none"}),
        json!({"kind": "Node", "apiVersion": "v1", "name": "none"}),
        json!({"kind": "Deployment", "apiVersion": "apps/v1", "name": "none"}),
        json!({"kind": "Pod", "apiVersion": "v1"}),
        json!({}),
    ] {
        s.send(post(&path, &json!({"spec": {"boundObjectRef": reference}})))
            .await?;
    }
    // A Pod's token is its own account's.
    let other = format!("/api/v1/namespaces/{ns}/serviceaccounts");
    s.set_up(post(other, &json!({"metadata": {"name": "other"}})))
        .await?;
    let reference = json!({"kind": "Pod", "apiVersion": "v1", "name": "b"});
    s.send(post(
        format!("{}/token", account(&ns, "other")),
        &json!({"spec": {"boundObjectRef": reference}}),
    ))
    .await?;
    Ok(())
}

async fn a_review_tells_whose_token_it_is(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for kind in ["", "Pod", "Secret"] {
        let spec = match kind {
            "" => json!({}),
            kind => json!({"boundObjectRef": bound_to(s, &ns, kind).await?}),
        };
        let token = issue(s, &ns, "default", &spec).await?;
        s.hide(&token, "‹token›");
        s.send(post(REVIEWS, &json!({"spec": {"token": token}})))
            .await?;
    }
    Ok(())
}

async fn a_review_of_a_token_is_checked(s: &mut Session) -> Outcome {
    for spec in [
        json!({}),
        json!({"token": ""}),
        json!({"token": "nothing"}),
        json!({"token": "a.b.c"}),
        json!({"token": "nothing", "audiences": ["a"]}),
    ] {
        s.send(post(REVIEWS, &json!({"spec": spec}))).await?;
    }
    s.send(post(
        REVIEWS,
        &json!({"metadata": {"name": "a"}, "spec": {"token": "nothing"}}),
    ))
    .await?;
    s.send(post(format!("{REVIEWS}?dryRun=All"), &json!({"spec": {}})))
        .await?;
    Ok(())
}

/// Until what the server remembers of the token is forgotten.
async fn until_refused(s: &mut Session, token: &str) -> Outcome {
    s.eventually(get("/livez").bearer(token), |answer| answer.status == 401)
        .await?;
    let review = s
        .set_up(post(REVIEWS, &json!({"spec": {"token": token}})))
        .await?;
    s.observe("authenticated", review.at("/status/authenticated"));
    Ok(())
}

async fn a_token_dies_with_its_secret(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let spec = json!({"boundObjectRef": bound_to(s, &ns, "Secret").await?});
    let token = issue(s, &ns, "default", &spec).await?;
    s.send(get("/livez").bearer(&token)).await?;
    s.set_up(delete(format!("/api/v1/namespaces/{ns}/secrets/b")))
        .await?;
    until_refused(s, &token).await
}

async fn a_token_dies_with_its_account(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let accounts = format!("/api/v1/namespaces/{ns}/serviceaccounts");
    s.set_up(post(&accounts, &json!({"metadata": {"name": "a"}})))
        .await?;
    let token = issue(s, &ns, "a", &json!({})).await?;
    s.send(get("/livez").bearer(&token)).await?;
    s.set_up(delete(account(&ns, "a"))).await?;
    until_refused(s, &token).await
}

async fn a_new_account_does_not_take_its_predecessors_tokens(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let accounts = format!("/api/v1/namespaces/{ns}/serviceaccounts");
    let body = json!({"metadata": {"name": "a"}});
    s.set_up(post(&accounts, &body)).await?;
    let token = issue(s, &ns, "a", &json!({})).await?;
    s.set_up(delete(account(&ns, "a"))).await?;
    s.set_up(post(&accounts, &body)).await?;
    until_refused(s, &token).await
}

async fn the_issuer_is_described(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    hide_address(s).await?;
    let token = issue(s, &ns, "default", &json!({})).await?;
    s.send(get("/.well-known/openid-configuration")).await?;
    for path in ["/.well-known/openid-configuration", "/openid/v1/jwks"] {
        for request in [get(path).bearer(&token), get(path).anonymous()] {
            let answer = s.ask_aside(request).await?;
            s.observe("status", answer.status);
            s.observe("content type", answer.header("content-type"));
            s.observe("caching", answer.header("cache-control"));
        }
    }
    let keys = s.set_up(get("/openid/v1/jwks")).await?;
    let key = keys.at("/keys/0");
    for part in ["use", "kty", "alg"] {
        s.observe(part, key[part].is_string());
    }
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    s.observe("signed with the published key", header["kid"] == key["kid"]);
    s.observe("by its algorithm", header["alg"] == key["alg"]);
    Ok(())
}
