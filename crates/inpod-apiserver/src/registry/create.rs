use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::admission::{Operation, admit};
use crate::breaks::{self, Break};
use crate::registry::json::Fields as _;
use crate::registry::{Answer, Context, normalize, owners, read, strategy, to_storage, validation};
use crate::schema::Json;
use crate::status::Reason;
use crate::storage::{Lookup as _, Object, StorageError, Write};
use crate::{Details, Status};

/// How often a name is generated before the client is told that it is taken (KEP-4420).
const ATTEMPTS: usize = 8;
/// The random characters at the end of a generated name, and the most there may be before them.
const SUFFIX: usize = 5;
const MAX_GENERATE_NAME: usize = 63 - SUFFIX;

/// Stores a new object, given as the client sent it.
pub(super) fn create(cx: &Context<'_>, object: Json) -> Result<Answer, Status> {
    let mut object = to_storage(cx.resource, object);
    wipe_system_fields(&mut object);
    ensure_namespace(cx, &mut object)?;
    if !object.is_empty_at("metadata.resourceVersion") {
        // Of the real server's storage, which says no more than that.
        return Err(Status::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Unknown,
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let created = store_new(cx, object)?;
    Ok(Answer::Object(StatusCode::CREATED, cx.resource, created))
}

/// Stores a new object in its storage version, under a name of its own or a generated one.
pub(super) fn store_new(cx: &Context<'_>, mut object: Json) -> Result<Arc<Object>, Status> {
    strategy(cx.resource).default(&mut object);
    let owners = owners::track(cx, None, &mut object);
    wipe_system_fields(&mut object);
    object.take("metadata.resourceVersion");
    let prefix = object.text("metadata.generateName");
    if prefix.is_empty() || !object.is_empty_at("metadata.name") {
        return attempt(cx, object, owners);
    }
    let end = (0..=prefix.len().min(MAX_GENERATE_NAME))
        .rev()
        .find(|end| prefix.is_char_boundary(*end));
    let prefix = prefix[..end.unwrap_or(0)].to_owned();
    let mut name = String::new();
    for _ in 0..ATTEMPTS {
        name = format!("{prefix}{}", cx.core.source.suffix(SUFFIX));
        let mut named = object.clone();
        named.put("metadata.name", name.as_str());
        match attempt(cx, named, owners.clone()) {
            Err(status) if status.reason == Reason::AlreadyExists => {}
            other => return other,
        }
    }
    let mut taken = Status::already_exists(cx.resource.group, cx.resource.name, &name);
    taken.message += ", the server was not able to generate a unique name for the object";
    Err(taken.with_details(Details {
        retry_after_seconds: 1,
        ..Details::of(cx.resource.group, cx.resource.name, &name)
    }))
}

fn attempt(
    cx: &Context<'_>,
    mut object: Json,
    owners: Option<Value>,
) -> Result<Arc<Object>, Status> {
    let strategy = strategy(cx.resource);
    let source = &cx.core.source;
    object.put("metadata.uid", source.uid());
    object.put("metadata.creationTimestamp", source.timestamp());
    if strategy.has_generation() {
        object.put("metadata.generation", 1);
    }
    strategy.prepare_create(cx, &mut object);
    admit(cx, Operation::Create, &mut object)?;
    normalize(cx.resource, &mut object);
    owners::put(&mut object, owners);

    let mut causes = validation::metadata(cx.resource, &object);
    causes.extend(strategy.validate(&object));
    let name = object.text("metadata.name");
    if !causes.is_empty() {
        let (group, kind) = (cx.resource.group, cx.resource.kind);
        return Err(Status::invalid(group, kind, name, causes));
    }
    for warning in strategy.warnings(&object) {
        cx.warnings.add(warning);
    }
    let new = Object::new(&object, strategy.fields(&object));
    let (group, resource) = cx.resource.storage;
    let stored = if cx.dry_run && !breaks::is_on(Break::WetRun) {
        match cx.core.store.get(group, resource, &new.namespace, name) {
            Some(existing) => Err(StorageError::Exists(existing)),
            None => Ok(Arc::new(new)),
        }
    } else {
        cx.core.store.apply(cx.resource.storage, Write::Create(new))
    };
    stored.map_err(|error| match error {
        StorageError::Exists(existing) => already_exists(cx, &existing),
        other => Status::internal(other),
    })
}

fn already_exists(cx: &Context<'_>, existing: &Object) -> Status {
    let mut status = Status::already_exists(cx.resource.group, cx.resource.name, &existing.name);
    if breaks::is_on(Break::WrongReason) {
        status.reason = Reason::Conflict;
    }
    if existing.deletion_timestamp.is_some() {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}

/// Forgets what only the server may say about an object.
pub(super) fn wipe_system_fields(object: &mut Json) {
    let metadata = object.map_mut("metadata");
    for field in [
        "creationTimestamp",
        "uid",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        metadata.shift_remove(field);
    }
}

/// Fills in the namespace of the request.
///
/// # Errors
/// 400 where the object names another one.
pub(super) fn ensure_namespace(cx: &Context<'_>, object: &mut Json) -> Result<(), Status> {
    let requested = read::namespace(cx).unwrap_or_default();
    let namespace = object.text("metadata.namespace");
    if namespace == requested {
        return Ok(());
    }
    if requested.is_empty() {
        object.take("metadata.namespace");
        return Ok(());
    }
    if namespace.is_empty() {
        object.put("metadata.namespace", requested);
        return Ok(());
    }
    Err(Status::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::registry::testing::Server;

    fn thing(metadata: &Value) -> Value {
        json!({"kind": "Thing", "apiVersion": "test.example/v1", "metadata": metadata, "spec": {"a": 1}})
    }

    #[test]
    fn a_new_object_gets_what_the_server_says_about_it() {
        let server = Server::new();
        let wish = json!({"name": "a", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "managedFields": []});
        let created = server
            .write("create", "", "", thing(&wish))
            .expect("created");
        let metadata = &created["metadata"];
        assert_eq!(metadata["namespace"], "default");
        assert_eq!(metadata["resourceVersion"], "3");
        assert_ne!(metadata["uid"], "mine");
        assert_ne!(metadata["creationTimestamp"], "2001-01-01T00:00:00Z");
        assert_eq!(metadata.get("managedFields"), None);
        assert_eq!(created.get("kind"), None);
        assert_eq!(created["spec"], json!({"a": 1}));
    }

    #[test]
    fn names_are_generated() {
        let server = Server::new();
        let prefix = "x".repeat(70);
        let created = server
            .write("create", "", "", thing(&json!({"generateName": prefix})))
            .expect("created");
        let name = created["metadata"]["name"].as_str().expect("a name");
        assert_eq!(name.len(), 63);
        assert!(name.starts_with(&"x".repeat(58)));
    }

    #[test]
    fn what_is_wrong_with_a_new_object_is_said_as_on_the_real_server() {
        let server = Server::new();
        let problem = |metadata| {
            server
                .write("create", "", "", thing(&metadata))
                .expect_err("refused")
        };
        let status = problem(json!({"name": "a", "namespace": "other"}));
        assert_eq!(
            status.message,
            "the namespace of the provided object does not match the namespace sent on the request"
        );
        let status = problem(json!({"name": "a", "resourceVersion": "1"}));
        assert_eq!(
            status.message,
            "resourceVersion should not be set on objects to be created"
        );
        let status = problem(json!({}));
        assert_eq!(
            status.message,
            "Thing.test.example \"\" is invalid: metadata.name: Required value: name or generateName is required"
        );
        assert_eq!(status.code, 422);
    }

    #[test]
    fn a_name_can_be_taken_once() {
        let server = Server::new();
        let create = |query| server.write("create", "", query, thing(&json!({"name": "a"})));
        let dry = create("dryRun=All").expect("possible");
        assert_eq!(dry["metadata"].get("resourceVersion"), None);
        create("").expect("created");
        for query in ["", "dryRun=All"] {
            let status = create(query).expect_err("taken");
            assert_eq!(status.code, 409);
            assert_eq!(status.message, "things.test.example \"a\" already exists");
        }
    }
}
