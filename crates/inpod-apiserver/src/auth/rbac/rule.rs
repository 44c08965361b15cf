use serde::Serialize;
use serde_json::Value;

use super::Attributes;
use crate::quote::quoted_list;

/// A `rbac.authorization.k8s.io/v1` `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(super) non_resource_urls: Vec<String>,
}

impl Rule {
    /// The rule in a stored role; what is no list of strings is empty, and so allows nothing.
    pub(super) fn of(value: &Value) -> Self {
        let strings = |key: &str| {
            let items = value.get(key).and_then(Value::as_array);
            items
                .into_iter()
                .flatten()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            verbs: strings("verbs"),
            api_groups: strings("apiGroups"),
            resources: strings("resources"),
            resource_names: strings("resourceNames"),
            non_resource_urls: strings("nonResourceURLs"),
        }
    }

    /// Whether the rule allows what is asked.
    pub(super) fn allows(&self, asked: &Attributes) -> bool {
        if !has_or_star(&self.verbs, &asked.verb) {
            return false;
        }
        if !asked.is_resource_request {
            return self
                .non_resource_urls
                .iter()
                .any(|url| url_covers(url, &asked.path));
        }
        has_or_star(&self.api_groups, &asked.group)
            && self.resources.iter().any(|r| resource_matches(r, asked))
            && (self.resource_names.is_empty() || self.resource_names.contains(&asked.name))
    }

    /// The form that messages have: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    pub(super) fn compact(&self) -> String {
        let parts: Vec<String> = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ]
        .into_iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(name, items)| format!("{name}:{}", quoted_list(items)))
        .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// Whether `set` has `item`, or the `*` that stands for every item.
pub(super) fn has_or_star(set: &[String], item: &str) -> bool {
    set.iter().any(|s| s == "*" || s == item)
}

/// Whether a non-resource URL of a rule, which may end in `*`, covers a path or a URL of another rule.
pub(super) fn url_covers(url: &str, path: &str) -> bool {
    url == path || (url.ends_with('*') && path.starts_with(url.trim_end_matches('*')))
}

/// `*`, `pods`, `pods/log` or `*/log`; `pods` alone does not speak for its subresources.
fn resource_matches(rule: &str, asked: &Attributes) -> bool {
    if rule == "*" {
        return true;
    }
    if asked.subresource.is_empty() {
        return rule == asked.resource;
    }
    rule.strip_suffix(asked.subresource.as_str())
        .and_then(|rest| rest.strip_suffix('/'))
        .is_some_and(|resource| resource == "*" || resource == asked.resource)
}
