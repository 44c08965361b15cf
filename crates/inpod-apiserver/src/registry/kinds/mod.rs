//! The kinds that need more than their table row.

use serde_json::Value;

use crate::registry::{Special, Strategy};
use crate::schema::{Json, Resource, Subresource};

/// What `resource` adds to the generic verbs.
pub(crate) fn strategy(_resource: &Resource) -> &'static dyn Strategy {
    &Plain
}

/// The code behind a resource or subresource that is no stored object.
pub(crate) fn special(
    _resource: &Resource,
    _subresource: Option<&Subresource>,
) -> Option<&'static dyn Special> {
    None
}

struct Plain;

impl Strategy for Plain {
    fn cells(&self, _object: &Json, _now: i64) -> Vec<Value> {
        Vec::new()
    }
}
