use std::sync::Arc;

use http::StatusCode;

use crate::Status;
use crate::admission::{Operation, admit};
use crate::auth::{Attributes, Decision};
use crate::breaks::{self, Break};
use crate::quote::quoted;
use crate::registry::json::Fields as _;
use crate::registry::kinds::field::invalid;
use crate::registry::read::namespace;
use crate::registry::{
    Answer, Context, create, normalize, owners, strategy, to_storage, validation,
};
use crate::schema::Json;
use crate::status::Reason;
use crate::storage::{Lookup as _, Object, StorageError, Write};

/// How often a change that was made from no particular revision is made again because another one came between: so often
/// that clients who patch one object at once all succeed, as on the real server, which tries until the request times out.
pub(super) const ATTEMPTS: usize = 100;
/// What a client is told that changed an object from an older revision.
pub(super) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Replaces an object by what the client sent.
pub(super) fn update(cx: &Context<'_>, object: Json) -> Result<Answer, Status> {
    let mut object = to_storage(cx.resource, object);
    create::ensure_namespace(cx, &mut object)?;
    check_name(cx, &object)?;
    let uid = object.text("metadata.uid").to_owned();
    let missing = current(cx).is_none();
    let has_status = cx.subresource.is_none_or(|s| s.name == "status");
    if missing && has_status && strategy(cx.resource).create_on_update() {
        return create_by_update(cx, object);
    }
    change(cx, |old| {
        let stored = old.text("metadata.uid");
        if uid.is_empty() || uid == stored {
            return Ok(object.clone());
        }
        Err(other_uid(cx, &uid, stored))
    })
}

/// Changes an object by `change`, which is given the stored one; again where another change came between, unless what it
/// answers names a resourceVersion.
pub(super) fn change(
    cx: &Context<'_>,
    mut change: impl FnMut(&Json) -> Result<Json, Status>,
) -> Result<Answer, Status> {
    for _ in 0..ATTEMPTS {
        let current = find(cx)?;
        let old = current.value();
        let new = change(&old)?;
        match attempt(cx, &current, &old, new) {
            Ok(object) => return Ok(Answer::Object(StatusCode::OK, cx.resource, object)),
            Err(Refusal::Status(status)) => return Err(status),
            Err(Refusal::Overtaken) => {}
        }
    }
    Err(conflict(cx, MODIFIED))
}

/// Why an attempt did not succeed.
enum Refusal {
    Status(Status),
    /// The object has changed meanwhile.
    Overtaken,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

fn attempt(
    cx: &Context<'_>,
    current: &Arc<Object>,
    old: &Json,
    mut new: Json,
) -> Result<Arc<Object>, Refusal> {
    let strategy = strategy(cx.resource);
    create::ensure_namespace(cx, &mut new)?;
    check_name(cx, &new)?;
    check_revision(cx, current, &new)?;
    strategy.default(&mut new);
    let owners = owners::track(cx, Some(old), &mut new);
    keep_system_fields(cx, &mut new, old);
    if breaks::is_on(Break::NewUid) {
        new.put("metadata.uid", cx.core.source.uid());
    }
    if breaks::is_on(Break::NewAge) {
        new.put("metadata.creationTimestamp", cx.core.source.timestamp());
    }
    keep_other_parts(cx, &mut new, old);
    strategy.prepare_update(cx, &mut new, old);
    admit(cx, Operation::Update(old), &mut new)?;
    if strategy.has_generation() && spec_differs(&new, old) {
        let generation = old.int("metadata.generation").unwrap_or(0);
        new.put("metadata.generation", generation + 1);
    }
    normalize(cx.resource, &mut new);
    owners::put_over(&mut new, old, owners);

    let mut causes = validation::metadata(cx.resource, &new);
    causes.extend(validation::metadata_update(&new, old));
    let mut of_both = [strategy.validate(&new), strategy.validate_update(&new, old)];
    if strategy.validates_update_first() {
        of_both.reverse();
    }
    causes.extend(of_both.into_iter().flatten());
    if !causes.is_empty() {
        let (group, kind) = (cx.resource.group, cx.resource.kind);
        return Err(Status::invalid(group, kind, &current.name, causes).into());
    }
    if cx.subresource.is_none() {
        for warning in strategy.warnings(&new) {
            cx.warnings.add(warning);
        }
    }

    let object = Object::new(&new, strategy.fields(&new));
    let finished = current.deletion_timestamp.is_some()
        && new.is_empty_at("metadata.finalizers")
        && old.int("metadata.deletionGracePeriodSeconds").unwrap_or(0) == 0
        && !strategy.is_held(&new);
    let unchanged = object.same_content(current);
    if cx.dry_run || (unchanged && !finished) {
        return Ok(Arc::new(object.at_revision(current.revision)));
    }
    let write = if finished {
        Write::Delete(current.clone())
    } else {
        Write::Update(object.clone(), current.revision)
    };
    match cx.core.store.apply(cx.resource.storage, write) {
        // Who removes the last finalizer is answered with the object as it was sent, which is gone by then.
        Ok(_) if finished => Ok(Arc::new(object.at_revision(current.revision))),
        Ok(stored) => Ok(stored),
        Err(StorageError::Stale(_) | StorageError::Missing) => Err(Refusal::Overtaken),
        Err(other) => Err(Status::internal(other).into()),
    }
}

/// A PUT of an object that is not there, of a kind that allows it; the user must be allowed to create it too.
fn create_by_update(cx: &Context<'_>, object: Json) -> Result<Answer, Status> {
    let mut attributes = Attributes::of(cx.info);
    "create".clone_into(&mut attributes.verb);
    if let Decision::NoOpinion(_) = cx.core.rbac.decide(cx.user, &attributes) {
        let why = format!("User {:?} cannot create it by an update", cx.user.username);
        let (group, resource) = (cx.resource.group, cx.resource.name);
        return Err(Status::forbidden(group, resource, &cx.info.name, &why));
    }
    if !object.is_empty_at("metadata.uid") {
        return Err(other_uid(cx, object.text("metadata.uid"), ""));
    }
    let version = object.text("metadata.resourceVersion");
    let version = (!version.is_empty())
        .then(|| revision(version))
        .transpose()?;
    let mut created = create::store_new(cx, object)?;
    // What is stored loses the version that was sent; what is not, keeps it.
    if let Some(version) = version.filter(|_| cx.dry_run) {
        created = Arc::new(created.at_revision(version));
    }
    Ok(Answer::Object(StatusCode::CREATED, cx.resource, created))
}

fn current(cx: &Context<'_>) -> Option<Arc<Object>> {
    let (group, resource) = cx.resource.storage;
    let namespace = namespace(cx).unwrap_or_default();
    cx.core.store.get(group, resource, namespace, &cx.info.name)
}

/// The object that the request names.
///
/// # Errors
/// 404 where there is none.
pub(super) fn find(cx: &Context<'_>) -> Result<Arc<Object>, Status> {
    current(cx).ok_or_else(|| Status::not_found(cx.resource.group, cx.resource.name, &cx.info.name))
}

pub(super) fn conflict(cx: &Context<'_>, why: &str) -> Status {
    Status::conflict(cx.resource.group, cx.resource.name, &cx.info.name, why)
}

/// 409 for an update of an object that has another uid, in the words of the real server's storage.
fn other_uid(cx: &Context<'_>, uid: &str, stored: &str) -> Status {
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: {uid}, UID in object meta: {stored}",
        storage_key(cx)
    );
    conflict(cx, &why)
}

