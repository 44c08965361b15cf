use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::rule::Rule;
use crate::UserInfo;
use crate::auth::quote::quoted;
use crate::auth::service_account;
use crate::schema::Json;
use crate::storage::Lookup;

/// The API group of the four kinds.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// What an index is made of, and so outdated by.
pub(super) const RESOURCES: &[(&str, &str)] = &[
    (GROUP, "clusterroles"),
    (GROUP, "roles"),
    (GROUP, "clusterrolebindings"),
    (GROUP, "rolebindings"),
];

/// All bindings, with the rules of the roles they refer to.
#[derive(Debug, Default)]
pub(super) struct Index {
    everywhere: Vec<Binding>,
    by_namespace: HashMap<String, Vec<Binding>>,
}

/// A `ClusterRoleBinding` or (with a namespace) a `RoleBinding`.
#[derive(Debug)]
pub(super) struct Binding {
    name: String,
    namespace: String,
    role_kind: String,
    role_name: String,
    subjects: Vec<Subject>,
    /// The role's rules, or why there are none.
    pub(super) rules: Result<Arc<[Rule]>, String>,
}

#[derive(Debug)]
pub(super) struct Subject {
    kind: String,
    namespace: String,
    name: String,
}

impl Index {
    pub(super) fn build(lookup: &dyn Lookup) -> Self {
        let roles = Roles::read(lookup);
        let mut by_namespace = HashMap::<String, Vec<Binding>>::new();
        for object in lookup.list(GROUP, "rolebindings", None) {
            let binding = Binding::of(&object.name, &object.namespace, &object.value(), &roles);
            by_namespace
                .entry(object.namespace.clone())
                .or_default()
                .push(binding);
        }
        let everywhere = lookup
            .list(GROUP, "clusterrolebindings", None)
            .iter()
            .map(|object| Binding::of(&object.name, "", &object.value(), &roles))
            .collect();
        Self {
            everywhere,
            by_namespace,
        }
    }

    /// The bindings that say something about `user` in `namespace` (cluster-wide ones first), each with the subject that is the user.
    pub(super) fn bindings<'a>(
        &'a self,
        user: &'a UserInfo,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a Binding, &'a Subject)> {
        let local = self
            .by_namespace
            .get(namespace)
            .map_or(&[][..], Vec::as_slice);
        self.everywhere.iter().chain(local).filter_map(|binding| {
            let is_user = |subject: &&Subject| subject.is(user, &binding.namespace);
            Some((binding, binding.subjects.iter().find(is_user)?))
        })
    }
}

impl Binding {
    fn of(name: &str, namespace: &str, object: &Json, roles: &Roles) -> Self {
        let reference = object.get("roleRef");
        let role_kind = text(reference, "kind");
        let role_name = text(reference, "name");
        let subjects = object.get("subjects").and_then(Value::as_array);
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            rules: roles.rules(&role_kind, namespace, &role_name),
            role_kind,
            role_name,
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

/// The rules of every role, shared by the bindings that refer to it.
struct Roles {
    cluster: BTreeMap<String, Arc<[Rule]>>,
    namespaced: BTreeMap<(String, String), Arc<[Rule]>>,
}

impl Roles {
    fn read(lookup: &dyn Lookup) -> Self {
        let cluster = lookup.list(GROUP, "clusterroles", None);
        let namespaced = lookup.list(GROUP, "roles", None);
        Self {
            cluster: cluster
                .iter()
                .map(|role| (role.name.clone(), rules_of(&role.value())))
                .collect(),
            namespaced: namespaced
                .iter()
                .map(|role| {
                    let key = (role.namespace.clone(), role.name.clone());
                    (key, rules_of(&role.value()))
                })
                .collect(),
        }
    }

    fn rules(&self, kind: &str, namespace: &str, name: &str) -> Result<Arc<[Rule]>, String> {
        let rules = match kind {
            "ClusterRole" => self.cluster.get(name),
            "Role" => self
                .namespaced
                .get(&(namespace.to_owned(), name.to_owned())),
            _ => {
                return Err(format!("unsupported role reference kind: {}", quoted(kind)));
            }
        };
        rules.cloned().ok_or_else(|| {
            let resource = kind.to_ascii_lowercase();
            format!("{resource}.{GROUP} {} not found", quoted(name))
        })
    }
}

pub(super) fn rules_of(role: &Json) -> Arc<[Rule]> {
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
