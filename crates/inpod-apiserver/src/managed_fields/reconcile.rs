use super::compare::is_granular;
use super::element::Element;
use super::set::{Node, Set};
use crate::schema::{Field, GoType, Merge, Shape};

/// Brings paths that a client sent to what has owners in `ty`: where they lead into what is owned as one, they end there.
pub(super) fn reconcile(ty: &'static GoType, set: &mut Set) {
    let nodes = std::mem::take(set).into_nodes();
    *set = Set::of(nodes.into_iter().map(|node| end(ty, node)).collect());
}

fn end(ty: &'static GoType, mut node: Node) -> Node {
    let Some((ty, merge)) = child(ty, &node.element) else {
        return node;
    };
    let is_scalar = !matches!(
        ty.shape,
        Shape::Struct(_) | Shape::Map(_) | Shape::List(_) | Shape::Items(_)
    );
    if is_scalar {
        return node;
    }
    if is_granular(ty, merge) {
        reconcile(ty, &mut node.children);
    } else if !node.children.is_empty() {
        node.member = true;
        node.children = Set::default();
    }
    node
}

/// The type of what `element` leads to in a value of type `ty`, and how it is owned.
fn child(ty: &'static GoType, element: &Element) -> Option<(&'static GoType, Merge)> {
    match (ty.shape, element) {
        (Shape::Struct(fields), Element::Field(name)) => {
            let field: &Field = fields.iter().find(|field| field.json == name)?;
            Some((field.ty, field.merge))
        }
        (Shape::Map(value), Element::Field(_)) => Some((value, Merge::Default)),
        (Shape::List(item) | Shape::Items(item), _) => Some((item, Merge::Default)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::set::tests::set;
    use super::*;
    use crate::schema::type_of;

    #[test]
    fn paths_end_where_a_value_is_owned_as_one() {
        let service = type_of("", "v1", "Service").expect("a kind of the tables");
        let mut fields = set(&json!({
            "f:spec": {
                "f:selector": {"f:app": {}},
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
            },
            "f:other": {"f:kept": {}},
        }));
        reconcile(service.0, &mut fields);
        assert_eq!(
            fields.to_json(),
            json!({
                "f:other": {"f:kept": {}},
                "f:spec": {
                    "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                    "f:selector": {},
                },
            })
        );
    }
}
