use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::rule::Rule;
use crate::UserInfo;
use crate::auth::service_account;
use crate::quote::quoted;
use crate::schema::Json;
use crate::storage::{Lookup, Object, key};

/// The API group of the four kinds.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// What an index is made of, and so outdated by.
pub(super) const RESOURCES: &[(&str, &str)] = &[
    (GROUP, "clusterroles"),
    (GROUP, "roles"),
    (GROUP, "clusterrolebindings"),
    (GROUP, "rolebindings"),
];

/// Roles and bindings, by `namespace/name` or name.
#[derive(Debug, Default)]
pub(super) struct Index {
    cluster_roles: Parsed<Vec<Rule>>,
    roles: Parsed<Vec<Rule>>,
    cluster_role_bindings: Parsed<Binding>,
    role_bindings: Parsed<Binding>,
}

/// A `ClusterRoleBinding` or (with a namespace) a `RoleBinding`.
#[derive(Debug)]
pub(super) struct Binding {
    name: String,
    namespace: String,
    role_kind: String,
    role_name: String,
    subjects: Vec<Subject>,
}

#[derive(Debug)]
pub(super) struct Subject {
    kind: String,
    namespace: String,
    name: String,
}

impl Index {
    /// The index of now. What did not change since `before` is not parsed again.
    pub(super) fn build(lookup: &dyn Lookup, before: &Self) -> Self {
        let list = |resource| lookup.list(GROUP, resource, None);
        Self {
            cluster_roles: Parsed::of(list("clusterroles"), &before.cluster_roles, rules_of),
            roles: Parsed::of(list("roles"), &before.roles, rules_of),
            cluster_role_bindings: Parsed::of(
                list("clusterrolebindings"),
                &before.cluster_role_bindings,
                Binding::of,
            ),
            role_bindings: Parsed::of(list("rolebindings"), &before.role_bindings, Binding::of),
        }
    }

    /// The bindings that say something about `user` in `namespace` (cluster-wide ones first), each with the subject that is the user.
    pub(super) fn bindings<'a>(
        &'a self,
        user: &'a UserInfo,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a Binding, &'a Subject)> {
        let everywhere = self.cluster_role_bindings.0.values();
        // Up to the character after `/`, so everything that begins with `namespace/`; nothing is in no namespace.
        let (start, end) = (format!("{namespace}/"), format!("{namespace}0"));
        let local = self
            .role_bindings
            .0
            .range(start..end)
            .map(|(_, parsed)| parsed);
        everywhere.chain(local).filter_map(|(_, binding)| {
            let is_user = |subject: &&Subject| subject.is(user, &binding.namespace);
            Some((&**binding, binding.subjects.iter().find(is_user)?))
        })
    }

    /// The rules of the role that the binding refers to, or why there are none.
    pub(super) fn rules(&self, binding: &Binding) -> Result<&[Rule], String> {
        let (kind, name) = (binding.role_kind.as_str(), binding.role_name.as_str());
        let found = match kind {
            "ClusterRole" => self.cluster_roles.0.get(name),
            "Role" => self.roles.0.get(&key(&binding.namespace, name)),
            _ => return Err(format!("unsupported role reference kind: {}", quoted(kind))),
        };
        found.map(|(_, rules)| rules.as_slice()).ok_or_else(|| {
            let resource = kind.to_ascii_lowercase();
            format!("{resource}.{GROUP} {} not found", quoted(name))
        })
    }
}

/// Objects by their key, each with what it was parsed to.
#[derive(Debug)]
struct Parsed<T>(BTreeMap<String, (Arc<Object>, Arc<T>)>);

impl<T> Parsed<T> {
    fn of(objects: Vec<Arc<Object>>, before: &Self, parse: impl Fn(&Json) -> T) -> Self {
        let entry = |object: Arc<Object>| {
            let key = object.key();
            let parsed = match before.0.get(&key) {
                Some((old, parsed)) if Arc::ptr_eq(old, &object) => parsed.clone(),
                _ => Arc::new(parse(&object.value())),
            };
            (key, (object, parsed))
        };
        Self(objects.into_iter().map(entry).collect())
    }
}

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl Binding {
    fn of(object: &Json) -> Self {
        let (metadata, role) = (object.get("metadata"), object.get("roleRef"));
        let subjects = object.get("subjects").and_then(Value::as_array);
        Self {
            name: text(metadata, "name"),
            namespace: text(metadata, "namespace"),
            role_kind: text(role, "kind"),
            role_name: text(role, "name"),
            subjects: subjects
                .into_iter()
                .flatten()
                .map(|subject| Subject {
                    kind: text(Some(subject), "kind"),
                    namespace: text(Some(subject), "namespace"),
                    name: text(Some(subject), "name"),
                })
                .collect(),
        }
    }

    /// The binding in the words of the authorizer's reasons.
    pub(super) fn describe(&self, subject: &Subject) -> String {
        let (kind, name) = if self.namespace.is_empty() {
            ("ClusterRoleBinding", self.name.clone())
        } else {
            ("RoleBinding", format!("{}/{}", self.name, self.namespace))
        };
        format!(
            "{kind} {} of {} {} to {}",
            quoted(&name),
            self.role_kind,
            quoted(&self.role_name),
            subject.describe(&self.namespace)
        )
    }
}

impl Subject {
    fn is(&self, user: &UserInfo, binding_namespace: &str) -> bool {
        match self.kind.as_str() {
            "User" => user.username == self.name,
            "Group" => user.in_group(&self.name),
            "ServiceAccount" => {
                let namespace = self.namespace_or(binding_namespace);
                !namespace.is_empty()
                    && service_account::is_username(&user.username, namespace, &self.name)
            }
            _ => false,
        }
    }

    fn describe(&self, binding_namespace: &str) -> String {
        let name = match self.kind.as_str() {
            "ServiceAccount" => format!("{}/{}", self.name, self.namespace_or(binding_namespace)),
            _ => self.name.clone(),
        };
        format!("{} {}", self.kind, quoted(&name))
    }

    /// A `RoleBinding` may leave the namespace of an account of its own namespace out.
    fn namespace_or<'a>(&'a self, binding_namespace: &'a str) -> &'a str {
        if self.namespace.is_empty() {
            binding_namespace
        } else {
            &self.namespace
        }
    }
}

/// The rules of a role.
pub(super) fn rules_of(role: &Json) -> Vec<Rule> {
    let rules = role.get("rules").and_then(Value::as_array);
    rules.into_iter().flatten().map(Rule::of).collect()
}

fn text(value: Option<&Value>, key: &str) -> String {
    value
        .and_then(|v| v.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
