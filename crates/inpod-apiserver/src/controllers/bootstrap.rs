//! What a new cluster begins with.

use serde_json::{Value, json};

use super::local::{Local, Refused};
use crate::schema;

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
    for role in schema::bootstrap_roles() {
        if let Some(path) = collection_of(role) {
            apiserver
                .create(&path, &Value::Object(role.clone()))
                .await?;
        }
    }
    apiserver.create("/api/v1/nodes", &node(now)).await
}

/// The path of the collection that an object with kind and apiVersion belongs to.
fn collection_of(object: &schema::Json) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let api_version = text(object.get("apiVersion"))?;
    let kind = text(object.get("kind"))?;
    let (group, version) = api_version
        .split_once('/')
        .unwrap_or(("", api_version.as_str()));
    let resource = schema::by_kind(group, version, &kind)?;
    let namespace = text(object.get("metadata")?.get("namespace"));
    let root = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    Some(match namespace {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{}", resource.name),
        None => format!("{root}/{}", resource.name),
    })
}

fn node(now: &str) -> Value {
    let architecture = crate::wire::go_architecture();
    json!({
        "metadata": {
            "name": NODE,
            "labels": {
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
