//! What is served at paths that are no resources.

use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};

use super::negotiate::{Endpoint, Form, Transform};
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
pub(super) fn serve(door: &Door, parts: &Parts, path: &str) -> Result<Response, Status> {
    let trimmed = match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    let segments: Vec<&str> = trimmed.split('/').skip(1).collect();
    let answer = match segments.as_slice() {
        ["" | "index.html"] => Ok(index()),
        ["healthz" | "livez" | "readyz", ..] => Ok(health::serve(path, &query(parts))),
        ["version"] => Ok(version()),
        ["api"] => discovered(parts, true, || discovery::api_versions(door.address)),
        ["apis"] => discovered(parts, false, discovery::group_list),
        ["apis", group] => document(parts, discovery::group(group)),
        ["api", version] => document(parts, discovery::resource_list("", version)),
        ["apis", group, version] => document(parts, discovery::resource_list(group, version)),
        ["openapi", "v3"] => document(parts, Some(openapi::index())),
        ["openapi", "v3", "api", version] => document(parts, openapi::of("", version)),
        ["openapi", "v3", "apis", group, version] => document(parts, openapi::of(group, version)),
        [".well-known", "openid-configuration"] => Ok(oidc(
            "application/json",
            &door
                .core
                .tokens
                .openid_configuration(&format!("https://{}/openid/v1/jwks", door.address)),
        )),
        ["openid", "v1", "jwks"] => Ok(oidc("application/jwk-set+json", &door.core.tokens.jwks())),
        _ => return Ok(reply::page_not_found()),
    }?;
    // A path that is not there is so whatever the method.
    if answer.status() != StatusCode::NOT_FOUND
        && !matches!(parts.method, Method::GET | Method::HEAD)
    {
        return Err(Status::method_not_allowed());
    }
    Ok(answer)
}

fn index() -> Response {
    let mut paths: Vec<String> = [
        "/.well-known/openid-configuration",
        "/api",
        "/api/v1",
        "/apis",
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

/// `/api` or `/apis`: one document for all below it where the client asks for that, else the plain list.
fn discovered(parts: &Parts, core: bool, plain: impl FnOnce() -> Json) -> Result<Response, Status> {
    let form = Form::negotiate(parts, Endpoint::Discovery)?;
    if form.transform != Transform::Aggregated {
        return Ok(reply::json(StatusCode::OK, form, encode::bytes(&plain())));
    }
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
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
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

fn document(parts: &Parts, document: Option<Json>) -> Result<Response, Status> {
    let Some(document) = document else {
        return Ok(reply::page_not_found());
    };
    let form = Form::negotiate(parts, Endpoint::Other)?;
    Ok(reply::json(StatusCode::OK, form, encode::bytes(&document)))
}

fn oidc(content_type: &'static str, document: &Json) -> Response {
    let mut response = reply::bytes(StatusCode::OK, content_type, encode::bytes(document));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(OIDC_CACHE));
    response
}
