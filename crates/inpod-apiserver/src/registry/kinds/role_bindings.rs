//! `RoleBindings` and `ClusterRoleBindings`.

use serde_json::Value;

use super::{age, column, field, names, wide};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of `RoleBindings` and `ClusterRoleBindings`.
pub(super) enum RoleBindings {
    /// `RoleBindings`.
    Namespaced,
    /// `ClusterRoleBindings`.
    Cluster,
}

const GROUP: &str = "rbac.authorization.k8s.io";

impl Strategy for RoleBindings {
    fn default(&self, binding: &mut Json) {
        binding.default_to("roleRef.apiGroup", GROUP);
        for subject in binding.objects_mut("subjects") {
            if matches!(subject.text("kind"), "User" | "Group") {
                subject.default_to("apiGroup", GROUP);
            }
        }
    }

    fn validate(&self, binding: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let group = binding.text("roleRef.apiGroup");
        if group != GROUP {
            causes.push(field::not_supported("roleRef.apiGroup", group, &[GROUP]));
        }
        let kind = binding.text("roleRef.kind");
        let known: &[&str] = match self {
            Self::Namespaced => &["Role", "ClusterRole"],
            Self::Cluster => &["ClusterRole"],
        };
        if !known.contains(&kind) {
            causes.push(field::not_supported("roleRef.kind", kind, known));
        }
        let role = binding.text("roleRef.name");
        let wrong = names::path_segment(role);
        causes.extend(
            wrong
                .iter()
                .map(|why| field::invalid("roleRef.name", role, why)),
        );
        for (i, subject) in binding.objects("subjects").enumerate() {
            causes.extend(self.subject_problems(subject, &format!("subjects[{i}]")));
        }
        // What the type declares is checked after the rest.
        for (i, subject) in binding.objects("subjects").enumerate() {
            if subject.text("name").is_empty() {
                causes.push(field::required(format!("subjects[{i}].name"), ""));
            }
        }
        if role.is_empty() {
            causes.push(field::required("roleRef.name", ""));
        }
        causes
    }

    fn validate_update(&self, binding: &Json, old: &Json) -> Vec<Cause> {
        field::immutable("roleRef", binding.at("roleRef"), old.at("roleRef"))
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            column("Role"),
            Column::AGE,
            wide("Users"),
            wide("Groups"),
            wide("ServiceAccounts"),
        ];
        COLUMNS
    }

    fn cells(&self, binding: &Json, now: i64) -> Vec<Value> {
        let role = format!(
            "{}/{}",
            binding.text("roleRef.kind"),
            binding.text("roleRef.name")
        );
        let subjects = |kind: &str| -> String {
            let of_kind = binding
                .objects("subjects")
                .filter(|s| s.text("kind") == kind);
            let names: Vec<String> = of_kind
                .map(|subject| match kind {
                    "ServiceAccount" => {
                        format!("{}/{}", subject.text("namespace"), subject.text("name"))
                    }
                    _ => subject.text("name").to_owned(),
                })
                .collect();
            names.join(", ")
        };
        vec![
            super::name(binding),
            role.into(),
            age::age(binding, now),
            subjects("User").into(),
            subjects("Group").into(),
            subjects("ServiceAccount").into(),
        ]
    }
}

impl RoleBindings {
    fn subject_problems(&self, subject: &Json, path: &str) -> Vec<Cause> {
        let mut causes = Vec::new();
        let at = |field: &str| format!("{path}.{field}");
        let name = subject.text("name");
        let group = subject.text("apiGroup");
        match subject.text("kind") {
            "ServiceAccount" => {
                if !name.is_empty() {
                    let wrong = names::dns1123_subdomain(name);
                    causes.extend(
                        wrong
                            .iter()
                            .map(|why| field::invalid(at("name"), name, why)),
                    );
                }
                if !group.is_empty() {
                    causes.push(field::not_supported(at("apiGroup"), group, &[""]));
                }
                if matches!(self, Self::Cluster) && subject.text("namespace").is_empty() {
                    causes.push(field::required(at("namespace"), ""));
                }
            }
            "User" | "Group" => {
                if group != GROUP {
                    causes.push(field::not_supported(at("apiGroup"), group, &[GROUP]));
                }
            }
            other => {
                let known = ["ServiceAccount", "User", "Group"];
                causes.push(field::not_supported(at("kind"), other, &known));
            }
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    fn binding() -> Json {
        object(json!({
            "metadata": {"name": "b"},
            "subjects": [
                {"kind": "User", "name": "jane"},
                {"kind": "ServiceAccount", "name": "default", "namespace": "default"},
            ],
            "roleRef": {"kind": "ClusterRole", "name": "view"},
        }))
    }

    #[test]
    fn groups_of_users_and_roles_are_filled_in() {
        let mut binding = binding();
        RoleBindings::Cluster.default(&mut binding);
        assert_eq!(binding["roleRef"]["apiGroup"], GROUP);
        assert_eq!(binding["subjects"][0]["apiGroup"], GROUP);
        assert_eq!(binding["subjects"][1].get("apiGroup"), None);
        assert!(RoleBindings::Cluster.validate(&binding).is_empty());
        assert_eq!(
            RoleBindings::Cluster.cells(&binding, 0),
            [
                "b",
                "ClusterRole/view",
                "<unknown>",
                "jane",
                "",
                "default/default"
            ]
        );
    }

    #[test]
    fn a_cluster_binding_binds_cluster_roles_and_names_namespaces() {
        let mut binding = binding();
        RoleBindings::Cluster.default(&mut binding);
        binding.put("roleRef.kind", "Role");
        binding["subjects"][1]["namespace"] = json!("");
        let causes = RoleBindings::Cluster.validate(&binding);
        let paths: Vec<&str> = causes.iter().map(|c| c.field.as_str()).collect();
        assert_eq!(paths, ["roleRef.kind", "subjects[1].namespace"]);
        assert!(RoleBindings::Namespaced.validate(&binding).is_empty());
    }

    #[test]
    fn the_role_of_a_binding_stays() {
        let old = binding();
        let mut new = binding();
        new.put("roleRef.name", "edit");
        let causes = RoleBindings::Cluster.validate_update(&new, &old);
        assert!(causes[0].message.ends_with(": field is immutable"));
    }
}
