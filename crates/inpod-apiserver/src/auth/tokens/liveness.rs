//! Whether what a token is bound to is still there.

use std::time::{Duration, SystemTime};

use super::claims::{Kubernetes, Reference};
use super::{TokenError, at};
use crate::storage::{Lookup, Object};

/// How long the token of an object that is being deleted stays good, counted from its `deletionTimestamp` (which for a Pod is
/// the end of its grace period). On a real server this is the same constant as the leeway past a token's expiry; it is kept apart
/// here because a cluster of short-lived tokens must not cut a graceful end short.
const DELETION_LEEWAY: Duration = Duration::from_secs(60);

/// Looks every object up that the token is bound to, by name and uid.
///
/// The node of a Pod's token is only information: it is not looked up, as a Pod outlives its Node.
pub(super) fn check(
    lookup: &dyn Lookup,
    now: SystemTime,
    bound: &Kubernetes,
) -> Result<(), TokenError> {
    let namespace = &bound.namespace;
    let account = &bound.serviceaccount;
    let object = lookup
        .get("", "serviceaccounts", namespace, &account.name)
        .ok_or_else(|| TokenError::NoServiceAccount(account.name.clone()))?;
    if object.uid != account.uid {
        return Err(TokenError::ServiceAccountUid {
            now: object.uid.clone(),
            claimed: account.uid.clone(),
        });
    }
    if is_deleted(&object, now) {
        return Err(TokenError::ServiceAccountDeleted(format!(
            "{namespace}/{}",
            account.name
        )));
    }
    let alive = |kind: &'static str, resource: &str, namespace: &str, claim: &Option<Reference>| {
        let Some(claim) = claim else { return Ok(()) };
        match lookup.get("", resource, namespace, &claim.name) {
            Some(object) if object.uid != claim.uid => Err(TokenError::BoundUid {
                kind,
                now: object.uid.clone(),
                claimed: claim.uid.clone(),
            }),
            Some(object) if !is_deleted(&object, now) => Ok(()),
            _ => Err(TokenError::Invalidated),
        }
    };
    alive("secret", "secrets", namespace, &bound.secret)?;
    alive("pod", "pods", namespace, &bound.pod)?;
    if bound.pod.is_none() {
        alive("node", "nodes", "", &bound.node)?;
    }
    Ok(())
}

fn is_deleted(object: &Object, now: SystemTime) -> bool {
    object
        .deletion_timestamp
        .as_deref()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .and_then(|time| u64::try_from(time.as_second()).ok())
        .is_some_and(|seconds| at(seconds) + DELETION_LEEWAY < now)
}
