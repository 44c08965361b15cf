mod step;

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::Status;
use crate::admission::{Operation, admit};
use crate::registry::options::{DeleteOptions, ListOptions};
use crate::registry::query::Query;
use crate::registry::{Answer, Context, List, normalize, read, strategy, update};
use crate::schema::Json;
use crate::storage::{Lookup as _, Object, StorageError, Write};

use step::{Step, step};

/// Deletes the object that the request names.
pub(super) fn delete(cx: &Context<'_>, options: &DeleteOptions) -> Result<Answer, Status> {
    let cx = &with_dry_run(cx, options);
    let namespace = read::namespace(cx).unwrap_or_default();
    let deletion = remove(cx, namespace, &cx.info.name, options)?;
    if deletion.removed && !strategy(cx.resource).returns_deleted() {
        return Ok(Answer::Value(StatusCode::OK, success(cx, &deletion.object)));
    }
    let code = if !deletion.removed && options.orphan_dependents == Some(false) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok(Answer::Object(code, cx.resource, deletion.object))
}

/// Deletes what a list with the same parameters would answer, and answers that list.
pub(super) fn delete_collection(
    cx: &Context<'_>,
    query: &Query,
    options: &DeleteOptions,
) -> Result<Answer, Status> {
    let cx = &with_dry_run(cx, options);
    let list: List = read::collection(cx, &ListOptions::parse(cx, query)?)?;
    for item in &list.items {
        match remove(cx, &item.namespace, &item.name, options) {
            Ok(_) => {}
            Err(status) if status.code == StatusCode::NOT_FOUND => {}
            Err(status) => return Err(status),
        }
    }
    Ok(Answer::List(list))
}

/// What became of an object.
struct Deletion {
    object: Arc<Object>,
    /// Whether it is gone; otherwise something has to happen first.
    removed: bool,
}

fn remove(
    cx: &Context<'_>,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deletion, Status> {
    let (group, resource) = cx.resource.storage;
    let store = &cx.core.store;
    for _ in 0..update::ATTEMPTS {
        let current = store
            .get(group, resource, namespace, name)
            .ok_or_else(|| Status::not_found(cx.resource.group, cx.resource.name, name))?;
        let old = current.value();
        check_preconditions(cx, &current, options)?;
        admit(cx, Operation::Delete(&old), &mut old.clone())?;
        let (marked, removed) = match step(cx, old, options) {
            Step::Wait => (None, false),
            Step::Mark(marked) => (Some(marked), false),
            Step::MarkAndRemove(marked) => (Some(marked), true),
            Step::Remove => (None, true),
        };
        match carry_out(cx, current, marked, removed) {
            Ok(object) => return Ok(Deletion { object, removed }),
            Err(StorageError::Stale(_) | StorageError::Missing) => {}
            Err(other) => return Err(Status::internal(other)),
        }
    }
    Err(update::conflict(cx, update::MODIFIED))
}

/// Writes a deletion: the marked object where there is one, then the removal where it comes at once. Answers the object as it is
/// then or last was.
fn carry_out(
    cx: &Context<'_>,
    current: Arc<Object>,
    marked: Option<Json>,
    removed: bool,
) -> Result<Arc<Object>, StorageError> {
    let store = &cx.core.store;
    let mut object = current;
    if let Some(mut marked) = marked {
        normalize(cx.resource, &mut marked);
        let fields = strategy(cx.resource).fields(&marked);
        let marked = Object::new(&marked, fields);
        object = if cx.dry_run || marked.same_content(&object) {
            Arc::new(marked.at_revision(object.revision))
        } else {
            store.apply(cx.resource.storage, Write::Update(marked, object.revision))?
        };
    }
    if removed && !cx.dry_run {
        object = store.apply(cx.resource.storage, Write::Delete(object))?;
    }
    Ok(object)
}

fn check_preconditions(
    cx: &Context<'_>,
    current: &Object,
    options: &DeleteOptions,
) -> Result<(), Status> {
    // The real server names the kind here, where other conflicts name the resource.
    let conflict =
        |why: String| Status::conflict(cx.resource.group, cx.resource.kind, &current.name, &why);
    if let Some(uid) = options.uid.as_ref().filter(|uid| **uid != current.uid) {
        return Err(conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            current.uid
        )));
    }
    let revision = current.revision.to_string();
    if let Some(version) = options
        .resource_version
        .as_ref()
        .filter(|v| **v != revision)
    {
        return Err(conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({revision}). \
             The object might have been modified"
        )));
    }
    Ok(())
}

