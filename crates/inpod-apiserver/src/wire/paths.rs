//! What is served at paths that are no resources.

use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::negotiate::{self, Endpoint, Form, Media};
use super::reply::{self, Response};
use super::{Door, discovery, document_hash, encode, health, openapi, query};
use crate::Status;
use crate::schema::{self, Json};

/// The version of Kubernetes whose API this is: that of the published files the schema tables are generated from.
const MAJOR: &str = "1";
const MINOR: &str = "37";
pub(crate) const KUBERNETES_VERSION: &str = "v1.37.2";
/// An answer of OIDC discovery may be kept that long, as a real server says.
const OIDC_CACHE: &str = "public, max-age=3600";

/// The answer to a request for `path`, which is none for a resource.
///
/// What kube-apiserver serves through its router of resources is there for GET alone, refuses an `Accept` that it cannot meet, and
/// tells what is missing in a Status; what it serves beside it does none of that.
pub(super) fn serve(door: &Door, parts: &Parts, path: &str) -> Result<Response, Status> {
    let trimmed = match path.strip_suffix('/') {
        None | Some("") => path,
        Some(trimmed) => trimmed,
    };
    let segments: Vec<&str> = trimmed.split('/').skip(1).collect();
    match segments.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Ok(health::serve(path, &query(parts))),
        ["" | "index.html"] if trimmed == path => Ok(index()),
        ["apis"] => groups(parts, trimmed == path),
        ["apis", group] => match discovery::group(group) {
            Some(document) => negotiated(parts, &document),
            None => Ok(reply::page_not_found()),
        },
        ["openapi", "v3", ..] => Ok(openapi(parts, trimmed == path, &segments[2..])),
        [prefix @ ("api" | "apis"), ..] if !is_group(prefix, segments.get(1).unwrap_or(&"")) => {
            Ok(reply::page_not_found())
        }
        ["api" | "apis" | "version" | ".well-known" | "openid", ..] => {
            routed(door, parts, &segments)
        }
        _ => Ok(reply::page_not_found()),
    }
}

/// Whether there is anything below `/api` or, of the group, below `/apis`; a version of it is another question.
pub(super) fn is_group(prefix: &str, group: &str) -> bool {
    let group = if prefix == "api" { "" } else { group };
    (prefix == "api" || !group.is_empty())
        && schema::group_versions()
            .iter()
            .any(|served| served.group == group)
}

/// What has a route of its own.
fn routed(door: &Door, parts: &Parts, segments: &[&str]) -> Result<Response, Status> {
    let tokens = &door.core.tokens;
    let get = || {
        let known = parts.method == Method::GET;
        known.then_some(()).ok_or_else(Status::method_not_allowed)
    };
    match segments {
        ["version"] => {
            get()?;
            negotiate::check_accept_of(&parts.headers, &["application/json"])?;
            Ok(version())
        }
        ["api"] => {
            get()?;
            negotiate::check_accept(&parts.headers, false)?;
            discovered(parts, true, || discovery::api_versions(door.address))
        }
        ["api", version] => resources(parts, discovery::resource_list("", version)),
        ["apis", group, version] => resources(parts, discovery::resource_list(group, version)),
        [".well-known", "openid-configuration"] => {
            get()?;
            let keys = format!("https://{}/openid/v1/jwks", door.address);
            Ok(oidc(
                "application/json",
                &tokens.openid_configuration(&keys),
            ))
        }
        ["openid", "v1", "jwks"] => {
            get()?;
            Ok(oidc("application/jwk-set+json", &tokens.jwks()))
        }
        ["api" | "apis" | "version", ..] => Err(Status::no_such_resource()),
        _ => Ok(reply::page_not_found()),
    }
}

fn index() -> Response {
    let mut paths: Vec<String> = [
        "/.well-known/openid-configuration",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/",
        "/healthz",
        "/healthz/ping",
        "/livez",
        "/livez/ping",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/readyz/ping",
        "/version",
    ]
    .map(str::to_owned)
    .to_vec();
    for group in schema::group_versions() {
        if !group.group.is_empty() {
            paths.push(format!("/apis/{}", group.group));
            let versions = group.versions.iter();
            paths.extend(versions.map(|version| format!("/apis/{}/{version}", group.group)));
        }
    }
    paths.sort();
    reply::raw_json(
        StatusCode::OK,
        &Json::from_iter([("paths".to_owned(), paths.into())]),
    )
}

fn version() -> Response {
    let fields = [
        ("major", MAJOR),
        ("minor", MINOR),
        ("emulationMajor", MAJOR),
        ("emulationMinor", MINOR),
        ("minCompatibilityMajor", MAJOR),
        ("minCompatibilityMinor", "36"),
        ("gitVersion", KUBERNETES_VERSION),
        ("gitCommit", ""),
        ("gitTreeState", ""),
        ("buildDate", "1970-01-01T00:00:00Z"),
        ("goVersion", ""),
        ("compiler", "rustc"),
    ];
    let mut version: Json = fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    version.insert(
        "platform".to_owned(),
        format!("{}/{}", std::env::consts::OS, go_architecture()).into(),
    );
    reply::raw_json(StatusCode::OK, &version)
}

/// The architecture of this machine, as Go and therefore Kubernetes call it.
pub(crate) fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `/apis`; with a slash at its end it is the plain list alone.
fn groups(parts: &Parts, exact: bool) -> Result<Response, Status> {
    if exact {
        discovered(parts, false, discovery::group_list)
    } else {
        negotiated(parts, &discovery::group_list())
    }
}

/// `/api` or `/apis`: one document for all below it where the client asks for that, else the plain list.
fn discovered(parts: &Parts, core: bool, plain: impl FnOnce() -> Json) -> Result<Response, Status> {
    let Some(form) = Form::asked_for(parts, Endpoint::Aggregated) else {
        return negotiated(parts, &plain());
    };
    let document = discovery::aggregated(core);
    let etag = format!("\"{}\"", document_hash(&document));
    let unchanged = parts
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if unchanged {
        let mut response = Response::new(super::Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        reply::bytes(
            StatusCode::OK,
            match form.media {
                Media::Json => {
                    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                }
                Media::Yaml => {
                    "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                }
            },
            reply::written(form, encode::bytes(&document)),
        )
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    Ok(response)
}

/// The list of a version's resources.
fn resources(parts: &Parts, list: Option<Json>) -> Result<Response, Status> {
    let list = list.ok_or_else(Status::no_such_resource)?;
    if parts.method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    negotiate::check_accept(&parts.headers, false)?;
    negotiated(parts, &list)
}

fn negotiated(parts: &Parts, document: &Json) -> Result<Response, Status> {
    let form = Form::negotiate(parts, Endpoint::Other)?;
    Ok(reply::json(StatusCode::OK, form, encode::bytes(document)))
}

/// `/openapi/v3` and what is below it, whose index has no media type of its own.
fn openapi(parts: &Parts, exact: bool, segments: &[&str]) -> Response {
    let document = match segments {
        [] if exact => {
            return reply::plain(StatusCode::OK, encode::bytes(&openapi::index()));
        }
        ["api", version] => openapi::of("", version),
        ["apis", group, version] => openapi::of(group, version),
        _ => None,
    };
    if let Some(document) = document {
        let form = Form::negotiate(parts, Endpoint::Other).unwrap_or(Form::JSON);
        return reply::json(StatusCode::OK, form, encode::bytes(&document));
    }
    let mut response = Response::new(super::Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn oidc(content_type: &'static str, document: &Json) -> Response {
    let mut response = reply::bytes(StatusCode::OK, content_type, encode::bytes(document));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(OIDC_CACHE));
    response
}
