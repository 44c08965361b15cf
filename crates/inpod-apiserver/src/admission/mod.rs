//! What may be created and changed, and what is filled in on the way: the admission plugins that are on by default, and the
//! checks that a real server makes between admission and storage because they need more than the object.

mod default_toleration_seconds;
mod namespace_lifecycle;
mod priority;
mod role_escalation;
mod service_account;
mod taint_nodes;

use crate::Status;
use crate::registry::json::Fields as _;
use crate::registry::{Context, allocate_service};
use crate::schema::Json;

/// What a request is about to do to an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation<'a> {
    Create,
    /// With the object as it is.
    Update(&'a Json),
    /// With the object as it is.
    Delete(&'a Json),
}

/// Runs the plugins in order: each may change `object` (on create and update) or refuse the request.
///
/// # Errors
/// The plugin's Status, usually 403.
pub(crate) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    object: &mut Json,
) -> Result<(), Status> {
    namespace_lifecycle::admit(cx, operation, object)?;
    if cx.subresource.is_some() || matches!(operation, Operation::Delete(_)) {
        return Ok(());
    }
    match cx.resource.storage {
        ("", "nodes") => taint_nodes::admit(operation, object),
        ("", "pods") => {
            service_account::admit(cx, operation, object)?;
            priority::admit(cx, operation, object)?;
            default_toleration_seconds::admit(object);
        }
        ("", "services") => allocate_service(cx, operation, object)?,
        ("rbac.authorization.k8s.io", _) => role_escalation::admit(cx, operation, object)?,
        _ => {}
    }
    Ok(())
}

/// The 403 of a plugin. An object without a name yet is called by its generateName.
fn forbidden(cx: &Context<'_>, object: &Json, why: &str) -> Status {
    let names = [
        cx.info.name.as_str(),
        object.text("metadata.name"),
        object.text("metadata.generateName"),
    ];
    let name = names.into_iter().find(|name| !name.is_empty());
    Status::forbidden(
        cx.resource.group,
        cx.resource.name,
        name.unwrap_or("Unknown"),
        why,
    )
}
