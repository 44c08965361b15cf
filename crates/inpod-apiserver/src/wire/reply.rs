//! Answers that are no objects of the registry: errors, documents, plain text.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WARNING, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body::Body as _;
use serde_json::Value;

use super::Body;
use super::indent::indent;
use super::negotiate::{Endpoint, Form, Media};
use crate::Status;
use crate::breaks::{self, Break};
use crate::schema::{Json, to_json};

pub(crate) type Response = http::Response<Body>;

/// An answer of that media type.
pub(super) fn bytes(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Body::Whole(body.into()));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Compact JSON, in the form that was asked for.
pub(super) fn json(code: StatusCode, form: Form, compact: Vec<u8>) -> Response {
    bytes(code, form.media.content_type(), written(form, compact))
}

/// JSON that is always indented, whoever asks: `/version`, `/`.
pub(super) fn raw_json(code: StatusCode, document: &Json) -> Response {
    let compact = to_json(document);
    bytes(code, Media::Json.content_type(), indent(&compact))
}

/// Plain text.
pub(super) fn plain(code: StatusCode, text: impl Into<Bytes>) -> Response {
    bytes(code, "text/plain; charset=utf-8", text)
}

/// Plain text, as Go's `http.Error` and the health checks write it.
pub(super) fn text(code: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = plain(code, text);
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A path that nothing is at.
pub(super) fn page_not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// An error, in the form that was asked for, or as indented JSON where there is no such form: an error is never hidden behind
/// the negotiation of how to write it.
pub(super) fn error(parts: &Parts, status: &Status) -> Response {
    let compact = to_json(&status.to_value());
    let form = Form::negotiate(parts, Endpoint::Other).unwrap_or(Form {
        pretty: true,
        ..Form::JSON
    });
    let mut response = json(status.code, form, compact);
    let seconds = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An error of who may what, which is marked as nothing to guess a media type of.
pub(super) fn forbidden(parts: &Parts, status: &Status) -> Response {
    let mut response = error(parts, status);
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Adds what the client is to be told beside the answer.
pub(super) fn warn(response: &mut Response, warnings: Vec<String>) {
    if breaks::is_on(Break::NoWarning) {
        return;
    }
    for warning in warnings {
        // RFC 7234, 5.5: code, agent (none), and the text as a quoted string.
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Leaves of an answer what a HEAD gets (RFC 9110, section 9.3.2): hyper sees to that in HTTP/1.1, but in HTTP/2 it would send
/// the body, which clients take for a broken stream.
pub(super) fn drop_body(response: &mut Response) {
    let body = std::mem::replace(response.body_mut(), Body::empty());
    if let Some(length) = body.size_hint().exact() {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Compact JSON as the form has it: with a newline after it, indented, or as YAML.
pub(super) fn written(form: Form, mut compact: Vec<u8>) -> Vec<u8> {
    match form.media {
        Media::Json if form.pretty => indent(&compact),
        Media::Json => {
            compact.push(b'\n');
            compact
        }
        Media::Yaml => {
            let value: Value = serde_json::from_slice(&compact).unwrap_or_default();
            serde_saphyr::to_string(&sorted(value))
                .map(String::into_bytes)
                .unwrap_or_default()
        }
    }
}

/// Keys in order of the alphabet, as `sigs.k8s.io/yaml` writes them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(mut map) => {
            map.sort_keys();
            map.into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}
