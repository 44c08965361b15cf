use serde_json::{Map, Value};

use super::element::{Element, Malformed};

/// A set of paths into an object, as a tree: `fieldpath.Set` of structured-merge-diff.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// In order of their elements; none of them is empty.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) element: Element,
    /// Whether the path that ends here is in the set.
    pub(super) member: bool,
    /// The longer paths through here.
    pub(super) children: Set,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl Set {
    /// The set of these nodes, in any order.
    pub(super) fn of(mut nodes: Vec<Node>) -> Self {
        nodes.retain(|node| !node.is_empty());
        // Nearly always they are in order, or are two sets that are: then this looks at each of them once.
        nodes.sort_by(|a, b| a.element.cmp(&b.element));
        nodes.dedup_by(|again, node| {
            let same = again.element == node.element;
            if same {
                node.member |= again.member;
                node.children.extend(std::mem::take(&mut again.children));
            }
            same
        });
        Self { nodes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Adds the paths of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.extend(other.nodes);
        *self = Self::of(nodes);
    }

    /// Removes the paths of `other`; what is longer than one of them stays.
    pub(super) fn remove(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.nodes.retain_mut(|mine| {
            let found = other
                .nodes
                .binary_search_by(|n| n.element.cmp(&mine.element));
            if let Ok(at) = found {
                mine.member &= !other.nodes[at].member;
                mine.children.remove(&other.nodes[at].children);
            }
            !mine.is_empty()
        });
    }

    /// Reads a `fieldsV1`.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn from_json(fields: &Value) -> Result<Self, Malformed> {
        let fields = match fields {
            Value::Object(fields) => fields,
            Value::Null => return Ok(Self::default()),
            _ => return Err(Malformed),
        };
        let mut nodes = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            if name == "." {
                continue;
            }
            if let Some(element) = Element::parse(name)? {
                let children = Self::from_json(value)?;
                let member = children.is_empty() || value.get(".").is_some();
                nodes.push(Node {
                    element,
                    member,
                    children,
                });
            }
        }
        Ok(Self::of(nodes))
    }

    /// The set as a `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        self.fields(false).into()
    }

    fn fields(&self, with_self: bool) -> Map<String, Value> {
        let mut fields = Map::with_capacity(self.nodes.len() + usize::from(with_self));
        if with_self && !self.is_empty() {
            fields.insert(".".to_owned(), Map::new().into());
        }
        for node in &self.nodes {
            let value = node.children.fields(node.member);
            fields.insert(node.element.name(), value.into());
        }
        fields
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::element::Scalar;
    use super::*;

    pub(in super::super) fn set(fields: &Value) -> Set {
        Set::from_json(fields).expect("it is a fieldsV1")
    }

    fn element() -> impl Strategy<Value = Element> {
        let scalar = prop_oneof![
            any::<i64>().prop_map(Value::from),
            "[a-c<&\"]{0,2}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ];
        prop_oneof![
            "[a-c.:/]{0,3}".prop_map(|name| Element::Field(name.into())),
            proptest::collection::btree_map("[a-c]", scalar.clone(), 1..3).prop_map(|fields| {
                let field = |(name, value): (String, Value)| (name.into(), Scalar(value));
                Element::Key(fields.into_iter().map(field).collect())
            }),
            scalar.prop_map(|value| Element::Value(Scalar(value))),
            any::<i64>().prop_map(Element::Index),
        ]
    }

    fn sets() -> impl Strategy<Value = Set> {
        let leaf = Just(Set::default());
        leaf.prop_recursive(3, 16, 4, |inner| {
            proptest::collection::btree_map(element(), (any::<bool>(), inner), 0..4).prop_map(
                |nodes| {
                    let node = |(element, (member, children))| Node {
                        element,
                        member,
                        children,
                    };
                    Set::of(nodes.into_iter().map(node).collect())
                },
            )
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(set in sets()) {
            prop_assert_eq!(Set::from_json(&set.to_json()), Ok(set));
        }

        #[test]
        fn what_is_removed_and_added_again_is_the_union(a in sets(), b in sets()) {
            let mut union = a.clone();
            union.extend(b.clone());
            let mut rest = a;
            rest.remove(&b);
            rest.extend(b.clone());
            prop_assert_eq!(&rest, &union);
            union.remove(&b);
            union.extend(b);
            prop_assert_eq!(rest, union);
        }
    }

    #[test]
    fn a_path_is_in_the_set_apart_from_those_through_it() {
        let fields = json!({"f:a": {".": {}, "f:b": {}}, "f:c": {"f:d": {}}});
        let whole = set(&fields);
        assert_eq!(whole.to_json(), fields);
        let mut rest = whole.clone();
        rest.remove(&set(&json!({"f:a": {}, "f:c": {}})));
        assert_eq!(
            rest.to_json(),
            json!({"f:a": {"f:b": {}}, "f:c": {"f:d": {}}})
        );
        rest.remove(&set(&json!({"f:a": {"f:b": {}}, "f:c": {"f:d": {}}})));
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for fields in [json!([]), json!({"a": {}}), json!({"f:a": 1})] {
            assert_eq!(Set::from_json(&fields), Err(Malformed), "{fields}");
        }
    }
}