/// Where the real server has the object, in `etcd`; a dry run does not get as far as its prefix.
fn storage_key(cx: &Context<'_>) -> String {
    let collection = match cx.resource.storage {
        ("", "services") => "services/specs",
        ("", "endpoints") => "services/endpoints",
        ("", "nodes") => "minions",
        (_, resource) => resource,
    };
    let namespace = match namespace(cx).unwrap_or_default() {
        "" => String::new(),
        namespace => format!("{namespace}/"),
    };
    let prefix = if cx.dry_run { "" } else { "/registry" };
    format!("{prefix}/{collection}/{namespace}{}", cx.info.name)
}

fn check_name(cx: &Context<'_>, object: &Json) -> Result<(), Status> {
    let requested = &cx.info.name;
    match object.text("metadata.name") {
        "" => Err(no_name(cx)),
        name if name != requested => Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({requested})"
        ))),
        _ => Ok(()),
    }
}

/// 400 for an object without a name.
pub(super) fn no_name(cx: &Context<'_>) -> Status {
    Status::bad_request(format!(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        cx.info.name
    ))
}

/// An object that names a resourceVersion is a change of that one alone.
fn check_revision(cx: &Context<'_>, current: &Object, new: &Json) -> Result<(), Status> {
    let version = new.text("metadata.resourceVersion");
    if breaks::is_on(Break::LostUpdate) {
        return Ok(());
    }
    if version.is_empty() || revision(version)? == 0 {
        if strategy(cx.resource).unconditional_update() {
            return Ok(());
        }
        let why = "must be specified for an update";
        let cause = invalid("metadata.resourceVersion", 0, why);
        // The real server names the resource here, where other causes come with the kind.
        let (group, resource) = (cx.resource.group, cx.resource.name);
        return Err(Status::invalid(group, resource, &current.name, vec![cause]));
    }
    if revision(version)? == current.revision {
        Ok(())
    } else {
        Err(conflict(cx, MODIFIED))
    }
}

/// The revision that a resourceVersion names.
///
/// # Errors
/// 500 where it names none, as on the real server, which finds out only in its storage.
fn revision(version: &str) -> Result<u64, Status> {
    let digits = version.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| version.parse().ok()).flatten();
    number.ok_or_else(|| {
        let why = if digits {
            "value out of range"
        } else {
            "invalid syntax"
        };
        Status::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::Unknown,
            format!("strconv.ParseUint: parsing {}: {why}", quoted(version)),
        )
    })
}

