use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::element::{Element, Scalar};
use super::set::{Node, Set};
use crate::schema::{Field, GoType, Json, Merge, Shape};

/// What an object's new form owns, and what of the old one is gone.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What was added or has another value.
    pub(super) changed: Set,
    pub(super) removed: Set,
}

/// What nobody owns: it names the object, or the server sets it.
const NOT_OWNED: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// Compares two forms of an object of type `ty`, but for what is at the paths `ignored`.
pub(super) fn compare(ty: &'static GoType, old: &Json, new: &Json, ignored: &[&str]) -> Comparison {
    let mut parts = Parts::default();
    let is_ignored = |path: &str| NOT_OWNED.contains(&path) || ignored.contains(&path);
    for field in fields(ty) {
        let (old, new) = (old.get(field.json), new.get(field.json));
        if is_ignored(field.json) {
            continue;
        }
        if field.json != "metadata" {
            parts.field(field, old, new);
            continue;
        }
        let mut metadata = Parts::default();
        for field in fields(field.ty) {
            let path = ["metadata.", field.json].concat();
            if !is_ignored(&path) {
                metadata.field(field, get(old, field), get(new, field));
            }
        }
        parts.add(|| name(field.json), metadata.finish(false, false));
    }
    let whole = parts.finish(false, false);
    Comparison {
        changed: whole.changed.1,
        removed: whole.removed.1,
    }
}

/// The difference of two values: whether the value itself belongs to each set, and which of its parts.
struct Difference {
    changed: (bool, Set),
    removed: (bool, Set),
}

impl Difference {
    fn leaf(changed: bool, removed: bool) -> Self {
        Parts::default().finish(changed, removed)
    }
}

/// The differences of a value's parts.
#[derive(Default)]
struct Parts {
    changed: Vec<Node>,
    removed: Vec<Node>,
}

impl Parts {
    fn add(&mut self, element: impl Fn() -> Element, difference: Difference) {
        let push = |nodes: &mut Vec<Node>, (member, children): (bool, Set)| {
            if member || !children.is_empty() {
                nodes.push(Node {
                    element: element(),
                    member,
                    children,
                });
            }
        };
        push(&mut self.changed, difference.changed);
        push(&mut self.removed, difference.removed);
    }

    fn field(&mut self, field: &'static Field, old: Option<&Value>, new: Option<&Value>) {
        if old.is_some() || new.is_some() {
            let difference = values(field.ty, field.merge, old, new);
            self.add(|| name(field.json), difference);
        }
    }

    fn finish(self, changed: bool, removed: bool) -> Difference {
        Difference {
            changed: (changed, Set::of(self.changed)),
            removed: (removed, Set::of(self.removed)),
        }
    }
}

