mod convert;
mod go;
mod strategic;

use json_patch::{PatchOperation, jsonptr::Pointer};
use serde_json::Value;

use crate::registry::json::Fields as _;
use crate::registry::kinds::field::invalid;
use crate::registry::{Answer, Context, served, to_storage, update};
use crate::schema::{self, FieldValidation, Json};
use crate::status::Reason;
use crate::{Cause, Details, Status};

/// The most operations of a JSON patch.
const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that the `copy` operations of one patch may add together.
const MAX_COPIED: usize = 3 << 20;
/// The deepest that an object may be nested; what is deeper could not be read back.
const MAX_DEPTH: usize = 100;

/// A patch as it came.
#[derive(Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
}

/// Changes an object by a patch, which sees it as the resource serves it.
pub(super) fn patch(
    cx: &Context<'_>,
    patch: &Patch,
    validation: FieldValidation,
) -> Result<Answer, Status> {
    update::change(cx, |old| {
        let before = served(cx.resource, old.clone());
        let after = patch.apply(Value::Object(before.clone()))?;
        decode(cx, &before, after, validation).map(|object| to_storage(cx.resource, object))
    })
}

/// Changes an object by a strategic merge patch; `duplicates` are the fields that came twice in it.
pub(super) fn patch_strategically(
    cx: &Context<'_>,
    patch: &Json,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<Answer, Status> {
    let resource = cx.resource;
    let ty = schema::type_of(resource.group, resource.version, resource.kind)
        .ok_or_else(|| Status::bad_request("strategic merge patch format is not supported"))?;
    update::change(cx, |old| {
        let before = served(resource, old.clone());
        let type_meta = ["kind", "apiVersion"].map(|field| (field, before.text(field).to_owned()));
        let mut patch = patch.clone();
        let mut after = strategic::merge(ty, before, &mut patch)?;
        let refuse = |why: &str| {
            let patch = go::print(&Value::Object(patch.clone()));
            Status::invalid("", "", "", vec![invalid("patch", patch, why)])
        };
        let unknown = convert::convert(ty, &mut after).map_err(|why| refuse(&why))?;
        let strict: Vec<String> = duplicates.iter().cloned().chain(unknown).collect();
        match validation {
            FieldValidation::Strict if !strict.is_empty() => {
                let why = format!("strict decoding error: {}", strict.join(", "));
                return Err(refuse(&why));
            }
            FieldValidation::Warn => strict.into_iter().for_each(|why| cx.warnings.add(why)),
            _ => {}
        }
        // Whatever the patch calls it, it is still what its path says.
        for (field, text) in type_meta {
            after.put(field, text);
        }
        let text = Value::Object(after).to_string();
        let decoded = schema::decode_json(ty, text.as_bytes(), FieldValidation::Ignore)
            .map_err(|status| refuse(&status.message))?;
        Ok(to_storage(resource, decoded.value))
    })
}

impl Patch {
    /// The document with the patch applied.
    ///
    /// # Errors
    /// 400 for what is no patch, 413 for one with too many operations, 422 for one that does not fit the document.
    pub(super) fn apply(&self, mut document: Value) -> Result<Value, Status> {
        match self {
            Self::Merge(patch) if !patch.is_object() => Err(Status::bad_request(
                "error decoding patch: json: cannot unmarshal a value that is no object into Go value of type map[string]interface {}",
            )),
            Self::Merge(patch) => {
                json_patch::merge(&mut document, patch);
                Ok(document)
            }
            Self::Json(operations) => {
                let mut copied = 0;
                for operation in &read(operations)? {
                    apply_one(&mut document, operation, &mut copied)?;
                }
                Ok(document)
            }
        }
    }
}

fn read(patch: &Value) -> Result<Vec<PatchOperation>, Status> {
    let Some(operations) = patch.as_array() else {
        return Err(Status::bad_request(
            "error decoding patch: json: cannot unmarshal a value that is no array into Go value of type []handlers.jsonPatchOp",
        ));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Status::new(
            http::StatusCode::PAYLOAD_TOO_LARGE,
            Reason::RequestEntityTooLarge,
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                operations.len()
            ),
        ));
    }
    operations
        .iter()
        .map(|operation| {
            serde_json::from_value(operation.clone())
                .map_err(|problem| does_not_fit(format!("{operation}: {problem}")))
        })
        .collect()
}

