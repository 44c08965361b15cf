use serde::{Deserialize, Serialize};

/// The claims of a service-account token, in the order that the real server writes them in. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) aud: Vec<String>,
    pub(super) exp: u64,
    pub(super) iat: u64,
    pub(super) iss: String,
    pub(super) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) kubernetes: Kubernetes,
    pub(super) nbf: u64,
    pub(super) sub: String,
}

/// The claims that only Kubernetes knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    pub(super) serviceaccount: Reference,
    /// When the token should have been replaced by a newer one, where its expiry was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) warnafter: Option<u64>,
}

/// An object that the token is bound to: it is good only for as long as an object of this name has this uid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) uid: String,
}

impl From<&(String, String)> for Reference {
    fn from((name, uid): &(String, String)) -> Self {
        Self {
            name: name.clone(),
            uid: uid.clone(),
        }
    }
}
