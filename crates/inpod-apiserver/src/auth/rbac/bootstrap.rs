use serde_json::Value;

use super::aggregation::aggregate;
use crate::schema::{self, Json};

/// The roles and bindings that a cluster starts with, with kind and apiVersion, in an order in which they can be created: roles
/// before what binds them. The roles that gather others' rules have them already, so that `view` works from the first request on.
pub(crate) fn bootstrap_objects() -> Vec<Json> {
    const ORDER: [&str; 4] = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let rank = |object: &Json| {
        let kind = object.get("kind").and_then(Value::as_str);
        ORDER.iter().position(|k| Some(*k) == kind)
    };
    let mut objects = schema::bootstrap_roles().to_vec();
    for object in &mut objects {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.shift_remove("creationTimestamp");
        }
    }
    objects.sort_by_key(rank);
    let roles = objects.partition_point(|object| rank(object) == Some(0));
    aggregate(&mut objects[..roles]);
    objects
}
