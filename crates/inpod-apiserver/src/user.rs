use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who a request comes from, as `authentication.k8s.io/v1` `UserInfo` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The name the user is known by, for example `system:serviceaccount:default:default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Tells users of one name apart over time; a service account's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups the user is in, for example `system:authenticated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What the authenticator knows beyond that; keys are lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// The user of a request without credentials.
    pub fn anonymous() -> Self {
        Self::new("system:anonymous", ["system:unauthenticated"])
    }

    /// A user of that name in those groups.
    pub fn new<'a>(username: impl Into<String>, groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            username: username.into(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Whether the user is in `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}
