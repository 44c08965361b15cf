//! A watch as a stream of lines.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::json;

use super::encode::{bytes, head, include_object, set_version, write_object};
use super::negotiate::{Form, Media, Transform};
use super::reply::Response;
use super::{Body, Drain};
use crate::core::Core;
use crate::registry::table::{IncludeObject, object_metadata, to_partial_metadata, to_table};
use crate::registry::{Event, Watch};
use crate::schema::{Json, Resource, api_version, write_json};
use crate::source::unix_seconds;
use crate::storage::Object;
use crate::{Reason, Source, Status};

/// The most events that are written at once.
const BATCH: usize = 32;

/// The answer to a watch: one event a line, until the watch ends or the server drains.
pub(super) fn stream(
    parts: &Parts,
    form: Form,
    watch: Watch,
    core: &Core,
    drain: Drain,
) -> Result<Response, Status> {
    if form.media == Media::Yaml {
        return Err(Status::new(
            http::StatusCode::NOT_ACCEPTABLE,
            Reason::NotAcceptable,
            "only the following media types are accepted: application/json;stream=watch",
        ));
    }
    let mut encoder = Encoder {
        resource: watch.resource,
        head: head(watch.resource),
        transform: form.transform,
        include: match form.transform {
            Transform::Table(_) => include_object(parts)?,
            _ => IncludeObject::default(),
        },
        with_columns: true,
        source: core.source.clone(),
    };
    let lines = watch
        .events
        .take_until(Box::pin(drain.wait()))
        .ready_chunks(BATCH)
        .map(move |events| {
            let mut out = Vec::with_capacity(events.iter().map(size).sum());
            for event in events {
                encoder.write(&mut out, event);
            }
            Bytes::from(out)
        });
    let mut response = Response::new(Body::stream(lines));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(Media::Json.content_type()),
    );
    Ok(response)
}

/// Writes the events of one watch.
struct Encoder {
    resource: &'static Resource,
    /// The beginning of every object, up to where the stored bytes go on.
    head: String,
    transform: Transform,
    include: IncludeObject,
    /// Whether a Table's columns are still to be said: only the first event has them.
    with_columns: bool,
    source: Arc<dyn Source>,
}

