//! How the objects of a resource are ordered: by `namespace/name`, or by the name for cluster-scoped kinds, as etcd's keys.

use std::ops::Bound;

/// The key of an object in the order of its resource.
pub(crate) fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// The range of keys in `namespace` from `start` on.
pub(super) fn range(
    namespace: Option<&str>,
    start: Option<&str>,
) -> (Bound<String>, Bound<String>) {
    let (first, end) = match namespace {
        // '0' is what follows '/'.
        Some(namespace) => (
            Bound::Included(format!("{namespace}/")),
            Bound::Excluded(format!("{namespace}0")),
        ),
        None => (Bound::Unbounded, Bound::Unbounded),
    };
    match (start, &first) {
        (Some(start), Bound::Included(first)) if start <= first.as_str() => {
            (Bound::Included(first.clone()), end)
        }
        // A start past the end of the namespace: nothing, where the map would panic.
        (Some(start), _) if matches!(&end, Bound::Excluded(end) if start >= end.as_str()) => (
            Bound::Included(start.to_owned()),
            Bound::Excluded(start.to_owned()),
        ),
        (Some(start), _) => (Bound::Included(start.to_owned()), end),
        (None, _) => (first, end),
    }
}

pub(super) fn as_str(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}