/// Does one operation. `copied` counts the bytes that were copied so far, because copies of copies grow without bound.
fn apply_one(
    document: &mut Value,
    operation: &PatchOperation,
    copied: &mut usize,
) -> Result<(), Status> {
    let source = |pointer: &Pointer| document.pointer(pointer.as_str());
    let added = match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Move(from) => source(&from.from),
        PatchOperation::Copy(from) => {
            let value = source(&from.from);
            *copied += value.map_or(0, |v| v.to_string().len());
            value
        }
        // As in Go, what is not there equals null.
        PatchOperation::Test(test) if test.value.is_null() && source(&test.path).is_none() => {
            return Ok(());
        }
        _ => None,
    };
    if *copied > MAX_COPIED {
        return Err(does_not_fit(format!(
            "{operation}: the copies of a patch may not be more than {MAX_COPIED} bytes"
        )));
    }
    if added.is_some_and(|v| depth(v) + operation.path().count() > MAX_DEPTH) {
        return Err(does_not_fit(format!(
            "{operation}: an object may not be nested more than {MAX_DEPTH} deep"
        )));
    }
    json_patch::patch_unsafe(document, std::slice::from_ref(operation))
        .map_err(|problem| does_not_fit(format!("{operation}: {}", problem.kind)))
}

/// How deep `value` is nested. Documents are never deeper than a body may be, so that recursion is safe.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// 422 for a patch that cannot be applied: the real server's sentence, and as its cause which operation it was.
fn does_not_fit(why: String) -> Status {
    Status::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        Reason::Invalid,
        "the server rejected our request due to an error in our request",
    )
    .with_details(Details {
        causes: vec![Cause::new("", "", why)],
        ..Details::default()
    })
}

