//! What may be created and changed, and what is filled in on the way: the admission plugins that are on by default.

use crate::Status;
use crate::registry::Context;
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
    _cx: &Context<'_>,
    _operation: Operation<'_>,
    _object: &mut Json,
) -> Result<(), Status> {
    Ok(())
}
