//! What becomes of dependents, as the crate `inpod` sees it.

mod common;

use common::{admin, server};
use futures_util::StreamExt as _;
use inpod::{Client, List, WatchEvent};
use inpod_apiserver::Server;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const NODES: &str = "/api/v1/nodes";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

struct Cluster {
    server: Server,
    client: Client,
}

impl Cluster {
    async fn start() -> Self {
        let server = server().await;
        let client = admin(&server);
        Self { server, client }
    }

    async fn create(&self, collection: &str, metadata: Value) -> Value {
        let object = json!({"metadata": metadata});
        let created = self.client.create(collection, &object).await;
        created.expect("created")
    }

    /// A config map with those owners and finalizers.
    async fn map(&self, name: &str, owners: &[Value], finalizers: &[&str]) -> Value {
        let metadata = json!({"name": name, "ownerReferences": owners, "finalizers": finalizers});
        self.create(MAPS, metadata).await
    }

    async fn delete(&self, name: &str, policy: &str) {
        let options = json!({"propagationPolicy": policy});
        let path = format!("{MAPS}/{name}");
        let deleted = self.client.delete(&path, &options).await;
        deleted.expect("deleted");
    }

    async fn get(&self, name: &str) -> Value {
        let map = self.client.get(&format!("{MAPS}/{name}")).await;
        map.expect("it is there")
    }

    /// The names of the config maps that are deleted, in that order, until `last` is.
    async fn deleted_until(&self, since: &Value, last: &str) -> Vec<String> {
        self.deleted_of(MAPS, since, last).await
    }

    async fn deleted_of(&self, collection: &str, since: &Value, last: &str) -> Vec<String> {
        let revision = since["metadata"]["resourceVersion"].as_str();
        let revision = revision.expect("a revision");
        let path = format!("{collection}?resourceVersion={revision}");
        let mut events = self.client.watch::<Value>(&path).await.expect("a watch");
        let mut deleted = Vec::new();
        while deleted.last().is_none_or(|name| name != last) {
            let event = events.next().await.expect("an event").expect("no error");
            if let WatchEvent::Deleted(map) = event {
                deleted.push(name(&map).to_owned());
            }
        }
        deleted
    }

    async fn names(&self) -> Vec<String> {
        let list: List<Value> = self.client.get(MAPS).await.expect("a list");
        let names = list.items.iter().map(|map| name(map).to_owned());
        names.filter(|name| name != "kube-root-ca.crt").collect()
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

fn refers_to(kind: &str, owner: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "name": name(owner), "uid": owner["metadata"]["uid"]})
}

fn owned_by(owner: &Value) -> Value {
    refers_to("ConfigMap", owner)
}