/// Reads the patched object as if it had been sent; what is wrong with it is the patch's fault.
fn decode(
    cx: &Context<'_>,
    before: &Json,
    after: Value,
    validation: FieldValidation,
) -> Result<Json, Status> {
    let text = after.to_string();
    let refuse =
        |why: &str| Status::invalid("", "", "", vec![invalid("patch", text.as_str(), why)]);
    let Value::Object(object) = after else {
        return Err(refuse("the patched object is no JSON object"));
    };
    for field in ["kind", "apiVersion"] {
        if object.at(field) != before.at(field) {
            return Err(refuse(&format!("a patch cannot change {field}")));
        }
    }
    let resource = cx.resource;
    match schema::type_of(resource.group, resource.version, resource.kind) {
        Some(ty) => schema::decode_json(ty, text.as_bytes(), validation)
            .map(|decoded| decoded.value)
            .map_err(|status| {
                // A body would be told what it was taken for; a patch is shown the object instead.
                let as_body = format!(" cannot be handled as a {}: ", resource.kind);
                let why = status.message.split_once(&as_body);
                refuse(why.map_or(status.message.as_str(), |(_, why)| why))
            }),
        // A kind that has no table has nothing to be checked against.
        None => Ok(object),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::registry::Input;
    use crate::registry::testing::{Server, value};

    fn server() -> Server {
        let server = Server::new();
        let body = json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}, "spec": {"list": [1, 2]}});
        server.write("create", "", "", body).expect("created");
        server
    }

    fn json_patch(server: &Server, patch: Value) -> Result<Value, Status> {
        server
            .serve("patch", "a", "", Input::JsonPatch(patch))
            .map(value)
    }

    #[test]
    fn a_merge_patch_replaces_and_removes() {
        let server = server();
        let patch = json!({"metadata": {"labels": {"x": null, "z": "3"}}, "spec": {"list": [3]}});
        let patched = server
            .serve("patch", "a", "", Input::MergePatch(patch))
            .map(value)
            .expect("patched");
        assert_eq!(patched["metadata"]["labels"], json!({"y": "2", "z": "3"}));
        assert_eq!(patched["spec"], json!({"list": [3]}));
        assert_eq!(patched["metadata"]["resourceVersion"], "4");
    }

    #[test]
    fn a_json_patch_is_applied_in_order() {
        let server = server();
        let patched = json_patch(
            &server,
            json!([
                {"op": "test", "path": "/kind", "value": "Thing"},
                {"op": "test", "path": "/spec/absent", "value": null},
                {"op": "add", "path": "/spec/list/-", "value": 3},
                {"op": "remove", "path": "/metadata/labels/x"},
            ]),
        )
        .expect("patched");
        assert_eq!(patched["spec"]["list"], json!([1, 2, 3]));
        assert_eq!(patched["metadata"]["labels"], json!({"y": "2"}));
    }

    #[test]
    fn a_patch_that_does_not_fit_says_which_operation() {
        let server = server();
        let status = json_patch(
            &server,
            json!([{"op": "test", "path": "/spec/list/0", "value": 7}]),
        )
        .expect_err("no match");
        assert_eq!(status.code, 422);
        assert_eq!(
            status.message,
            "the server rejected our request due to an error in our request"
        );
        let why = &status.details.expect("details").causes[0].message;
        assert!(why.ends_with("value did not match"), "{why}");
        let status = json_patch(&server, json!({"op": "test"})).expect_err("no list");
        assert_eq!(status.code, 400);
    }

    #[test]
    fn a_patch_is_bound_by_the_revision_and_the_identity_it_names() {
        let server = server();
        let merge = |patch| {
            server
                .serve("patch", "a", "", Input::MergePatch(patch))
                .map(value)
        };
        let status =
            merge(json!({"metadata": {"resourceVersion": "1"}})).expect_err("an old revision");
        assert_eq!(status.code, 409);
        let status = merge(json!({"kind": "Other"})).expect_err("another kind");
        assert_eq!(status.code, 422);
        let status = merge(json!({"metadata": {"uid": "other"}})).expect_err("another object");
        assert!(
            status
                .message
                .ends_with("metadata.uid: Invalid value: \"other\": field is immutable"),
            "{status}"
        );
        let status = server
            .serve("patch", "b", "", Input::MergePatch(json!({})))
            .expect_err("missing");
        assert_eq!(status.code, 404);
    }

    #[test]
    fn patches_at_once_all_succeed_and_none_is_lost() {
        let server = server();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    for n in 0..25 {
                        let label =
                            json!({"metadata": {"labels": {format!("l{thread}"): n.to_string()}}});
                        server
                            .serve("patch", "a", "", Input::MergePatch(label))
                            .expect("patched");
                    }
                });
            }
        });
        let after = server
            .serve("get", "a", "", Input::Empty)
            .map(value)
            .expect("there");
        for thread in 0..4 {
            assert_eq!(after["metadata"]["labels"][format!("l{thread}")], "24");
        }
        assert_eq!(after["metadata"]["resourceVersion"], "103");
    }

    #[test]
    fn copies_of_copies_end() {
        let copy = json!({"op": "copy", "from": "/spec", "path": "/spec/more"});
        let patch = Patch::Json(vec![copy; 1000].into());
        let status = patch
            .apply(json!({"spec": {"a": 1}}))
            .expect_err("too deep");
        assert_eq!(status.code, 422);
        let twice = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let patch = Patch::Json(vec![twice; 1000].into());
        assert_eq!(
            patch
                .apply(json!({"a": ["x"]}))
                .expect_err("too large")
                .code,
            422
        );
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("s")), Just(json!(true))];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(a in document(), b in document()) {
            prop_assume!(b.is_object());
            let patch = Patch::Merge(b);
            let once = patch.apply(a).expect("a patch");
            prop_assert_eq!(patch.apply(once.clone()).expect("a patch"), once);
        }

        #[test]
        fn no_json_patch_makes_the_server_panic(
            document in document(), value in document(), op in "add|remove|replace|move|copy|test|other",
            from in "(/[a-d0-2-]){0,3}", path in "(/[a-d0-2~-]){0,3}",
        ) {
            let patch = json!([{"op": op, "path": path, "from": from, "value": value}]);
            let _ = Patch::Json(patch).apply(document);
        }
    }
}
