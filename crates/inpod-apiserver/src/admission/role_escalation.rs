//! Nobody grants what they do not hold. On a real server this is no plugin but comes right after them, in the registry.

use super::Operation;
use crate::Status;
use crate::registry::Context;
use crate::schema::Json;

pub(super) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    object: &Json,
) -> Result<(), Status> {
    let old = match operation {
        Operation::Create => None,
        Operation::Update(old) => Some(old),
        Operation::Delete(_) => return Ok(()),
    };
    cx.core.rbac.may_write(cx.user, cx.info, object, old)
}
