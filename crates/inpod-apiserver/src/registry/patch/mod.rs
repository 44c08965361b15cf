mod convert;
mod go;
mod json;
mod merge;
mod strategic;

use serde_json::Value;

use crate::registry::json::Fields as _;
use crate::registry::kinds::field::invalid;
use crate::registry::{Answer, Context, served, to_storage, update};
use crate::schema::{self, FieldValidation, Json, Resource};
use crate::status::Reason;
use crate::{Details, Status};

use json::Operations;

/// A patch as it came.
#[derive(Debug)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own, which knows by the type how a list is merged.
    Strategic(Value),
}

/// Changes an object by a patch, which sees it as the resource serves it. `duplicates` are the fields that came twice in it.
///
/// # Errors
/// 400 for what is no patch, 413 for a JSON patch with too many operations, 422 for one that does not fit the object.
pub(super) fn patch(
    cx: &Context<'_>,
    patch: &Patch,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<Answer, Status> {
    // Whatever the patch is, there has to be something to patch.
    update::find(cx)?;
    match patch {
        Patch::Strategic(patch) => patch_strategically(cx, patch, duplicates, validation),
        Patch::Merge(Value::Object(patch)) => update::change(cx, |old| {
            let before = served(cx.resource, old.clone());
            let mut after = before.clone();
            merge::merge(&mut after, patch);
            let strict = duplicates.to_vec();
            decode(cx, &before, after.into(), strict, validation)
        }),
        Patch::Merge(Value::Null) => Err(Status::bad_request("Invalid JSON Patch")),
        Patch::Merge(other) => Err(Status::bad_request(format!(
            "error decoding patch: {}",
            no_map(other)
        ))),
        Patch::Json(patch) => {
            let mut strict: Vec<String> = duplicates
                .iter()
                .map(|duplicate| format!("json patch {duplicate}"))
                .collect();
            let operations = Operations::read(patch, &mut strict)?;
            update::change(cx, |old| {
                let before = served(cx.resource, old.clone());
                let mut after = Value::Object(before.clone());
                operations
                    .apply(&mut after)
                    .map_err(|why| does_not_fit(&why))?;
                decode(cx, &before, after, strict.clone(), validation)
            })
        }
    }
}

fn patch_strategically(
    cx: &Context<'_>,
    patch: &Value,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<Answer, Status> {
    let empty = Json::new();
    let patch = match patch {
        Value::Object(patch) => patch,
        // Go's decoder leaves a map as it is, which is empty.
        Value::Null => &empty,
        other => return Err(Status::bad_request(no_map(other))),
    };
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
        let strict = duplicates.iter().cloned().chain(unknown).collect();
        tell(cx, strict, validation).map_err(|why| refuse(&why))?;
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

/// Go's sentence about a patch that is no object.
fn no_map(patch: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        schema::found(patch)
    )
}

/// 422 for a patch that cannot be applied. The real server says no more to the client; which operation it was is logged.
fn does_not_fit(why: &str) -> Status {
    tracing::info!(why, "a JSON patch does not fit its object");
    Status::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        Reason::Invalid,
        "the server rejected our request due to an error in our request",
    )
    .with_details(Details::default())
}

/// Warns of unknown fields and of those that came twice, or answers them as the error that they are under `Strict`.
fn tell(cx: &Context<'_>, strict: Vec<String>, validation: FieldValidation) -> Result<(), String> {
    match validation {
        FieldValidation::Strict if !strict.is_empty() => {
            Err(format!("strict decoding error: {}", strict.join(", ")))
        }
        FieldValidation::Warn => {
            for warning in strict {
                cx.warnings.add(warning);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The 400 of an object that a patch took the apiVersion from. Without one, the real server decodes it as its own internal type,
/// which knows none of the fields, and then finds no name.
fn of_no_version(
    cx: &Context<'_>,
    object: &Json,
    mut strict: Vec<String>,
    validation: FieldValidation,
) -> Result<Status, String> {
    let fields = object.keys().filter(|key| *key != "kind");
    strict.extend(fields.map(|key| format!("unknown field {key:?}")));
    tell(cx, strict, validation)?;
    Ok(update::no_name(cx))
}

/// Why an object that a patch has made one of another kind cannot be taken: because of what that kind asks of it, or at last
/// because it is another one.
fn of_another_kind(resource: &Resource, object: &Json, text: &str) -> String {
    let (kind, api_version) = (object.text("kind"), object.text("apiVersion"));
    let (group, version) = schema::split(api_version);
    let Some(ty) = schema::type_of(group, version, kind) else {
        return schema::not_registered(kind, api_version);
    };
    match schema::decode_json(ty, text.as_bytes(), FieldValidation::Ignore) {
        Err(status) => {
            let why = status.message.split_once(" cannot be handled as a ");
            let why = why.and_then(|(_, why)| why.split_once(": "));
            why.map_or(status.message.clone(), |(_, why)| why.to_owned())
        }
        Ok(_) => schema::no_conversion((version, kind), (resource.group, resource.kind)),
    }
}

/// Reads the patched object as if it had been sent; what is wrong with it is the patch's fault. `strict` is what of the patch
/// itself is to be told.
fn decode(
    cx: &Context<'_>,
    before: &Json,
    after: Value,
    mut strict: Vec<String>,
    validation: FieldValidation,
) -> Result<Json, Status> {
    let text = String::from_utf8(schema::to_json(&after)).unwrap_or_default();
    let refuse =
        |why: &str| Status::invalid("", "", "", vec![invalid("patch", text.as_str(), why)]);
    let Value::Object(object) = after else {
        return Err(refuse("the patched object is no JSON object"));
    };
    let resource = cx.resource;
    if object.is_empty_at("apiVersion") {
        return Err(
            of_no_version(cx, &object, strict, validation).unwrap_or_else(|why| refuse(&why))
        );
    }
    let is_another =
        |field: &str| !object.is_empty_at(field) && object.at(field) != before.at(field);
    if is_another("kind") || is_another("apiVersion") {
        return Err(refuse(&of_another_kind(resource, &object, &text)));
    }
    // A kind that has no table has nothing to be checked against.
    let Some(ty) = schema::type_of(resource.group, resource.version, resource.kind) else {
        return Ok(to_storage(resource, object));
    };
    let lenient = match validation {
        FieldValidation::Ignore => FieldValidation::Ignore,
        _ => FieldValidation::Warn,
    };
    let decoded = schema::decode_json(ty, text.as_bytes(), lenient).map_err(|status| {
        // A body would be told what it was taken for; a patch is shown the object instead.
        let as_body = format!(" cannot be handled as a {}: ", resource.kind);
        let why = status.message.split_once(&as_body);
        refuse(why.map_or(status.message.as_str(), |(_, why)| why))
    })?;
    strict.extend(decoded.warnings);
    tell(cx, strict, validation).map_err(|why| refuse(&why))?;
    Ok(to_storage(resource, decoded.value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

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
            .serve(
                "patch",
                "a",
                "",
                Input::Patch(Patch::Json(patch), Vec::new()),
            )
            .map(value)
    }

    #[test]
    fn a_merge_patch_replaces_and_removes() {
        let server = server();
        let patch = json!({"metadata": {"labels": {"x": null, "z": "3"}}, "spec": {"list": [3]}});
        let patched = server
            .serve(
                "patch",
                "a",
                "",
                Input::Patch(Patch::Merge(patch), Vec::new()),
            )
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
    fn a_patch_that_does_not_fit_is_refused() {
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
        assert!(status.details.expect("details").causes.is_empty());
        let status = json_patch(&server, json!({"op": "test"})).expect_err("no list");
        assert_eq!(status.code, 400);
    }

    #[test]
    fn a_patch_is_bound_by_the_revision_and_the_identity_it_names() {
        let server = server();
        let merge = |patch| {
            server
                .serve(
                    "patch",
                    "a",
                    "",
                    Input::Patch(Patch::Merge(patch), Vec::new()),
                )
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
            .serve(
                "patch",
                "b",
                "",
                Input::Patch(Patch::Merge(json!({})), Vec::new()),
            )
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
                            .serve(
                                "patch",
                                "a",
                                "",
                                Input::Patch(Patch::Merge(label), Vec::new()),
                            )
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

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("s")), Just(json!(true))];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                object(inner).prop_map(Value::Object),
            ]
        })
    }

    fn object(of: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::btree_map("[a-d]", of, 0..4)
            .prop_map(|fields| fields.into_iter().collect())
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(mut once in object(document()), patch in object(document())) {
            merge::merge(&mut once, &patch);
            let mut twice = once.clone();
            merge::merge(&mut twice, &patch);
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn no_json_patch_makes_the_server_panic(
            document in document(), value in document(), op in "add|remove|replace|move|copy|test|other",
            from in "(/[a-d0-2-]){0,3}", path in "(/[a-d0-2~-]){0,3}",
        ) {
            let patch = json!([{"op": op, "path": path, "from": from, "value": value}]);
            let operations = Operations::read(&patch, &mut Vec::new()).expect("it is a patch");
            let _ = operations.apply(&mut { document });
        }
    }
}