/// Puts back what no update changes, and what is filled in where it was left out.
fn keep_system_fields(cx: &Context<'_>, new: &mut Json, old: &Json) {
    new.put_back("metadata.generation", old);
    new.put_back("metadata.creationTimestamp", old);
    new.default_to("metadata.uid", old.text("metadata.uid"));
    for field in [
        "metadata.deletionTimestamp",
        "metadata.deletionGracePeriodSeconds",
    ] {
        if old.at(field).is_some() {
            new.put_back(field, old);
        }
    }
    new.take("metadata.resourceVersion");
    // What is stored loses it; what is not, keeps it.
    if !cx.dry_run {
        new.take("metadata.selfLink");
    }
}

/// An update of the object leaves its status alone, an update of the status the rest, and `finalize` changes no status.
fn keep_other_parts(cx: &Context<'_>, new: &mut Json, old: &Json) {
    let has_status = || cx.resource.subresources.iter().any(|s| s.name == "status");
    match cx.subresource.map(|s| s.name) {
        None if has_status() => new.put_back("status", old),
        Some("finalize") => new.put_back("status", old),
        Some("status") => {
            let mut merged = old.clone();
            merged.put_back("metadata", new);
            merged.put_back("status", new);
            merged.put_back("metadata.ownerReferences", old);
            *new = merged;
        }
        _ => {}
    }
}

fn spec_differs(new: &Json, old: &Json) -> bool {
    let spec = |key: &&String| !matches!(key.as_str(), "metadata" | "status");
    let keys = new.keys().chain(old.keys()).filter(spec);
    keys.into_iter().any(|key| new.get(key) != old.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::registry::testing::Server;

    fn server() -> (Server, Value) {
        let server = Server::new();
        let body = json!({"metadata": {"name": "a"}, "spec": {"n": 1}});
        let created = server.write("create", "", "", body).expect("created");
        (server, created)
    }

    #[test]
    fn an_update_without_a_revision_is_unconditional_and_one_without_a_change_writes_nothing() {
        let (server, created) = server();
        let body = json!({"metadata": {"name": "a"}, "spec": {"n": 2}});
        let updated = server
            .write("update", "a", "", body.clone())
            .expect("updated");
        assert_eq!(updated["metadata"]["resourceVersion"], "4");
        assert_eq!(updated["metadata"]["uid"], created["metadata"]["uid"]);
        let again = server.write("update", "a", "", body).expect("updated");
        assert_eq!(again, updated);
    }

    #[test]
    fn an_update_from_an_older_revision_conflicts() {
        let (server, created) = server();
        let mut change = created.clone();
        change["spec"]["n"] = json!(2);
        server
            .write("update", "a", "", change.clone())
            .expect("updated");
        let status = server.write("update", "a", "", change).expect_err("stale");
        assert_eq!(status.code, 409);
        assert_eq!(
            status.message,
            "Operation cannot be fulfilled on things.test.example \"a\": the object has been modified; please apply your \
             changes to the latest version and try again"
        );
    }

    #[test]
    fn an_update_must_be_about_what_its_path_names() {
        let (server, created) = server();
        let problem = |name: &str, metadata: Value| {
            server
                .write("update", name, "", json!({"metadata": metadata}))
                .expect_err("refused")
        };
        let status = problem("a", json!({"name": "b"}));
        assert_eq!(
            status.message,
            "the name of the object (b) does not match the name on the URL (a)"
        );
        let status = problem("a", json!({"name": "a", "uid": "other"}));
        assert_eq!(status.code, 409);
        let uid = created["metadata"]["uid"].as_str().expect("a uid");
        assert!(status.message.ends_with(&format!(
            "Precondition failed: UID in precondition: other, UID in object meta: {uid}"
        )));
        let status = problem("b", json!({"name": "b"}));
        assert_eq!(status.message, "things.test.example \"b\" not found");
    }

    #[test]
    fn status_and_the_rest_are_changed_apart() {
        let (server, _) = server();
        let body = json!({
            "metadata": {"name": "a", "labels": {"l": "1"}}, "spec": {"n": 9}, "status": {"phase": "Done"}
        });
        let updated = server
            .write("update", "a/status", "", body)
            .expect("updated");
        assert_eq!(updated["spec"], json!({"n": 1}));
        assert_eq!(updated["status"], json!({"phase": "Done"}));
        assert_eq!(updated["metadata"]["labels"], json!({"l": "1"}));

        let body =
            json!({"metadata": {"name": "a"}, "spec": {"n": 9}, "status": {"phase": "Other"}});
        let updated = server.write("update", "a", "", body).expect("updated");
        assert_eq!(updated["spec"], json!({"n": 9}));
        assert_eq!(updated["status"], json!({"phase": "Done"}));
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let (server, created) = server();
        let body = json!({"metadata": {"name": "a"}, "spec": {"n": 2}});
        let dry = server
            .write("update", "a", "dryRun=All", body)
            .expect("possible");
        assert_eq!(dry["spec"], json!({"n": 2}));
        assert_eq!(
            dry["metadata"]["resourceVersion"],
            created["metadata"]["resourceVersion"]
        );
        let stored = server.write("get", "a", "", json!({})).expect("there");
        assert_eq!(stored, created);
    }
}
