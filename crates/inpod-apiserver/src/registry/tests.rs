//! The generic verbs on the kinds that ask most of them.

use serde_json::{Value, json};

use super::testing::{Server, value};
use super::{Answer, Input, Patch, serve};
use crate::Status;
use crate::registry::json::tests::object;
use crate::schema;

fn call(
    server: &Server,
    verb: &str,
    (group, resource): (&str, &str),
    name: &str,
    input: Input,
) -> Result<Value, Status> {
    let resource = schema::resource(group, "v1", resource).expect("a served resource");
    let info = Server::info(resource, verb, name);
    serve(server.context(&info, resource), "", input).map(value)
}

fn body(value: Value) -> Input {
    Input::Object(object(value))
}

fn merge_patch(patch: Value) -> Input {
    Input::Patch(Patch::Merge(patch), Vec::new())
}

fn server_with_pod() -> Server {
    let server = Server::new();
    let account = json!({"metadata": {"name": "default"}});
    call(
        &server,
        "create",
        ("", "serviceaccounts"),
        "",
        body(account),
    )
    .expect("created");
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
    });
    call(&server, "create", ("", "pods"), "", body(pod)).expect("created");
    server
}

#[test]
fn a_running_pod_has_time_to_end_and_is_gone_when_it_has_none_left() {
    let server = server_with_pod();
    let pods = ("", "pods");
    let marked = call(&server, "delete", pods, "p", Input::Empty).expect("marked");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["generation"], 2);
    let again = call(&server, "delete", pods, "p", Input::Empty).expect("waiting");
    assert_eq!(again, marked);

    let shorter = body(json!({"gracePeriodSeconds": 5}));
    let shortened = call(&server, "delete", pods, "p", shorter).expect("marked");
    assert_eq!(shortened["metadata"]["deletionGracePeriodSeconds"], 5);
    assert!(
        shortened["metadata"]["deletionTimestamp"].as_str()
            < marked["metadata"]["deletionTimestamp"].as_str()
    );

    let now = body(json!({"gracePeriodSeconds": 0}));
    let gone = call(&server, "delete", pods, "p", now).expect("deleted");
    assert_eq!(gone["metadata"]["name"], "p");
    let status = call(&server, "get", pods, "p", Input::Empty).expect_err("gone");
    assert_eq!(status.message, "pods \"p\" not found");
}

#[test]
fn the_status_of_a_pod_is_changed_by_its_subresource_alone() {
    let server = server_with_pod();
    let pods = ("", "pods");
    let patch = json!({"metadata": {"labels": {"l": "1"}}, "status": {"phase": "Running"}});
    let patched = call(&server, "patch", pods, "p", merge_patch(patch.clone())).expect("patched");
    assert_eq!(patched["status"]["phase"], "Pending");
    let patched = call(&server, "patch", pods, "p/status", merge_patch(patch)).expect("patched");
    assert_eq!(patched["status"]["phase"], "Running");
    assert_eq!(patched["metadata"]["labels"]["l"], "1");
}

