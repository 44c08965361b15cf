//! Request bodies, read up to a limit and decoded by their Content-Type.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde_json::Value;

use super::query;
use crate::registry::{Input, Patch};
use crate::schema::{self, Decoded, FieldValidation, Json, Resource, Subresource, api_version};
use crate::{Details, Reason, Status};

/// The largest body, in bytes: what kube-apiserver takes, twice etcd's largest request.
const LIMIT: usize = 3 << 20;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";

/// A body's media type.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// How long a body may take, as kube-apiserver's `--request-timeout`: a client that stalls must not hold its place for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the whole body.
///
/// # Errors
/// 413 where it is longer than 3 MiB; 400 where it breaks off; 504 where it takes longer than [`PATIENCE`].
pub(super) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data: Buf, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let Ok(read) = tokio::time::timeout(PATIENCE, Limited::new(body, LIMIT).collect()).await else {
        return Err(Status::new(
            StatusCode::GATEWAY_TIMEOUT,
            Reason::Timeout,
            "Timeout: request did not complete within the allotted timeout",
        ));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Status::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: limit is {LIMIT}"),
        )),
        Err(error) => Err(Status::bad_request(error.to_string())),
    }
}

/// Decodes `body` into what `verb` takes, and says what there is to warn about.
///
/// # Errors
/// 415 for a Content-Type that the verb does not take, 400 for a body that is not of its type.
pub(super) fn decode(
    parts: &Parts,
    verb: &str,
    resource: &Resource,
    subresource: Option<&Subresource>,
    body: &[u8],
) -> Result<(Input, Vec<String>), Status> {
    match verb {
        "create" | "update" => {
            let format = format(parts)?;
            let expected = Expected::of(resource, subresource);
            let decoded = expected.decode(format, body, field_validation(parts))?;
            Ok((Input::Object(decoded.value), decoded.warnings))
        }
        "patch" => Ok((patch(parts, body)?, Vec::new())),
        "delete" | "deletecollection" if !body.is_empty() => {
            let format = format(parts)?;
            Ok((Input::Object(delete_options(format, body)?), Vec::new()))
        }
        _ => Ok((Input::Empty, Vec::new())),
    }
}

/// The kind a body is to have.
struct Expected<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

impl<'a> Expected<'a> {
    fn of(resource: &'a Resource, subresource: Option<&'a Subresource>) -> Self {
        match subresource.map(|s| s.kind) {
            Some((group, version, kind)) if !kind.is_empty() => Self {
                group,
                version,
                kind,
            },
            _ => Self {
                group: resource.group,
                version: resource.version,
                kind: resource.kind,
            },
        }
    }

    fn decode(
        &self,
        format: Format,
        body: &[u8],
        validation: FieldValidation,
    ) -> Result<Decoded, Status> {
        let ty = schema::type_of(self.group, self.version, self.kind).ok_or_else(|| {
            Status::internal(format_args!(
                "no type for kind {:?} of {:?}",
                self.kind,
                api_version(self.group, self.version)
            ))
        })?;
        let decoded = match format {
            Format::Json => schema::decode_json(ty, body, validation),
            Format::Yaml => schema::decode_yaml(ty, body, validation),
            Format::Protobuf => schema::decode_protobuf(body).map(|value| Decoded {
                value,
                warnings: Vec::new(),
            }),
        };
        match decoded {
            Ok(decoded) => {
                self.check(&TypeMeta::of(&decoded.value), ty, body)?;
                Ok(decoded)
            }
            Err(status) => {
                // An object of another kind is told so, rather than what of it does not fit this one.
                if let Format::Json = format
                    && let Ok(meta) = serde_json::from_slice::<TypeMeta>(body)
                {
                    self.check(&meta, ty, body)?;
                }
                Err(status)
            }
        }
    }

