use http::{Method, Uri};
use percent_encoding::percent_decode_str;

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
    /// The object's name, empty for a collection.
    pub name: String,
    /// The segments from the resource on.
    pub parts: Vec<String>,
}

/// Why a request target cannot be read without doubt. The fault is the client's.
///
/// Servers behind a proxy may read such a path in another way than the proxy did, so a policy decided on it means nothing:
/// it is refused, not interpreted.
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
        let segments = segments(uri.path())?;
        let mut info = Self {
            path: decoded_path(uri.path(), &segments),
            verb: method.as_str().to_lowercase(),
            ..Self::default()
        };
        let mut rest = match segments.as_slice() {
            [prefix, rest @ ..] if prefix == "api" && rest.len() >= 2 => rest,
            [prefix, group, rest @ ..] if prefix == "apis" && rest.len() >= 2 => {
                info.api_group.clone_from(group);
                rest
            }
            _ => return Ok(info),
        };
        info.is_resource_request = true;
        info.api_prefix.clone_from(&segments[0]);
        info.api_version.clone_from(&rest[0]);
        rest = &rest[1..];

        if VERBS_IN_PATH.contains(&rest[0].as_str()) {
            info.verb.clone_from(&rest[0]);
            rest = &rest[1..];
            if rest.is_empty() {
                return Err(RequestInfoError::Incomplete(uri.path().to_owned()));
            }
        } else {
            verb_of(method).clone_into(&mut info.verb);
        }

        if rest[0] == "namespaces" && rest.len() > 1 {
            info.namespace.clone_from(&rest[1]);
            if rest.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&rest[2].as_str()) {
                rest = &rest[2..];
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
                let watch = parameter(query, "watch").is_some_and(|value| is_true(&value));
                if watch { "watch" } else { "list" }.clone_into(&mut self.verb);
                if let Some(name) =
                    parameter(query, "fieldSelector").and_then(|selector| selected_name(&selector))
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

/// The decoded segments, without what a leading or trailing slash would add.
fn segments(path: &str) -> Result<Vec<String>, RequestInfoError> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    inner.split('/').map(segment).collect()
}

fn segment(raw: &str) -> Result<String, RequestInfoError> {
    if raw.is_empty() {
        return Err(RequestInfoError::Empty);
    }
    if has_stray_percent(raw) {
        return Err(RequestInfoError::Encoding);
    }
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_not_utf8| RequestInfoError::Encoding)?;
    let ambiguous = decoded == "."
        || decoded == ".."
        || decoded.contains(['/', '\\'])
        || decoded.contains(char::is_control);
    if ambiguous {
        return Err(RequestInfoError::Ambiguous(decoded.into_owned()));
    }
    Ok(decoded.into_owned())
}

