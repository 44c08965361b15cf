//! What is served, by its names.

use super::tables::kinds::KINDS;
use super::tables::resources::{GROUP_VERSIONS, RESOURCES};
use super::{GroupVersions, Resource, Subresource, Type};

/// Every resource this server serves, in the order of discovery: the core group first.
pub fn resources() -> &'static [Resource] {
    RESOURCES
}

/// The groups and versions that are served: the core group, then the others in the order of `/apis`.
pub fn group_versions() -> &'static [GroupVersions] {
    GROUP_VERSIONS
}

/// The resource at `/apis/{group}/{version}/{name}` (`/api/{version}/{name}` with an empty group).
pub fn resource(group: &str, version: &str, name: &str) -> Option<&'static Resource> {
    resources()
        .iter()
        .find(|r| r.name == name && r.group == group && r.version == version)
}

/// The resource whose objects are of that kind.
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    resources()
        .iter()
        .find(|r| r.kind == kind && r.group == group && r.version == version)
}

/// The type of a kind, served or not: the tables have every stable version. `DeleteOptions` and the like, which belong to
/// every group, are found under each.
pub fn type_of(group: &str, version: &str, kind: &str) -> Option<Type> {
    let find = |key: (&str, &str, &str)| {
        let index = KINDS.binary_search_by_key(&key, |(kind, _)| *kind).ok()?;
        Some(Type(KINDS[index].1))
    };
    find((group, version, kind)).or_else(|| find(("meta.k8s.io", "v1", kind)))
}

impl Resource {
    /// The type of its objects.
    pub fn body_type(&self) -> Option<Type> {
        type_of(self.group, self.version, self.kind)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}

impl Subresource {
    /// The type of its body.
    pub fn body_type(&self) -> Option<Type> {
        let (group, version, kind) = self.kind;
        type_of(group, version, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_by_path_and_by_kind() {
        let pods = resource("", "v1", "pods").expect("pods are served");
        assert_eq!(pods.short_names, ["po"]);
        assert_eq!(by_kind("", "v1", "Pod"), Some(pods));
        assert_eq!(resource("apps", "v1", "pods"), None);
    }

    #[test]
    fn events_of_both_groups_are_stored_as_one() {
        let events = resource("events.k8s.io", "v1", "events").expect("events are served");
        assert_eq!(events.storage, ("", "events"));
        assert!(
            resources()
                .iter()
                .filter(|r| r.storage == ("", "events"))
                .count()
                == 2
        );
    }

    #[test]
    fn a_token_request_is_of_another_group_than_its_account() {
        let accounts = resource("", "v1", "serviceaccounts").expect("service accounts are served");
        let token = accounts.subresource("token").expect("tokens are served");
        assert_eq!(token.kind, ("authentication.k8s.io", "v1", "TokenRequest"));
    }
}