    /// Whether a body of that kind is meant for here; what it leaves out is taken from the request.
    fn check(&self, meta: &TypeMeta, ty: schema::Type, body: &[u8]) -> Result<(), Status> {
        if meta.api_version.matches('/').count() > 1 {
            let why = format!("unexpected GroupVersion string: {}", meta.api_version);
            return Err(schema::unrecognized(ty, body, why));
        }
        schema::check_named(
            (&meta.api_version, &meta.kind),
            (self.group, self.version, self.kind),
        )
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypeMeta {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
}

impl TypeMeta {
    fn of(object: &Json) -> Self {
        let text = |key| {
            object
                .get(key)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            kind: text("kind"),
            api_version: text("apiVersion"),
        }
    }
}

fn patch(parts: &Parts, body: &[u8]) -> Result<Input, Status> {
    let kind: fn(Value) -> Patch = match media_type(parts) {
        JSON_PATCH => Patch::Json,
        MERGE_PATCH => Patch::Merge,
        STRATEGIC_MERGE_PATCH => Patch::Strategic,
        // Of the router of the real server, which knows the media types of each of its routes.
        _ => {
            return Err(Status::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Reason::UnsupportedMediaType,
                "415: Unsupported Media Type",
            )
            .with_details(Details::default()));
        }
    };
    let (patch, duplicates) =
        schema::decode_untyped(body).map_err(|_| Status::bad_request("invalid JSON patch"))?;
    Ok(Input::Patch(kind(patch), duplicates))
}

fn delete_options(format: Format, body: &[u8]) -> Result<Json, Status> {
    let ty = schema::type_of("meta.k8s.io", "v1", "DeleteOptions")
        .ok_or_else(|| Status::internal("no type for DeleteOptions"))?;
    let options = match format {
        Format::Json => schema::decode_json(ty, body, FieldValidation::Ignore)?.value,
        Format::Yaml => schema::decode_yaml(ty, body, FieldValidation::Ignore)?.value,
        Format::Protobuf => schema::decode_protobuf(body)?,
    };
    let meta = TypeMeta::of(&options);
    if meta.kind.is_empty() || meta.kind == "DeleteOptions" {
        return Ok(options);
    }
    Err(Status::bad_request(
        "decoded object cannot be converted to DeleteOptions",
    ))
}

fn format(parts: &Parts) -> Result<Format, Status> {
    match media_type(parts) {
        "" | "application/json" => Ok(Format::Json),
        "application/yaml" => Ok(Format::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Format::Protobuf),
        _ => Err(unsupported(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// The Content-Type without its parameters.
fn media_type(parts: &Parts) -> &str {
    parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default()
}

fn unsupported(accepted: &str) -> Status {
    Status::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::UnsupportedMediaType,
        format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        ),
    )
}

/// What to do about unknown fields; a value that there is not is the registry's to refuse.
fn field_validation(parts: &Parts) -> FieldValidation {
    match query(parts).text("fieldValidation") {
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        _ => FieldValidation::Warn,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn refused(meta: &TypeMeta) -> Option<String> {
        let expected = Expected {
            group: "rbac.authorization.k8s.io",
            version: "v1",
            kind: "Role",
        };
        let ty = schema::type_of(expected.group, expected.version, expected.kind)?;
        expected
            .check(meta, ty, b"{}")
            .err()
            .map(|status| status.message)
    }

    fn meta(kind: &str, api_version: &str) -> TypeMeta {
        TypeMeta {
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_its_request() {
        let never =
            futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let refused = read(http_body_util::StreamBody::new(never))
            .await
            .unwrap_err();
        assert_eq!(refused.code, StatusCode::GATEWAY_TIMEOUT);
    }

    #[test]
    fn what_a_body_does_not_say_is_taken_from_the_request() {
        assert_eq!(refused(&meta("", "")), None);
        assert_eq!(refused(&meta("Role", "")), None);
        assert_eq!(refused(&meta("", "rbac.authorization.k8s.io/v1")), None);
    }

    #[test]
    fn another_kind_is_refused_in_the_real_words() {
        assert_eq!(
            refused(&meta("Pod", "v1")).as_deref(),
            Some(
                "Pod in version \"v1\" cannot be handled as a Role: converting (v1.Pod) to (rbac.Role): unknown conversion"
            )
        );
        assert_eq!(
            refused(&meta("Thing", "example.com/v1")).as_deref(),
            Some(
                "Thing in version \"v1\" cannot be handled as a Role: no kind \"Thing\" is registered for version \
                 \"example.com/v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
            )
        );
    }

    #[tokio::test]
    async fn the_limit_is_three_mebibytes() {
        let read = |length| read(Full::new(Bytes::from(vec![b' '; length])));
        assert_eq!(read(LIMIT).await.map(|body| body.len()), Ok(LIMIT));
        let status = read(LIMIT + 1).await.expect_err("one too many");
        assert_eq!(status.code, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn patches_go_by_their_content_type() {
        let patch = |kind: &str| {
            let request = http::Request::patch("/")
                .header(CONTENT_TYPE, kind)
                .body(());
            let parts = request.expect("a request").into_parts().0;
            super::patch(&parts, b"[]").map_err(|status| status.code)
        };
        assert!(matches!(
            patch(JSON_PATCH),
            Ok(Input::Patch(Patch::Json(_), _))
        ));
        assert!(matches!(
            patch("application/merge-patch+json; charset=utf-8"),
            Ok(Input::Patch(Patch::Merge(_), _))
        ));
        let refused = patch("application/apply-patch+yaml");
        assert!(matches!(refused, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)));
    }
}