#[test]
fn a_patch_is_told_what_the_object_would_have_been() {
    let server = Server::new();
    let maps = ("", "configmaps");
    let map = json!({"metadata": {"name": "m"}, "data": {"k": "v"}});
    call(&server, "create", maps, "", body(map)).expect("created");
    let patch = |query: &str, patch: Value| {
        let resource = schema::resource("", "v1", "configmaps").expect("served");
        let info = Server::info(resource, "patch", "m");
        let cx = server.context(&info, resource);
        serve(cx, query, merge_patch(patch)).map(value)
    };
    let status = patch("", json!({"data": {"k": 1}})).expect_err("no string");
    assert_eq!(status.code, 422);
    assert!(
        status.message.starts_with(
            " \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"k\\\":1}"
        ) && status
            .message
            .ends_with("json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        "{status}"
    );
    let status = patch("fieldValidation=Strict", json!({"foo": 1})).expect_err("an unknown field");
    assert!(
        status
            .message
            .ends_with(": strict decoding error: unknown field \"foo\""),
        "{status}"
    );
    let patched = patch("", json!({"foo": 1, "data": {"a": "b"}})).expect("patched");
    assert_eq!(patched["data"], json!({"a": "b", "k": "v"}));
    assert_eq!(patched.get("foo"), None);
    // Fields are in the order of the Go type, maps in that of their keys, whatever came in which order.
    assert!(patched.to_string().contains(r#""data":{"a":"b","k":"v"}"#));
}

#[test]
fn a_namespace_waits_for_what_is_in_it() {
    let server = Server::new();
    let namespaces = ("", "namespaces");
    let namespace = json!({"metadata": {"name": "team"}});
    call(&server, "create", namespaces, "", body(namespace)).expect("created");
    let marked = call(&server, "delete", namespaces, "team", Input::Empty).expect("marked");
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert_eq!(marked["spec"]["finalizers"], json!(["kubernetes"]));
    assert!(marked["metadata"]["deletionTimestamp"].is_string());

    let mut finished = marked;
    finished["spec"]["finalizers"] = json!([]);
    call(
        &server,
        "update",
        namespaces,
        "team/finalize",
        body(finished),
    )
    .expect("finished");
    let status = call(&server, "get", namespaces, "team", Input::Empty).expect_err("gone");
    assert_eq!(status.code, 404);
}

#[test]
fn both_versions_of_an_event_are_one_object() {
    let server = Server::new();
    let (core, new) = (("", "events"), ("events.k8s.io", "events"));
    let event = json!({
        "metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
        "reportingController": "example.com/c", "reportingInstance": "c-1", "action": "Act", "reason": "Because",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"}, "note": "it happened",
    });
    call(&server, "create", new, "", body(event)).expect("created");
    let stored = call(&server, "get", core, "e", Input::Empty).expect("there");
    assert_eq!(stored["message"], "it happened");
    let patch = json!([
        {"op": "test", "path": "/note", "value": "it happened"},
        {"op": "add", "path": "/metadata/labels", "value": {"l": "1"}},
    ]);
    let patched = call(
        &server,
        "patch",
        new,
        "e",
        Input::Patch(Patch::Json(patch), Vec::new()),
    )
    .expect("patched");
    assert_eq!(patched["metadata"]["labels"]["l"], "1");
}

#[test]
fn field_selectors_choose_pods() {
    let server = server_with_pod();
    let pods = schema::resource("", "v1", "pods").expect("served");
    let info = Server::info(pods, "list", "");
    let list = |query| match serve(server.context(&info, pods), query, Input::Empty) {
        Ok(Answer::List(list)) => Ok(list.items.len()),
        Ok(other) => panic!("no list: {other:?}"),
        Err(status) => Err(status.message),
    };
    assert_eq!(list("fieldSelector=spec.nodeName%3Dn"), Ok(1));
    assert_eq!(list("fieldSelector=status.phase%21%3DPending"), Ok(0));
    assert_eq!(
        list("fieldSelector=foo.bar%3Dx"),
        Err("field label not supported: foo.bar".to_owned())
    );
}

#[test]
fn a_verb_that_the_resource_does_not_have_is_405() {
    let server = server_with_pod();
    let status = call(
        &server,
        "update",
        ("", "serviceaccounts"),
        "default/token",
        body(json!({})),
    )
    .expect_err("refused");
    assert_eq!(status.code, 405);
}

#[test]
fn an_update_may_create_what_its_kind_allows() {
    let server = Server::new();
    let leases = ("coordination.k8s.io", "leases");
    let lease = json!({"metadata": {"name": "l", "resourceVersion": "7"}, "spec": {"holderIdentity": "me"}});
    let created = call(&server, "update", leases, "l", body(lease)).expect("created");
    assert_eq!(created["spec"]["holderIdentity"], "me");
    assert_eq!(created["metadata"]["resourceVersion"], "3");
    let map = json!({"metadata": {"name": "m"}});
    let status = call(&server, "update", ("", "secrets"), "m", body(map)).expect_err("missing");
    assert_eq!(status.code, 404);
}