impl Encoder {
    fn write(&mut self, out: &mut Vec<u8>, event: Event) {
        match event {
            Event::Added(object) => self.event(out, "ADDED", &object),
            Event::Modified(object) => self.event(out, "MODIFIED", &object),
            Event::Deleted(object) => self.event(out, "DELETED", &object),
            Event::Bookmark {
                revision,
                initial_events_end,
            } => {
                let bookmark = self.bookmark(revision, initial_events_end);
                line(out, "BOOKMARK", |out| {
                    out.extend_from_slice(&bytes(&bookmark));
                });
            }
            Event::Error(status) => line(out, "ERROR", |out| {
                write_json(out, &status.to_value());
            }),
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, kind: &str, object: &Arc<Object>) {
        let transformed = match self.transform {
            Transform::Table(version) => {
                let objects = std::slice::from_ref(object);
                let table = to_table(
                    self.resource,
                    objects,
                    self.include,
                    self.with_columns,
                    object_metadata(object),
                    unix_seconds(self.source.now()),
                );
                self.with_columns = false;
                Some((table, version))
            }
            Transform::PartialObjectMetadata(version)
            | Transform::PartialObjectMetadataList(version) => {
                Some((to_partial_metadata(object), version))
            }
            Transform::None | Transform::Aggregated => None,
        };
        line(out, kind, |out| match transformed {
            Some((mut transformed, version)) => {
                set_version(&mut transformed, version);
                out.extend_from_slice(&bytes(&transformed));
            }
            None => write_object(out, &self.head, self.resource, object),
        });
    }

    /// An object of nothing but a resourceVersion: the client's place in the log, without anything having happened.
    fn bookmark(&mut self, revision: u64, initial_events_end: bool) -> Json {
        let mut metadata = Json::new();
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        if initial_events_end {
            metadata.insert(
                "annotations".to_owned(),
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        let (kind, api_version) = match self.transform {
            Transform::Table(version) => {
                let place = Json::from_iter([("metadata".to_owned(), json!({}))]);
                // The end of the initial events is told in metadata, so that there has to be some.
                let include = match self.include {
                    IncludeObject::None if initial_events_end => IncludeObject::Metadata,
                    include => include,
                };
                let row = Arc::new(Object::new(&place, Vec::new()).at_revision(revision));
                let mut table = to_table(
                    self.resource,
                    std::slice::from_ref(&row),
                    include,
                    self.with_columns,
                    object_metadata(&row),
                    unix_seconds(self.source.now()),
                );
                self.with_columns = false;
                set_version(&mut table, version);
                if let Some(place) = table["rows"][0]["object"].as_object_mut() {
                    place.insert("metadata".to_owned(), metadata.into());
                }
                return table;
            }
            Transform::PartialObjectMetadata(version)
            | Transform::PartialObjectMetadataList(version) => {
                ("PartialObjectMetadata", version.to_owned())
            }
            Transform::None | Transform::Aggregated => (
                self.resource.kind,
                api_version(self.resource.group, self.resource.version),
            ),
        };
        Json::from_iter([
            ("kind".to_owned(), kind.into()),
            ("apiVersion".to_owned(), api_version.into()),
            ("metadata".to_owned(), metadata.into()),
        ])
    }
}

/// About how many bytes an event is on the wire.
fn size(event: &Event) -> usize {
    let object = match event {
        Event::Added(object) | Event::Modified(object) | Event::Deleted(object) => {
            object.bytes().len()
        }
        Event::Bookmark { .. } | Event::Error(_) => 256,
    };
    object + 96
}

fn line(out: &mut Vec<u8>, kind: &str, object: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    object(out);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;
    use crate::registry::testing::Server;
    use crate::schema;
    use crate::wire::Drainer;

    fn named(name: &str) -> Arc<Object> {
        let value = json!({"metadata": {"name": name}});
        let json = value.as_object().expect("an object");
        Arc::new(Object::new(json, Vec::new()).at_revision(5))
    }

    fn answer(transform: Transform, events: Vec<Event>, drain: Drain) -> Response {
        let watch = Watch {
            resource: schema::resource("", "v1", "configmaps").expect("it is served"),
            events: Box::pin(stream::iter(events)),
        };
        let form = Form {
            transform,
            ..Form::JSON
        };
        let parts = http::Request::get("/")
            .body(())
            .expect("a request")
            .into_parts()
            .0;
        super::stream(&parts, form, watch, &Server::new().core, drain).expect("a stream")
    }

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await;
        let bytes = body.expect("a body never fails").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("JSON is text")
    }

    #[tokio::test]
    async fn events_are_lines() {
        let (_drainer, drain) = Drainer::new();
        let bookmark = Event::Bookmark {
            revision: 8,
            initial_events_end: true,
        };
        let events = vec![
            Event::Added(named("a")),
            Event::Modified(named("a")),
            Event::Deleted(named("a")),
            bookmark,
            Event::Error(Status::expired("too old resource version: 1 (5)")),
        ];
        let object = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"5"}}"#;
        let expected = [
            format!(r#"{{"type":"ADDED","object":{object}}}"#),
            format!(r#"{{"type":"MODIFIED","object":{object}}}"#),
            format!(r#"{{"type":"DELETED","object":{object}}}"#),
            concat!(
                r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"8","#,
                r#""annotations":{"k8s.io/initial-events-end":"true"}}}}"#
            )
            .to_owned(),
            concat!(
                r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#,
                r#""message":"too old resource version: 1 (5)","reason":"Expired","code":410}}"#
            )
            .to_owned(),
        ];
        let lines = text(answer(Transform::None, events, drain)).await;
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn the_bookmark_of_a_table_is_one_too() {
        let (_drainer, drain) = Drainer::new();
        let events = vec![
            Event::Bookmark {
                revision: 8,
                initial_events_end: false,
            },
            Event::Added(named("a")),
        ];
        let lines = text(answer(Transform::Table("meta.k8s.io/v1"), events, drain)).await;
        let events: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(events[0]["object"]["kind"], "Table");
        assert_eq!(events[0]["object"]["metadata"]["resourceVersion"], "8");
        assert!(events[0]["object"]["columnDefinitions"].is_array());
        assert!(events[1]["object"]["columnDefinitions"].is_null());
    }

    #[tokio::test]
    async fn a_watch_ends_when_the_server_drains() {
        let (drainer, drain) = Drainer::new();
        let watch = Watch {
            resource: schema::resource("", "v1", "configmaps").expect("it is served"),
            events: Box::pin(stream::pending()),
        };
        let parts = http::Request::get("/")
            .body(())
            .expect("a request")
            .into_parts()
            .0;
        let response = super::stream(&parts, Form::JSON, watch, &Server::new().core, drain);
        drainer.drain();
        assert_eq!(text(response.expect("a stream")).await, "");
    }
}