/// Whether a `%` stands for itself, which `percent_decode` lets pass and RFC 3986 does not.
fn has_stray_percent(raw: &str) -> bool {
    raw.split('%').skip(1).any(|after| {
        let digits = after.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn decoded_path(raw: &str, segments: &[String]) -> String {
    let mut path = format!("/{}", segments.join("/"));
    if raw.len() > 1 && raw.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// The first value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (query_decoded(key) == name).then(|| query_decoded(value))
    })
}

fn query_decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// apimachinery's reading of a boolean parameter: all but `false` and `0`, the empty value included, is true.
fn is_true(value: &str) -> bool {
    !value.eq_ignore_ascii_case("false") && value != "0"
}

/// The name that a field selector requires exactly, where it is one that a path could have.
fn selected_name(selector: &str) -> Option<String> {
    selector.split(',').find_map(|requirement| {
        let (field, value) = requirement
            .split_once("==")
            .or_else(|| requirement.split_once('='))?;
        let is_name = field == "metadata.name"
            && !value.is_empty()
            && value != "."
            && value != ".."
            && !value.contains(['/', '%', '\\']);
        is_name.then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(method: &str, target: &str) -> Result<RequestInfo, RequestInfoError> {
        RequestInfo::parse(&method.parse().unwrap(), &target.parse().unwrap())
    }

    /// verb, group, version, namespace, resource, subresource, name
    fn read(method: &str, target: &str) -> [String; 7] {
        let info = parse(method, target).unwrap();
        assert!(info.is_resource_request, "{target}");
        [
            info.verb,
            info.api_group,
            info.api_version,
            info.namespace,
            info.resource,
            info.subresource,
            info.name,
        ]
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    fn resource_paths_are_read_as_the_api_server_reads_them() {
        let cases = [
            (
                "GET",
                "/api/v1/namespaces",
                ["list", "", "v1", "", "namespaces", "", ""],
            ),
            (
                "GET",
                "/api/v1/namespaces/other",
                ["get", "", "v1", "other", "namespaces", "", "other"],
            ),
            (
                "PUT",
                "/api/v1/namespaces/other/finalize",
                [
                    "update",
                    "",
                    "v1",
                    "other",
                    "namespaces",
                    "finalize",
                    "other",
                ],
            ),
            (
                "PUT",
                "/api/v1/namespaces/other/status",
                ["update", "", "v1", "other", "namespaces", "status", "other"],
            ),
            (
                "GET",
                "/api/v1/namespaces/other/pods",
                ["list", "", "v1", "other", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/namespaces/other/pods/",
                ["list", "", "v1", "other", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/namespaces/other/pods/foo",
                ["get", "", "v1", "other", "pods", "", "foo"],
            ),
            (
                "HEAD",
                "/api/v1/namespaces/other/pods/foo",
                ["get", "", "v1", "other", "pods", "", "foo"],
            ),
            (
                "GET",
                "/api/v1/pods",
                ["list", "", "v1", "", "pods", "", ""],
            ),
            (
                "HEAD",
                "/api/v1/pods",
                ["list", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/namespaces/other/pods/foo/log",
                ["get", "", "v1", "other", "pods", "log", "foo"],
            ),
            (
                "GET",
                "/api/v1/pods?watch=true",
                ["watch", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/pods?watch",
                ["watch", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/pods?watch=0",
                ["list", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/pods?watch=False",
                ["list", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/pods?fieldSelector=metadata.name%3Dfoo",
                ["list", "", "v1", "", "pods", "", "foo"],
            ),
            (
                "GET",
                "/api/v1/pods?watch=1&fieldSelector=a=b,metadata.name==foo",
                ["watch", "", "v1", "", "pods", "", "foo"],
            ),
            (
                "GET",
                "/api/v1/pods?fieldSelector=metadata.name!=foo",
                ["list", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/watch/namespaces/other/pods",
                ["watch", "", "v1", "other", "pods", "", ""],
            ),
            (
                "GET",
                "/api/v1/watch/pods/foo",
                ["watch", "", "v1", "", "pods", "", "foo"],
            ),
            (
                "GET",
                "/api/v1/proxy/namespaces/other/pods/foo/bar",
                ["proxy", "", "v1", "other", "pods", "", "foo"],
            ),
            (
                "POST",
                "/api/v1/namespaces/other/pods",
                ["create", "", "v1", "other", "pods", "", ""],
            ),
            (
                "PATCH",
                "/api/v1/namespaces/other/pods/foo",
                ["patch", "", "v1", "other", "pods", "", "foo"],
            ),
            (
                "DELETE",
                "/api/v1/namespaces/other/pods/foo",
                ["delete", "", "v1", "other", "pods", "", "foo"],
            ),
            (
                "DELETE",
                "/api/v1/namespaces/other/pods",
                ["deletecollection", "", "v1", "other", "pods", "", ""],
            ),
            (
                "OPTIONS",
                "/api/v1/pods",
                ["", "", "v1", "", "pods", "", ""],
            ),
            (
                "GET",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Abasic-user",
                [
                    "get",
                    "rbac.authorization.k8s.io",
                    "v1",
                    "",
                    "clusterroles",
                    "",
                    "system:basic-user",
                ],
            ),
        ];
        for (method, target, expected) in cases {
            assert_eq!(
                read(method, target),
                expected.map(str::to_owned),
                "{method} {target}"
            );
        }
    }

    #[test]
    fn other_paths_are_their_method_and_path() {
        for target in [
            "/",
            "/api",
            "/api/",
            "/api/v1",
            "/apis",
            "/apis/apps",
            "/apis/apps/v1",
            "/healthz/ping",
            "/version",
        ] {
            let info = parse("GET", target).unwrap();
            assert!(!info.is_resource_request, "{target}");
            assert_eq!((info.verb.as_str(), info.path.as_str()), ("get", target));
        }
        assert_eq!(parse("POST", "/x%20y").unwrap().path, "/x y");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for target in [
            "/api/v1/namespaces/a%2Fb/pods",
            "/api/v1/namespaces/%2e%2e/pods",
            "/api/v1/namespaces/./pods",
            "/api/v1/../v1/pods",
            "/api/v1/pods/p%0a",
            "/api/v1/pods/p%00",
            "/api/v1/pods/a%5cb",
            "/api/v1/pods/%ff",
            "/api/v1/pods/%zz",
            "/api/v1/pods/%4",
            "/api//v1/pods",
            "//api/v1/pods",
            "/api/v1/pods//",
            "/api/v1/watch",
        ] {
            assert!(parse("GET", target).is_err(), "{target}");
        }
    }

    proptest! {
        #[test]
        fn any_target_is_read_or_refused_without_a_panic(path in "/[a-z/%.0-9?=&,+]{0,40}", method in "GET|POST|DELETE|PATCH") {
            if let Ok(uri) = path.parse::<Uri>() {
                let _ = RequestInfo::parse(&method.parse().unwrap(), &uri);
            }
        }

        #[test]
        fn an_encoded_name_is_read_as_what_it_encodes(name in "[a-zA-Z0-9:._~ -]{1,20}") {
            prop_assume!(name != "." && name != "..");
            let encoded = percent_encoding::percent_encode(name.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
            let info = parse("GET", &format!("/api/v1/namespaces/a/pods/{encoded}")).unwrap();
            prop_assert_eq!(info.name, name);
        }

        #[test]
        fn encoding_a_letter_changes_nothing(position in 1_usize..30) {
            let plain = "/api/v1/namespaces/team/pods/web/log";
            let byte = plain.as_bytes()[position];
            prop_assume!(byte != b'/');
            let encoded = format!("{}%{byte:02x}{}", &plain[..position], &plain[position + 1..]);
            prop_assert_eq!(parse("GET", &encoded), parse("GET", plain));
        }
    }
}