/// Compares two values, of which there is at least one, as `compareWalker` of structured-merge-diff does.
fn values(
    ty: &'static GoType,
    merge: Merge,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Difference {
    let no_parts = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    if !is_granular(ty, merge) || (no_parts(old) && no_parts(new)) {
        let changed = new.is_some() && old != new;
        return Difference::leaf(changed, new.is_none());
    }
    let parts = match (ty.shape, merge) {
        (Shape::Struct(fields), _) => structs(fields, old, new),
        (Shape::Map(ty), _) => maps(ty, old, new),
        (Shape::List(ty) | Shape::Items(ty), Merge::Keyed(keys)) => {
            lists(ty, old, new, |item| key(keys, item))
        }
        (Shape::List(ty) | Shape::Items(ty), _) => lists(ty, old, new, |item| {
            Some(Element::Value(Scalar(item.clone())))
        }),
        _ => Parts::default(),
    };
    parts.finish(old.is_none(), new.is_none())
}

/// Whether parts of the value have owners of their own.
pub(super) fn is_granular(ty: &GoType, merge: Merge) -> bool {
    match (ty.shape, merge) {
        (Shape::Struct(_), Merge::Default) => !ty.atomic,
        (Shape::Struct(_), Merge::Granular)
        | (Shape::Map(_), Merge::Default | Merge::Granular)
        | (Shape::List(_) | Shape::Items(_), Merge::Set | Merge::Keyed(_)) => true,
        _ => false,
    }
}

fn structs(fields: &'static [Field], old: Option<&Value>, new: Option<&Value>) -> Parts {
    let mut parts = Parts::default();
    for field in fields {
        let (old, new) = (get(old, field), get(new, field));
        parts.field(field, old, new);
    }
    parts
}

fn maps(ty: &'static GoType, old: Option<&Value>, new: Option<&Value>) -> Parts {
    let mut parts = Parts::default();
    let (old, new) = (
        old.and_then(Value::as_object),
        new.and_then(Value::as_object),
    );
    for (key, value) in old.into_iter().flatten() {
        let new = new.and_then(|map| map.get(key));
        let difference = values(ty, Merge::Default, Some(value), new);
        parts.add(|| name_of(key), difference);
    }
    for (key, value) in new.into_iter().flatten() {
        if old.is_none_or(|map| !map.contains_key(key)) {
            let difference = values(ty, Merge::Default, None, Some(value));
            parts.add(|| name_of(key), difference);
        }
    }
    parts
}

/// Compares lists item by item, wherever the items stand. An element that several items share is owned as one.
fn lists(
    ty: &'static GoType,
    old: Option<&Value>,
    new: Option<&Value>,
    element: impl Fn(&Value) -> Option<Element>,
) -> Parts {
    let mut items: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for item in old.and_then(Value::as_array).into_iter().flatten() {
        if let Some(element) = element(item) {
            items.entry(element).or_default().0.push(item);
        }
    }
    for item in new.and_then(Value::as_array).into_iter().flatten() {
        if let Some(element) = element(item) {
            items.entry(element).or_default().1.push(item);
        }
    }
    let mut parts = Parts::default();
    for (element, (old, new)) in items {
        let one = |old, new| values(ty, Merge::Default, old, new);
        let mut difference = match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => one(old.first().copied(), new.first().copied()),
            ([_, _, ..], [_, _, ..]) => Difference::leaf(old != new, false),
            ([_, _, ..], []) => Difference::leaf(false, true),
            ([_, _, ..], [single]) => one(None, Some(single)),
            ([], _) => Difference::leaf(true, false),
            ([single], _) => one(Some(single), None),
        };
        // The mark of a shared element, besides what the item that was or is alone has.
        difference.removed.0 |= old.len() > 1 && new.len() == 1;
        difference.changed.0 |= new.len() > 1 && old.len() == 1;
        parts.add(|| element.clone(), difference);
    }
    parts
}

/// The key of an item; nothing where it has none of the fields.
fn key(keys: &[(&'static str, Option<&'static str>)], item: &Value) -> Option<Element> {
    let item = item.as_object()?;
    let mut fields: Vec<(Cow<'static, str>, Scalar)> = keys
        .iter()
        .filter_map(|(name, default)| {
            let value = item.get(*name).cloned();
            let value = value.or_else(|| default.map(Value::from))?;
            Some((Cow::Borrowed(*name), Scalar(value)))
        })
        .collect();
    fields.sort_unstable();
    (!fields.is_empty()).then_some(Element::Key(fields))
}

fn fields(ty: &'static GoType) -> &'static [Field] {
    match ty.shape {
        Shape::Struct(fields) => fields,
        _ => &[],
    }
}

fn get<'a>(value: Option<&'a Value>, field: &Field) -> Option<&'a Value> {
    value.and_then(|value| value.get(field.json))
}

fn name(json: &'static str) -> Element {
    Element::Field(Cow::Borrowed(json))
}

fn name_of(key: &str) -> Element {
    Element::Field(Cow::Owned(key.to_owned()))
}
