use http::{Method, Uri};

mod path;
mod query;
#[cfg(test)]
mod tests;

/// What a request asks of the API server: the reading of its method and path that authorization, admission and every policy
/// decide on, after `k8s.io/apiserver/pkg/endpoints/request.RequestInfo`.
///
/// ```
/// use inpod::RequestInfo;
///
/// let uri = "/api/v1/namespaces/team/pods/web/log?follow=true".parse().unwrap();
/// let info = RequestInfo::parse(&http::Method::GET, &uri).unwrap();
/// assert_eq!((&*info.verb, &*info.resource, &*info.subresource), ("get", "pods", "log"));
/// assert_eq!((&*info.namespace, &*info.name), ("team", "web"));
/// ```
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
    /// The object's name, empty for a collection; of a list or watch, the one name its field selector allows.
    pub name: String,
    /// The segments from the resource on.
    pub parts: Vec<String>,
}

/// Why a request target cannot be read without doubt. The fault is the client's.
///
/// A policy is decided on the same path that is sent. Whatever stands in between or behind may undo an encoded slash, merge
/// slashes or climb a `..`, and then reads another path than the policy did: such a path is refused, not interpreted. No
/// object of Kubernetes has a name that needs one. Behind `pods/NAME/proxy/`, and that of services and nodes, begins the path of
/// another server, where slashes may be encoded or doubled; climbing out of it is refused there too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestInfoError {
    /// A `%` is not followed by two hexadecimal digits, or what is encoded is no UTF-8.
    #[error("the path is not percent-encoded UTF-8")]
    Encoding,
    /// A segment is `.` or `..`, or holds an encoded slash, backslash or control character.
    #[error("the path segment {0:?} can be read in more than one way")]
    Ambiguous(String),
    /// Two slashes follow each other.
    #[error("the path has an empty segment")]
    Empty,
    /// `/api/v1/watch` or `/api/v1/proxy` without a resource after it.
    #[error("unable to determine kind and namespace from url, {0}")]
    Incomplete(String),
}

/// Prefixes of the oldest API: the verb in front of the resource.
const VERBS_IN_PATH: [&str; 2] = ["proxy", "watch"];

/// The subresources of a namespace itself; any other segment there is a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Reads method and target.
    ///
    /// # Errors
    /// Where the path can be read in more than one way.
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, RequestInfoError> {
        let segments = path::segments(uri.path())?;
        let mut info = Self {
            path: path::decoded(uri.path(), &segments),
            verb: method.as_str().to_lowercase(),
            ..Self::default()
        };
        let (version, mut rest) = match segments.as_slice() {
            [prefix, version, rest @ ..] if prefix == "api" => (version, rest),
            [prefix, group, version, rest @ ..] if prefix == "apis" => {
                info.api_group.clone_from(group);
                (version, rest)
            }
            _ => return Ok(info),
        };
        if rest.is_empty() {
            info.api_group.clear();
            return Ok(info);
        }
        info.is_resource_request = true;
        info.api_prefix.clone_from(&segments[0]);
        info.api_version.clone_from(version);

        if VERBS_IN_PATH.contains(&rest[0].as_str()) {
            info.verb.clone_from(&rest[0]);
            rest = &rest[1..];
            if rest.is_empty() {
                return Err(RequestInfoError::Incomplete(uri.path().to_owned()));
            }
        } else {
            verb_of(method).clone_into(&mut info.verb);
        }

        if let [namespaces, namespace, inside @ ..] = rest
            && namespaces == "namespaces"
        {
            info.namespace.clone_from(namespace);
            if is_resource_in_namespace(inside) {
                rest = inside;
            }
        }
        info.resource.clone_from(&rest[0]);
        if let Some(name) = rest.get(1) {
            info.name.clone_from(name);
        }
        if let Some(subresource) = rest.get(2)
            && info.verb != "proxy"
        {
            info.subresource.clone_from(subresource);
        }
        info.parts = rest.to_vec();

        if info.name.is_empty() {
            info.read_collection(uri.query().unwrap_or_default());
        }
        Ok(info)
    }

    /// A get or delete without a name is about a collection, or about the one object that a field selector names.
    fn read_collection(&mut self, query: &str) {
        match self.verb.as_str() {
            "get" => {
                let watch = query::parameter(query, "watch").is_some_and(|v| query::is_true(&v));
                if watch { "watch" } else { "list" }.clone_into(&mut self.verb);
                if let Some(selector) = query::parameter(query, "fieldSelector")
                    && let Some(name) = query::selected_name(&selector)
                {
                    self.name = name;
                }
            }
            "delete" => "deletecollection".clone_into(&mut self.verb),
            _ => {}
        }
    }
}

fn verb_of(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// Whether what follows `/namespaces/NAME` is a resource of its own, and not the namespace's subresource or nothing.
fn is_resource_in_namespace<S: AsRef<str>>(inside: &[S]) -> bool {
    inside
        .first()
        .is_some_and(|segment| !NAMESPACE_SUBRESOURCES.contains(&segment.as_ref()))
}
