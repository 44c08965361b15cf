//! Kinds on their way through admission and the generic verbs.

use serde_json::{Value, json};

use super::testing::Cluster;
use crate::UserInfo;
use crate::registry::json::Fields as _;
use crate::registry::json::tests::pretty;

const PODS: (&str, &str, &str) = ("", "pods", "");

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let account = json!({"metadata": {"namespace": "default", "name": "default", "uid": "sa-1"}});
    cluster.store("", "serviceaccounts", account);
    cluster
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "a", "image": "nginx"}]},
    })
}

#[test]
fn a_pod_is_stored_as_a_real_server_stores_it() {
    let mut pod = cluster().serve("create", PODS, pod("p")).expect("created");
    pod.put("metadata.uid", "(random)");
    pod.put("metadata.creationTimestamp", "(now)");
    pod["metadata"]["managedFields"][0]["time"] = json!("(now)");
    let volume = pod["spec"]["volumes"][0]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert_eq!(volume.len(), "kube-api-access-".len() + 5);
    insta::assert_snapshot!(pretty(pod).replace(&volume, "kube-api-access-(random)"));
}

#[test]
fn a_pod_needs_its_account() {
    let mut wish = pod("p");
    wish["spec"]["serviceAccountName"] = json!("gone");
    let status = cluster().serve("create", PODS, wish).expect_err("refused");
    assert_eq!(status.code, 403);
    assert_eq!(
        status.message,
        "pods \"p\" is forbidden: error looking up service account default/gone: serviceaccount \"gone\" not found"
    );
}

#[test]
fn a_namespace_that_goes_away_takes_nothing_new() {
    let cluster = cluster();
    let read = || cluster.serve("get", ("", "namespaces", "default"), Value::Null);
    let mut namespace = read().expect("a namespace");
    namespace.put("metadata.deletionTimestamp", "2026-01-01T00:00:00Z");
    namespace.put("status.phase", "Terminating");
    cluster.replace("", "namespaces", &namespace);
    let map = json!({"metadata": {"name": "m"}});
    let status = cluster
        .serve("create", ("", "configmaps", ""), map)
        .expect_err("refused");
    assert_eq!(
        status.message,
        "configmaps \"m\" is forbidden: unable to create new content in namespace default because it is being terminated"
    );
    let causes = status
        .details
        .map(|details| details.causes)
        .unwrap_or_default();
    assert_eq!(causes[0].reason, "NamespaceTerminating");
}

#[test]
fn a_pod_is_bound_runs_and_is_given_time_to_stop() {
    let cluster = cluster();
    cluster.serve("create", PODS, pod("p")).expect("created");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = cluster
        .serve("create", ("", "pods", "p/binding"), binding)
        .expect("bound");
    assert_eq!(bound["status"], "Success");

    let mut running = cluster
        .serve("get", ("", "pods", "p"), Value::Null)
        .expect("a pod");
    assert_eq!(running["spec"]["nodeName"], "n");
    running.put("status.phase", "Running");
    running.put("status.podIP", "10.0.0.1");
    running.put("spec.nodeName", "m");
    let status = ("", "pods", "p/status");
    let running = cluster
        .serve("update", status, running.into())
        .expect("updated");
    assert_eq!(running["spec"]["nodeName"], "n");
    assert_eq!(running["status"]["podIPs"], json!([{"ip": "10.0.0.1"}]));
    assert_eq!(running["status"]["qosClass"], "BestEffort");

    let stopping = cluster
        .serve("delete", ("", "pods", "p"), Value::Null)
        .expect("deleted");
    assert_eq!(stopping["metadata"]["deletionGracePeriodSeconds"], 30);
    let table = cluster.table("pods", 0);
    assert_eq!(table["rows"][0]["cells"][2], "Terminating");
}

#[test]
fn the_spec_of_a_pod_is_fixed() {
    let cluster = cluster();
    let mut pod = cluster.serve("create", PODS, pod("p")).expect("created");
    pod["spec"]["containers"][0]["image"] = json!("nginx:2");
    let path = ("", "pods", "p");
    let mut pod = cluster
        .serve("update", path, pod.into())
        .expect("an image may change");
    pod.put("spec.hostname", "other");
    let status = cluster
        .serve("update", path, pod.into())
        .expect_err("refused");
    assert_eq!(status.code, 422);
    assert!(status.message.starts_with(
        "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
    ));
}

#[test]
fn a_service_keeps_the_address_it_was_given() {
    let cluster = cluster();
    let service =
        |port: u16| json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": port}]}});
    let created = cluster
        .serve("create", ("", "services", ""), service(80))
        .expect("created");
    let updated = cluster
        .serve("update", ("", "services", "s"), service(81))
        .expect("updated");
    assert_eq!(updated["spec"]["clusterIP"], created["spec"]["clusterIP"]);
    assert_eq!(updated["spec"]["ports"][0]["targetPort"], 81);

    let mut other = service(80);
    other["metadata"]["name"] = json!("t");
    other["spec"]["clusterIP"] = created["spec"]["clusterIP"].clone();
    let status = cluster
        .serve("create", ("", "services", ""), other)
        .expect_err("refused");
    assert!(status.message.ends_with("provided IP is already allocated"));
}

#[test]
fn an_event_written_one_way_is_read_the_other() {
    let cluster = cluster();
    let event = json!({
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
        "action": "Act", "reason": "Because", "type": "Normal",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        "note": "it happened",
    });
    let new = cluster
        .serve("create", ("events.k8s.io", "events", ""), event)
        .expect("created");
    assert_eq!(new["apiVersion"], "events.k8s.io/v1");
    assert_eq!(new["note"], "it happened");
    let core = cluster
        .serve("get", ("", "events", "e"), Value::Null)
        .expect("an event");
    assert_eq!(core["apiVersion"], "v1");
    assert_eq!(core["message"], "it happened");
    assert_eq!(core["involvedObject"]["name"], "p");
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let cluster = Cluster::of(UserInfo::new("jane", ["system:authenticated"]));
    let role = json!({
        "metadata": {"name": "r"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    });
    let path = ("rbac.authorization.k8s.io", "roles", "");
    let status = cluster.serve("create", path, role).expect_err("refused");
    assert_eq!(
        status.message,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to \
         grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"
    );
}

#[test]
fn the_table_of_pods_is_what_kubectl_prints() {
    let cluster = cluster();
    cluster.store("", "pods", json!({
        "metadata": {"namespace": "default", "name": "p", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"nodeName": "n", "containers": [{"name": "a"}]},
        "status": {"phase": "Pending"},
    }));
    insta::assert_snapshot!(pretty(cluster.table("pods", 300)));
}
