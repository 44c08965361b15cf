//! What a new cluster begins with.

use serde_json::{Value, json};

use super::local::{Local, Refused, collection};
use crate::auth::bootstrap_objects;
use crate::schema::{self, Json};

/// The namespaces of a new cluster.
pub(super) const NAMESPACES: [&str; 4] =
    ["kube-system", "kube-public", "kube-node-lease", "default"];

/// The name of the one Node, which stands for this machine.
const NODE: &str = "inpod";

/// Creates the namespaces, the default roles and their bindings, and the Node.
pub(super) async fn run(apiserver: &Local, now: &str) -> Result<(), Refused> {
    for name in NAMESPACES {
        let namespace = json!({"metadata": {"name": name}});
        apiserver.create("/api/v1/namespaces", &namespace).await?;
    }
    for role in bootstrap_objects() {
        if let Some(path) = collection_of(&role) {
            apiserver.create(&path, &Value::Object(role)).await?;
        }
    }
    apiserver.create("/api/v1/nodes", &node(now)).await
}

/// The path of the collection that an object with kind and apiVersion belongs to.
fn collection_of(object: &Json) -> Option<String> {
    let text = |value: &Json, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let api_version = text(object, "apiVersion")?;
    let (group, version) = api_version
        .split_once('/')
        .unwrap_or(("", api_version.as_str()));
    let resource = schema::by_kind(group, version, &text(object, "kind")?)?;
    let namespace = text(object.get("metadata")?.as_object()?, "namespace");
    Some(collection(resource, &namespace.unwrap_or_default()))
}

fn node(now: &str) -> Value {
    let architecture = crate::wire::go_architecture();
    json!({
        "metadata": {
            "name": NODE,
            "labels": {
                "inpod.dev/machine": "",
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": std::env::consts::OS,
            },
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": NODE},
            ],
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
                "reason": "KubeletReady",
                "message": "processes of this machine run as Pods of this node",
            }],
            "nodeInfo": {
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kernelVersion": "",
                "osImage": "",
                "containerRuntimeVersion": concat!("inpod://", env!("CARGO_PKG_VERSION")),
                "kubeletVersion": crate::wire::KUBERNETES_VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": std::env::consts::OS,
                "architecture": architecture,
            },
        },
    })
}
