use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Status;
use crate::admission::{Operation, admit};
use crate::registry::json::Fields as _;
use crate::registry::options::{DeleteOptions, ListOptions};
use crate::registry::query::Query;
use crate::registry::validation::{FOREGROUND, ORPHAN};
use crate::registry::{Answer, Context, List, normalize, read, strategy, update};
use crate::schema::Json;
use crate::source::rfc3339;
use crate::storage::{Lookup as _, Object, StorageError, Write};

/// How often a deletion is tried again because the object changed meanwhile.
const ATTEMPTS: usize = 5;
const TIMESTAMP: &str = "metadata.deletionTimestamp";
const GRACE: &str = "metadata.deletionGracePeriodSeconds";
const FINALIZERS: &str = "metadata.finalizers";

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

/// What a deletion does to an object.
enum Step {
    /// Nothing: it is on its way already.
    Wait,
    /// It is marked, and somebody else will remove it.
    Mark(Json),
    Remove,
}

fn remove(
    cx: &Context<'_>,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deletion, Status> {
    let (group, resource) = cx.resource.storage;
    let store = &cx.core.store;
    for _ in 0..ATTEMPTS {
        let current = store
            .get(group, resource, namespace, name)
            .ok_or_else(|| Status::not_found(cx.resource.group, cx.resource.name, name))?;
        let old = current.value();
        check_preconditions(cx, &current, options)?;
        admit(cx, Operation::Delete(&old), &mut old.clone())?;
        let (write, marked) = match step(cx, old, options) {
            Step::Wait => {
                return Ok(Deletion {
                    object: current,
                    removed: false,
                });
            }
            Step::Mark(mut marked) => {
                normalize(cx.resource, &mut marked);
                let fields = strategy(cx.resource).fields(&marked);
                let marked = Object::new(&marked, fields);
                if cx.dry_run || marked.same_content(&current) {
                    let object = Arc::new(marked.at_revision(current.revision));
                    return Ok(Deletion {
                        object,
                        removed: false,
                    });
                }
                (Write::Update(marked, current.revision), true)
            }
            Step::Remove if cx.dry_run => {
                return Ok(Deletion {
                    object: current,
                    removed: true,
                });
            }
            Step::Remove => (Write::Delete(current), false),
        };
        match store.apply(cx.resource.storage, write) {
            Ok(object) => {
                return Ok(Deletion {
                    object,
                    removed: !marked,
                });
            }
            Err(StorageError::Stale(_) | StorageError::Missing) => {}
            Err(other) => return Err(Status::internal(other)),
        }
    }
    Err(update::conflict(cx, update::MODIFIED))
}

/// Decides what to do with an object that is to be deleted, after `rest.BeforeDelete` and the generic registry.
fn step(cx: &Context<'_>, mut object: Json, options: &DeleteOptions) -> Step {
    let strategy = strategy(cx.resource);
    let now = cx.core.source.now();
    let begun = object.at(TIMESTAMP).is_some();
    if strategy.is_held(&object) {
        if begun {
            return Step::Wait;
        }
        object.put(TIMESTAMP, rfc3339(now));
        strategy.prepare_delete(&mut object);
        set_finalizers(&mut object, options);
        return Step::Mark(object);
    }

    // A negative period has always been taken for the shortest one.
    let wanted = options
        .grace_period_seconds
        .map(|seconds| if seconds < 0 { 1 } else { seconds });
    let graceful = match object.int(GRACE) {
        Some(running) if begun && running > 0 => match wanted {
            Some(seconds) if seconds < running => {
                shorten(&mut object, now, running, seconds);
                seconds > 0
            }
            _ => return Step::Wait,
        },
        _ if begun => false,
        _ => {
            let default = strategy.grace_period(&object);
            let seconds = if default > 0 {
                wanted.unwrap_or(default)
            } else {
                0
            };
            if seconds > 0 {
                object.put(TIMESTAMP, after(&rfc3339(now), seconds));
                object.put(GRACE, seconds);
                bump_generation(&mut object);
            }
            seconds > 0
        }
    };
    set_finalizers(&mut object, options);
    if graceful {
        return Step::Mark(object);
    }
    if object.is_empty_at(FINALIZERS) {
        return Step::Remove;
    }
    if !begun {
        bump_generation(&mut object);
    }
    let now = rfc3339(now);
    // Both are of one form and zone, in which the order of the texts is the order of the times.
    if !begun || object.text(TIMESTAMP) > now.as_str() {
        object.put(TIMESTAMP, now);
    }
    object.put(GRACE, 0);
    Step::Mark(object)
}

/// Moves the end of a running grace period to what a shorter one would have made it, but not into the past.
fn shorten(object: &mut Json, now: SystemTime, running: i64, seconds: i64) {
    let end = after(object.text(TIMESTAMP), seconds - running);
    let now = rfc3339(now);
    if end < now {
        object.put(TIMESTAMP, now);
        object.put(GRACE, seconds.min(1));
    } else {
        object.put(TIMESTAMP, end);
        object.put(GRACE, seconds);
    }
}

/// A timestamp, `seconds` later; the same where it is none.
fn after(timestamp: &str, seconds: i64) -> String {
    timestamp
        .parse::<Timestamp>()
        .ok()
        .and_then(|t| t.checked_add(SignedDuration::from_secs(seconds)).ok())
        .map_or_else(
            || timestamp.to_owned(),
            |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}

fn bump_generation(object: &mut Json) {
    if let Some(generation) = object.int("metadata.generation").filter(|g| *g > 0) {
        object.put("metadata.generation", generation + 1);
    }
}

/// The garbage collector's finalizers, as the options or else the object itself asks for them.
fn set_finalizers(object: &mut Json, options: &DeleteOptions) {
    let old: Vec<String> = object.texts(FINALIZERS).map(str::to_owned).collect();
    let first = old.iter().find(|f| *f == ORPHAN || *f == FOREGROUND);
    let added = match (
        options.orphan_dependents,
        options.propagation_policy.as_deref(),
    ) {
        (Some(orphan), _) => orphan.then_some(ORPHAN),
        (None, Some("Orphan")) => Some(ORPHAN),
        (None, Some("Foreground")) => Some(FOREGROUND),
        (None, Some(_)) => None,
        (None, None) => first.map(String::as_str),
    };
    let mut new: Vec<&str> = old
        .iter()
        .map(String::as_str)
        .filter(|f| *f != ORPHAN && *f != FOREGROUND)
        .collect();
    new.extend(added);
    if new == old {
        return;
    }
    if new.is_empty() {
        object.take(FINALIZERS);
    } else {
        let new: Vec<Value> = new.into_iter().map(Value::from).collect();
        object.put(FINALIZERS, new);
    }
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

    #[test]
    fn a_shorter_grace_period_moves_the_end_but_not_into_the_past() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        let at =
            |seconds| rfc3339(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let shortened = |end, running, seconds| {
            let mut object = Json::new();
            object.put(TIMESTAMP, at(end));
            shorten(&mut object, now, running, seconds);
            (object.text(TIMESTAMP).to_owned(), object.int(GRACE))
        };
        assert_eq!(shortened(1030, 30, 10), (at(1010), Some(10)));
        assert_eq!(shortened(1010, 30, 10), (at(1000), Some(1)));
        assert_eq!(shortened(1010, 30, 0), (at(1000), Some(0)));
    }
}
