//! `ServiceAccount`: every Pod runs as an account of its namespace, and finds the account's token where clients look for it.

use serde_json::{Value, json};

use super::{Operation, forbidden};
use crate::Status;
use crate::breaks::{self, Break};
use crate::registry::Context;
use crate::registry::json::Fields as _;
use crate::schema::Json;
use crate::storage::Lookup as _;

/// Where clients look for the token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The start of the name of the volume with the token.
const VOLUME: &str = "kube-api-access-";

/// The lifetime that asks for the extension to a year, in seconds: one hour, and seven to tell it from an hour that was meant.
const EXPIRATION_SECONDS: i64 = 3607;

pub(super) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    pod: &mut Json,
) -> Result<(), Status> {
    if !matches!(operation, Operation::Create) {
        return Ok(());
    }
    if is_mirror(pod) {
        return check_mirror(pod).map_err(|why| forbidden(cx, pod, why));
    }
    if pod.text("spec.serviceAccountName").is_empty() {
        pod.put("spec.serviceAccountName", "default");
        pod.put("spec.serviceAccount", "default");
    }
    let namespace = &cx.info.namespace;
    let name = pod.text("spec.serviceAccountName");
    let account = cx.core.store.get("", "serviceaccounts", namespace, name);
    let Some(account) = account else {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(forbidden(cx, pod, &why));
    };
    equip(pod, &account.value(), || cx.core.source.suffix(5));
    Ok(())
}

/// Whether the Pod is a kubelet's report of one that it runs from a file.
fn is_mirror(pod: &Json) -> bool {
    pod.map("metadata.annotations")
        .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"))
}

fn check_mirror(pod: &Json) -> Result<(), &'static str> {
    if !pod.text("spec.serviceAccountName").is_empty() {
        return Err("a mirror pod may not reference service accounts");
    }
    for volume in pod.objects("spec.volumes") {
        if volume.map("secret").is_some() {
            return Err("a mirror pod may not reference secrets");
        }
        for source in volume.objects("projected.sources") {
            if source.map("secret").is_some() {
                return Err("a mirror pod may not reference secrets");
            }
            if source.map("serviceAccountToken").is_some() {
                return Err("a mirror pod may not use ServiceAccountToken volume projections");
            }
        }
    }
    Ok(())
}

/// Gives the Pod what its account has for it.
fn equip(pod: &mut Json, account: &Json, suffix: impl FnOnce() -> String) {
    let automount = "automountServiceAccountToken";
    let wanted = pod
        .boolean(&format!("spec.{automount}"))
        .or_else(|| account.boolean(automount))
        .unwrap_or(true);
    if wanted && !breaks::is_on(Break::NoToken) {
        mount_token(pod, suffix);
    }
    if pod.is_empty_at("spec.imagePullSecrets") && !account.is_empty_at("imagePullSecrets") {
        let names: Vec<Value> = account
            .objects("imagePullSecrets")
            .map(|secret| json!({"name": secret.text("name")}))
            .collect();
        pod.put("spec.imagePullSecrets", names);
    }
}

/// Mounts the token in every container that has nothing else in its place.
fn mount_token(pod: &mut Json, suffix: impl FnOnce() -> String) {
    let existing = pod
        .objects("spec.volumes")
        .map(|volume| volume.text("name"))
        .find(|name| name.starts_with(VOLUME))
        .map(str::to_owned);
    let is_new = existing.is_none();
    let volume = existing.unwrap_or_else(|| format!("{VOLUME}{}", suffix()));
    let mut needed = false;
    for list in ["spec.initContainers", "spec.containers"] {
        for container in pod.objects_mut(list) {
            let taken = container
                .objects("volumeMounts")
                .any(|mount| mount.text("mountPath") == MOUNT_PATH);
            if !taken {
                let mount = json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH});
                container.list_mut("volumeMounts").push(mount);
                needed = true;
            }
        }
    }
    if needed && is_new {
        pod.list_mut("spec.volumes").push(token_volume(&volume));
    }
}

/// Token, CA and namespace, in one directory.
fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": EXPIRATION_SECONDS, "path": "token"}},
                {"configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
            "defaultMode": 0o644,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::{object, pretty};

    fn pod() -> Json {
        object(json!({"spec": {
            "initContainers": [{"name": "i"}],
            "containers": [
                {"name": "a"},
                {"name": "b", "volumeMounts": [{"name": "own", "mountPath": MOUNT_PATH}]},
            ],
        }}))
    }

    fn equipped(mut pod: Json, account: Value) -> Json {
        equip(&mut pod, &object(account), || "abcde".to_owned());
        pod
    }

    #[test]
    fn every_container_without_a_mount_of_its_own_gets_the_token() {
        insta::assert_snapshot!(pretty(equipped(pod(), json!({}))));
    }

    #[test]
    fn the_pod_has_the_last_word_about_its_token() {
        let off = json!({"automountServiceAccountToken": false});
        assert_eq!(equipped(pod(), off.clone()), pod());
        let mut willing = pod();
        willing.put("spec.automountServiceAccountToken", true);
        assert_eq!(equipped(willing, off).list("spec.volumes").len(), 1);
        let mut unwilling = pod();
        unwilling.put("spec.automountServiceAccountToken", false);
        assert!(equipped(unwilling, json!({})).is_empty_at("spec.volumes"));
    }

    #[test]
    fn a_token_volume_that_is_there_is_used() {
        let mut pod = pod();
        pod.list_mut("spec.volumes")
            .push(json!({"name": "kube-api-access-mine"}));
        let pod = equipped(pod, json!({}));
        assert_eq!(pod.list("spec.volumes").len(), 1);
        assert_eq!(
            pod["spec"]["containers"][0]["volumeMounts"][0]["name"],
            "kube-api-access-mine"
        );
    }

    #[test]
    fn pull_secrets_come_from_the_account_unless_the_pod_has_some() {
        let account = json!({"imagePullSecrets": [{"name": "s"}]});
        assert_eq!(
            equipped(pod(), account.clone())["spec"]["imagePullSecrets"],
            json!([{"name": "s"}])
        );
        let mut own = pod();
        own.list_mut("spec.imagePullSecrets")
            .push(json!({"name": "own"}));
        assert_eq!(
            equipped(own, account)["spec"]["imagePullSecrets"],
            json!([{"name": "own"}])
        );
    }

    #[test]
    fn a_mirror_pod_has_no_account() {
        let mirror = |spec: Value| {
            object(
                json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": spec}),
            )
        };
        assert!(is_mirror(&mirror(json!({}))));
        assert!(check_mirror(&mirror(json!({}))).is_ok());
        assert_eq!(
            check_mirror(&mirror(json!({"serviceAccountName": "a"}))),
            Err("a mirror pod may not reference service accounts")
        );
        assert_eq!(
            check_mirror(&mirror(
                json!({"volumes": [{"secret": {"secretName": "s"}}]})
            )),
            Err("a mirror pod may not reference secrets")
        );
    }
}