fn with_dry_run<'a>(cx: &Context<'a>, options: &DeleteOptions) -> Context<'a> {
    Context {
        dry_run: cx.dry_run || options.is_dry_run(),
        ..*cx
    }
}

/// The Status that says the object is gone.
fn success(cx: &Context<'_>, object: &Object) -> Json {
    let mut details = json!({"name": object.name});
    if !cx.resource.group.is_empty() {
        details["group"] = cx.resource.group.into();
    }
    details["kind"] = cx.resource.name.into();
    details["uid"] = object.uid.as_str().into();
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    match status {
        Value::Object(status) => status,
        _ => Json::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Input;
    use crate::registry::testing::{Server, value};

    fn create(server: &Server, metadata: &Value) -> Value {
        server
            .write("create", "", "", json!({"metadata": metadata}))
            .expect("created")
    }

    fn delete(server: &Server, query: &str) -> Result<Value, Status> {
        server.serve("delete", "a", query, Input::Empty).map(value)
    }

    #[test]
    fn what_is_gone_is_told_by_a_status() {
        let server = Server::new();
        let created = create(&server, &json!({"name": "a"}));
        let status = delete(&server, "").expect("deleted");
        assert_eq!(
            status,
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": {
                    "name": "a", "group": "test.example", "kind": "things", "uid": created["metadata"]["uid"]
                }
            })
        );
        assert_eq!(delete(&server, "").expect_err("gone").code, 404);
    }

    #[test]
    fn a_finalizer_keeps_the_object_until_it_is_removed() {
        let server = Server::new();
        create(
            &server,
            &json!({"name": "a", "finalizers": ["x.example/wait"]}),
        );
        let marked = delete(&server, "").expect("marked");
        assert!(marked["metadata"]["deletionTimestamp"].is_string());
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
        let again = delete(&server, "").expect("marked");
        assert_eq!(again, marked);

        let body = json!({"metadata": {"name": "a"}});
        let taken = server
            .write("create", "", "", body.clone())
            .expect_err("still there");
        assert!(taken.message.starts_with("object is being deleted: "));
        server.write("update", "a", "", body).expect("finished");
        assert_eq!(
            server
                .write("get", "a", "", json!({}))
                .expect_err("gone")
                .code,
            404
        );
    }

    #[test]
    fn the_propagation_policy_becomes_a_finalizer() {
        let server = Server::new();
        create(&server, &json!({"name": "a"}));
        let marked = delete(&server, "propagationPolicy=Foreground").expect("marked");
        assert_eq!(
            marked["metadata"]["finalizers"],
            json!(["foregroundDeletion"])
        );
        delete(&server, "propagationPolicy=Background").expect("deleted");
        assert_eq!(delete(&server, "").expect_err("gone").code, 404);
    }

    #[test]
    fn preconditions_and_dry_runs_leave_the_object_alone() {
        let server = Server::new();
        let created = create(&server, &json!({"name": "a"}));
        let status = delete(&server, "uid=other").expect_err("another object");
        assert_eq!(status.code, 409);
        let uid = created["metadata"]["uid"].as_str().expect("a uid");
        assert_eq!(
            status.message,
            format!(
                "Operation cannot be fulfilled on Thing.test.example \"a\": the UID in the precondition (other) does not \
                 match the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        );
        let body = json!({"preconditions": {"resourceVersion": "1"}});
        let status = server.write("delete", "a", "", body).expect_err("older");
        assert_eq!(status.code, 409);
        server
            .write("delete", "a", "", json!({"dryRun": ["All"]}))
            .expect("possible");
        delete(&server, "resourceVersion=3").expect("deleted");
    }

    #[test]
    fn a_collection_is_deleted_by_selector() {
        let server = Server::new();
        create(&server, &json!({"name": "a", "labels": {"l": "1"}}));
        create(&server, &json!({"name": "b"}));
        let answer = server
            .serve("deletecollection", "", "labelSelector=l%3D1", Input::Empty)
            .expect("deleted");
        let Answer::List(list) = answer else {
            panic!("no list: {answer:?}")
        };
        assert_eq!(list.items.len(), 1);
        assert_eq!(delete(&server, "").expect_err("gone").code, 404);
        server.write("get", "b", "", json!({})).expect("there");
    }
}
