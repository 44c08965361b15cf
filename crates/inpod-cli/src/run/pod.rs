use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use inpod::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use crate::failure::Failure;

/// The Pod object that stands for the process.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
    path: String,
    container: String,
    has_node: bool,
}

/// Marks the nodes that stand for the machine inpod runs on.
const NODE_LABEL: &str = "inpod.dev/machine";

/// Keeps schedulers and kubelets away from a Pod whose process runs here.
const GATE: &str = "inpod.dev/run";

/// What is true of a Pod whose container runs, in the kubelet's order.
const CONDITIONS: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

impl Pod {
    /// Creates it, Pending. Only the program's name goes in: arguments may hold secrets.
    pub(super) async fn create(
        client: &Client,
        account: &Account,
        program: &OsStr,
    ) -> Result<Self, Failure> {
        let container = container_name(program);
        let node = node(client).await?;
        let mut spec = json!({
            "serviceAccountName": account.name,
            "restartPolicy": "Never",
            "hostNetwork": true,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": container, "image": "localhost/machine", "imagePullPolicy": "Never"}],
        });
        match &node {
            Some(node) => spec["nodeName"] = node.as_str().into(),
            None => spec["schedulingGates"] = json!([{"name": GATE}]),
        }
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": format!("{container}-"),
                "labels": {"app.kubernetes.io/name": container, "app.kubernetes.io/managed-by": "inpod"},
            },
            "spec": spec,
        });
        let pods = format!("/api/v1/namespaces/{}/pods", account.namespace);
        let created: Created = client.create(&pods, &pod).await?;
        Ok(Self {
            path: format!("{pods}/{}", created.metadata.name),
            name: created.metadata.name,
            uid: created.metadata.uid,
            container,
            has_node: node.is_some(),
        })
    }

    /// Says that the process runs.
    pub(super) async fn running(&self, client: &Client) -> Result<(), Failure> {
        let now = timestamp();
        let address = machine_address().to_string();
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
        let mut status = json!({
            "phase": "Running",
            "conditions": CONDITIONS.map(condition),
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "containerStatuses": [{
                "name": self.container,
                "image": "localhost/machine",
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }],
        });
        if self.has_node {
            status["hostIP"] = address.as_str().into();
            status["hostIPs"] = json!([{"ip": address}]);
        }
        let patch = json!({"status": status});
        client
            .merge_patch::<_, Value>(&format!("{}/status", self.path), &patch)
            .await?;
        Ok(())
    }

    /// Deletes it, and with it every token bound to it.
    pub(super) async fn delete(&self, client: &Client) -> Result<(), Failure> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.uid},
        });
        super::delete(client, &self.path, &options).await
    }
}

#[derive(Deserialize)]
struct Created {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    uid: String,
}

/// The Node that stands for this machine, where the cluster has one: a Pod bound to any other node would be run there too.
async fn node(client: &Client) -> Result<Option<String>, Failure> {
    #[derive(Deserialize)]
    struct Node {
        metadata: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let nodes: inpod::List<Node> = client
        .list(&format!("/api/v1/nodes?labelSelector={NODE_LABEL}&limit=1"))
        .await?;
    Ok(nodes
        .items
        .into_iter()
        .next()
        .map(|node| node.metadata.name))
}

/// The program's name as a DNS label.
fn container_name(program: &OsStr) -> String {
    let base = Path::new(program)
        .file_name()
        .unwrap_or(program)
        .to_string_lossy();
    let name: String = base
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    match name.trim_matches('-') {
        "" => "cmd".to_owned(),
        name => name.to_owned(),
    }
}

/// The address the machine is reached at: what the kernel would send from. Nothing is sent; without a route it is loopback.
fn machine_address() -> IpAddr {
    // 192.0.2.1 is for documentation (RFC 5737), so it stands for anywhere else.
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| {
            socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
            socket.local_addr()
        })
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// Now, as Kubernetes writes a `Time`.
fn timestamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_program_name_makes_a_container_name() {
        let name = |program: &str| container_name(OsStr::new(program));
        assert_eq!(name("/usr/bin/python3.11"), "python3-11");
        assert_eq!(name("sh"), "sh");
        assert_eq!(name("./My App!"), "my-app");
        assert_eq!(name("---"), "cmd");
        assert_eq!(name("🦀"), "cmd");
        assert!(name(&"x".repeat(300)).len() <= 40);
    }
}
