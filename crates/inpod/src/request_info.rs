use http::{Method, Uri};

/// What a request asks of the API server: the reading of its method and path that authorization, admission and every policy
/// decide on, after `k8s.io/apiserver/pkg/endpoints/request.RequestInfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestInfo {
    /// Whether it is about an API resource; otherwise only `path` and `verb` (the lower-case method) say something.
    pub is_resource_request: bool,
    /// The path, decoded.
    pub path: String,
    /// get, list, watch, create, update, patch, delete, deletecollection, proxy, or the lower-case method.
    pub verb: String,
    /// `api` or `apis`.
    pub api_prefix: String,
    /// The API group, empty for the core group.
    pub api_group: String,
    /// The version within the group.
    pub api_version: String,
    /// The namespace, empty where there is none.
    pub namespace: String,
    /// The resource, for example `pods`.
    pub resource: String,
    /// The subresource, for example `log`.
    pub subresource: String,
    /// The object's name, empty for a collection.
    pub name: String,
    /// The segments from the resource on.
    pub parts: Vec<String>,
}

/// Why a request target cannot be read without doubt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestInfoError {}

impl RequestInfo {
    /// Reads method and target.
    pub fn parse(_method: &Method, _uri: &Uri) -> Result<Self, RequestInfoError> {
        Ok(Self::default())
    }
}