fn blocks(owner: &Value) -> Value {
    let mut reference = owned_by(owner);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

#[tokio::test]
async fn what_has_no_owner_left_is_deleted_and_what_has_loses_the_reference() {
    let cluster = Cluster::start().await;
    let owner = cluster.map("owner", &[], &[]).await;
    let other = cluster.map("other", &[], &[]).await;
    let owners = [owned_by(&owner), owned_by(&other)];
    cluster.map("a-shared", &owners, &[]).await;
    let child = cluster.map("child", &owners[..1], &[]).await;
    let last = cluster.map("grandchild", &[owned_by(&child)], &[]).await;

    cluster.delete("owner", "Background").await;
    let deleted = cluster.deleted_until(&last, "grandchild").await;
    assert_eq!(deleted, ["owner", "child", "grandchild"]);
    assert_eq!(cluster.names().await, ["a-shared", "other"]);
    let shared = cluster.get("a-shared").await;
    assert_eq!(
        shared["metadata"]["ownerReferences"],
        json!([owned_by(&other)])
    );
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn orphans_stay_without_the_reference() {
    let cluster = Cluster::start().await;
    let owner = cluster.map("owner", &[], &[]).await;
    let other = cluster.map("other", &[], &[]).await;
    cluster.map("a", &[owned_by(&owner)], &[]).await;
    let owners = [owned_by(&owner), owned_by(&other)];
    let last = cluster.map("b", &owners, &[]).await;

    cluster.delete("owner", "Orphan").await;
    assert_eq!(cluster.deleted_until(&last, "owner").await, ["owner"]);
    assert_eq!(cluster.names().await, ["a", "b", "other"]);
    let (a, b) = (cluster.get("a").await, cluster.get("b").await);
    assert_eq!(a["metadata"].get("ownerReferences"), None);
    assert_eq!(b["metadata"]["ownerReferences"], json!([owned_by(&other)]));
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_the_dependents_that_block_it() {
    let cluster = Cluster::start().await;
    let owner = cluster.map("owner", &[], &[]).await;
    let child = cluster.map("child", &[blocks(&owner)], &[]).await;
    let held = ["test.example/hold"];
    cluster.map("free", &[owned_by(&owner)], &held).await;
    cluster.map("grandchild", &[blocks(&child)], &held).await;
    let last = cluster.map("sibling", &[blocks(&owner)], &[]).await;

    cluster.delete("owner", "Foreground").await;
    assert_eq!(cluster.deleted_until(&last, "sibling").await, ["sibling"]);
    for waiting in ["child", "owner"] {
        let finalizers = &cluster.get(waiting).await["metadata"]["finalizers"];
        assert_eq!(*finalizers, json!(["foregroundDeletion"]), "{waiting}");
    }
    let let_go = json!({"metadata": {"finalizers": []}});
    let grandchild = format!("{MAPS}/grandchild");
    let patched: Result<Value, _> = cluster.client.merge_patch(&grandchild, &let_go).await;
    patched.expect("let go");
    let deleted = cluster.deleted_until(&last, "owner").await;
    assert_eq!(deleted, ["sibling", "grandchild", "child", "owner"]);
    assert_eq!(cluster.names().await, ["free"]);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_foreground_deletion_of_a_circle_ends() {
    let cluster = Cluster::start().await;
    let a = cluster.map("a", &[], &[]).await;
    let b = cluster.map("b", &[blocks(&a)], &[]).await;
    let owners = json!({"metadata": {"ownerReferences": [blocks(&b)]}});
    let closed = cluster
        .client
        .merge_patch(&format!("{MAPS}/a"), &owners)
        .await;
    let closed: Value = closed.expect("patched");

    cluster.delete("a", "Foreground").await;
    cluster.deleted_until(&closed, "b").await;
    assert_eq!(cluster.names().await, Vec::<String>::new());
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn an_owner_that_never_was_is_gone_and_one_that_cannot_be_looked_up_is_not() {
    let cluster = Cluster::start().await;
    let node = cluster.create(NODES, json!({"name": "owner"})).await;
    let elsewhere = "/api/v1/namespaces/kube-public/configmaps";
    let foreign = cluster.create(elsewhere, json!({"name": "owner"})).await;
    let of_node = refers_to("Node", &node);
    let unknown =
        json!({"apiVersion": "test.example/v1", "kind": "Thing", "name": "x", "uid": "u"});
    cluster.map("a-of-the-cluster", &[of_node], &[]).await;
    cluster.map("b-unknown", &[unknown], &[]).await;
    let of_another = json!({"apiVersion": "v1", "kind": "Node", "name": "owner", "uid": "u"});
    let first = cluster.map("c-of-another-uid", &[of_another], &[]).await;
    let last = cluster.map("d-foreign", &[owned_by(&foreign)], &[]).await;

    cluster.deleted_until(&first, "c-of-another-uid").await;
    cluster.deleted_until(&last, "d-foreign").await;
    assert_eq!(cluster.names().await, ["a-of-the-cluster", "b-unknown"]);

    let of_the_cluster = format!("{NODES}/owner");
    let deleted = cluster.client.delete(&of_the_cluster, &json!({})).await;
    deleted.expect("deleted");
    cluster.deleted_until(&last, "a-of-the-cluster").await;
    assert_eq!(cluster.names().await, ["b-unknown"]);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_role_of_any_name_is_collected() {
    let cluster = Cluster::start().await;
    let name = "system:a role, \u{e9}?";
    let of_nobody = json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"});
    let metadata = json!({"name": name, "ownerReferences": [of_nobody]});
    let role = cluster.create(ROLES, metadata).await;
    assert_eq!(cluster.deleted_of(ROLES, &role, name).await, [name]);
    cluster.server.shutdown().await;
}

#[tokio::test]
async fn a_namespace_goes_with_what_waits_for_its_dependents() {
    let cluster = Cluster::start().await;
    let namespaces = "/api/v1/namespaces";
    let namespace = cluster.create(namespaces, json!({"name": "n"})).await;
    let maps = "/api/v1/namespaces/n/configmaps";
    let owner = cluster.create(maps, json!({"name": "owner"})).await;
    let metadata = json!({
        "name": "child", "ownerReferences": [blocks(&owner)], "finalizers": ["test.example/hold"],
    });
    cluster.create(maps, metadata).await;
    let options = json!({"propagationPolicy": "Foreground"});
    for path in [&format!("{maps}/owner"), "/api/v1/namespaces/n"] {
        let deleted = cluster.client.delete(path, &options).await;
        deleted.expect("deleted");
    }
    let let_go = json!({"metadata": {"finalizers": []}});
    let child = format!("{maps}/child");
    let patched: Result<Value, _> = cluster.client.merge_patch(&child, &let_go).await;
    patched.expect("let go");
    let deleted = cluster.deleted_of(namespaces, &namespace, "n").await;
    assert_eq!(deleted, ["n"]);
    cluster.server.shutdown().await;
}
