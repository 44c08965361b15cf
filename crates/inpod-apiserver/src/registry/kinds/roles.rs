//! Roles and `ClusterRoles`.

use serde_json::Value;

use super::{field, name};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Roles and `ClusterRoles`.
pub(super) enum Roles {
    /// Roles, whose rules are about what is in their namespace.
    Namespaced,
    /// `ClusterRoles`.
    Cluster,
}

impl Strategy for Roles {
    fn validate(&self, role: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        // What the type declares is checked after the rest.
        let mut declared = Vec::new();
        for (i, rule) in role.objects("rules").enumerate() {
            causes.extend(self.rule_problems(rule, &format!("rules[{i}]")));
            if rule.is_empty_at("verbs") {
                declared.push(field::required(format!("rules[{i}].verbs"), ""));
            }
        }
        let selectors = "aggregationRule.clusterRoleSelectors";
        if role.map("aggregationRule").is_some() && role.is_empty_at(selectors) {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            causes.push(field::required(selectors, detail));
        }
        causes.extend(declared);
        causes
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, Column::CREATED_AT];
        COLUMNS
    }

    fn cells(&self, role: &Json, _now: i64) -> Vec<Value> {
        // A bookmark stands for no object, and has Go's first moment.
        let created = match role.text("metadata.creationTimestamp") {
            "" => "0001-01-01T00:00:00Z",
            created => created,
        };
        vec![name(role), created.into()]
    }
}

impl Roles {
    fn rule_problems(&self, rule: &Json, path: &str) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let Some(urls) = rule
            .at("nonResourceURLs")
            .filter(|_| !rule.is_empty_at("nonResourceURLs"))
        {
            let path = format!("{path}.nonResourceURLs");
            if matches!(self, Self::Namespaced) {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                causes.push(field::invalid(path.as_str(), urls.clone(), detail));
            }
            let about_resources = ["apiGroups", "resources", "resourceNames"];
            if about_resources.iter().any(|part| !rule.is_empty_at(part)) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(field::invalid(path, urls.clone(), detail));
            }
            return causes;
        }
        if rule.is_empty_at("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            causes.push(field::required(format!("{path}.apiGroups"), detail));
        }
        if rule.is_empty_at("resources") {
            let detail = "resource rules must supply at least one resource";
            causes.push(field::required(format!("{path}.resources"), detail));
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn messages(strategy: &Roles, rule: Value) -> Vec<String> {
        let object = object(json!({"rules": [rule]}));
        strategy
            .validate(&object)
            .into_iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect()
    }

    #[test]
    fn a_rule_says_what_and_on_what() {
        assert_eq!(
            messages(&Roles::Namespaced, json!({})),
            [
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
                "rules[0].verbs: Required value",
            ]
        );
        let good = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        assert!(messages(&Roles::Namespaced, good).is_empty());
    }

    #[test]
    fn only_cluster_roles_name_urls() {
        let rule = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz"]});
        assert!(messages(&Roles::Cluster, rule.clone()).is_empty());
        assert_eq!(
            messages(&Roles::Namespaced, rule),
            [
                r#"rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs"#
            ]
        );
    }
}
