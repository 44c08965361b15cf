//! The registry's answers as bytes.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::negotiate::{Form, Media, Transform};
use super::reply::{self, Response};
use super::{Body, query};
use crate::registry::table::{
    IncludeObject, list_metadata, object_metadata, to_partial_metadata, to_partial_metadata_list,
    to_table,
};
use crate::registry::{List, served, served_as_stored, served_item};
use crate::schema::{Json, Resource, internal_package, to_json};
use crate::storage::Object;
use crate::{Reason, Status};

/// Lists longer than this are sent in pieces of about this size, so that a list is never in memory as a whole, in bytes.
const PIECE: usize = 64 << 10;

/// One object.
pub(super) fn object(
    parts: &Parts,
    form: Form,
    code: StatusCode,
    resource: &Resource,
    object: &Arc<Object>,
    now: i64,
) -> Result<Response, Status> {
    let compact = match form.transform {
        Transform::PartialObjectMetadata(version) => {
            let mut partial = to_partial_metadata(object);
            set_version(&mut partial, version);
            bytes(&partial)
        }
        Transform::PartialObjectMetadataList(_) => {
            return Err(not_acceptable(&format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{}.{})",
                internal_package(resource.group),
                resource.kind
            )));
        }
        Transform::Table(version) => {
            let include = include_object(parts)?;
            let objects = std::slice::from_ref(object);
            let metadata = object_metadata(object);
            let mut table = to_table(resource, objects, include, true, metadata, now);
            set_version(&mut table, version);
            bytes(&table)
        }
        Transform::None | Transform::Aggregated => {
            let mut out = Vec::with_capacity(object.bytes().len() + 64);
            write_object(&mut out, &head(resource), resource, object);
            out
        }
    };
    Ok(reply::json(code, form, compact))
}

/// An object that is stored nowhere.
pub(super) fn value(form: Form, code: StatusCode, value: Json) -> Response {
    // kind and apiVersion come first whatever the order they were put in.
    let mut ordered = Json::new();
    let mut rest = value;
    for key in ["kind", "apiVersion"] {
        if let Some(value) = rest.shift_remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.extend(rest);
    reply::json(code, form, bytes(&ordered))
}

/// A collection.
pub(super) fn list(parts: &Parts, form: Form, list: List, now: i64) -> Result<Response, Status> {
    let compact = match form.transform {
        Transform::PartialObjectMetadata(_) => {
            return Err(not_acceptable(&format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*{}.{}List)",
                internal_package(list.resource.group),
                list.resource.kind
            )));
        }
        Transform::PartialObjectMetadataList(version) => {
            let mut partial = to_partial_metadata_list(&list.items, list_metadata(&list));
            set_version(&mut partial, version);
            bytes(&partial)
        }
        Transform::Table(version) => {
            let include = include_object(parts)?;
            let metadata = list_metadata(&list);
            let mut table = to_table(list.resource, &list.items, include, true, metadata, now);
            set_version(&mut table, version);
            bytes(&table)
        }
        Transform::None | Transform::Aggregated => return Ok(plain_list(form, list)),
    };
    Ok(reply::json(StatusCode::OK, form, compact))
}

/// The items as they are stored, one after the other.
fn plain_list(form: Form, list: List) -> Response {
    let size: usize = list.items.iter().map(|item| item.bytes().len() + 1).sum();
    let mut start = head(list.resource);
    let kind_end = start.find("\",").unwrap_or_default();
    start.insert_str(kind_end, "List");
    start.push_str(",\"metadata\":");
    start.push_str(&String::from_utf8(bytes(&list_metadata(&list))).unwrap_or_default());
    start.push_str(",\"items\":[");

    if form != Form::JSON || size <= PIECE {
        let mut out = Vec::with_capacity(start.len() + size + 3);
        out.extend_from_slice(start.as_bytes());
        for (i, item) in list.items.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_item(&mut out, list.resource, item);
        }
        out.extend_from_slice(b"]}");
        return reply::json(StatusCode::OK, form, out);
    }

    let resource = list.resource;
    let mut items = list.items.into_iter().peekable();
    let mut next = start.into_bytes();
    let mut done = false;
    let pieces = std::iter::from_fn(move || {
        if done {
            return None;
        }
        let mut piece = std::mem::take(&mut next);
        piece.reserve(PIECE);
        while piece.len() < PIECE {
            let Some(item) = items.next() else {
                done = true;
                piece.extend_from_slice(b"]}\n");
                break;
            };
            write_item(&mut piece, resource, &item);
            if items.peek().is_some() {
                piece.push(b',');
            }
        }
        Some(Bytes::from(piece))
    });
    let mut response = Response::new(Body::stream(stream::iter(pieces)));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(Media::Json.content_type()),
    );
    response
}

/// `{"kind":…,"apiVersion":…`, without the closing brace.
pub(super) fn head(resource: &Resource) -> String {
    let mut head = format!("{{\"kind\":\"{}\",\"apiVersion\":\"", resource.kind);
    if !resource.group.is_empty() {
        let _ = write!(head, "{}/", resource.group);
    }
    let _ = write!(head, "{}\"", resource.version);
    head
}

/// The object behind `head`, which is its resource's.
pub(super) fn write_object(out: &mut Vec<u8>, head: &str, resource: &Resource, object: &Object) {
    if served_as_stored(resource) {
        out.extend_from_slice(head.as_bytes());
        let rest = object.bytes().get(1..).unwrap_or_default();
        if rest.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(rest);
    } else {
        out.extend_from_slice(&bytes(&served(resource, object.value())));
    }
}

fn write_item(out: &mut Vec<u8>, resource: &Resource, object: &Object) {
    if served_as_stored(resource) {
        out.extend_from_slice(object.bytes());
    } else {
        out.extend_from_slice(&bytes(&served_item(resource, object.value())));
    }
}

/// What rows of a Table are to carry.
pub(super) fn include_object(parts: &Parts) -> Result<IncludeObject, Status> {
    IncludeObject::parse(query(parts).text("includeObject")).map_err(Status::bad_request)
}

/// A Table or `PartialObjectMetadata` in the version of `meta.k8s.io` that was asked for.
pub(super) fn set_version(object: &mut Json, version: &str) {
    object.insert("apiVersion".to_owned(), version.into());
}

pub(super) fn bytes(json: &Json) -> Vec<u8> {
    to_json(json)
}

fn not_acceptable(message: &str) -> Status {
    Status::new(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, message)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::schema;

    const MAPS: (&str, &str, &str) = ("", "v1", "configmaps");

    fn resource((group, version, name): (&str, &str, &str)) -> &'static Resource {
        schema::resource(group, version, name).expect("it is served")
    }

    fn stored(value: &Value) -> Arc<Object> {
        let json = value.as_object().expect("an object");
        Arc::new(Object::new(json, Vec::new()).at_revision(7))
    }

    fn named(name: &str, text: &str) -> Arc<Object> {
        stored(&json!({"metadata": {"name": name}, "data": {"k": text}}))
    }

    fn list_of(items: Vec<Arc<Object>>) -> List {
        List {
            resource: resource(MAPS),
            items,
            revision: 9,
            continue_token: Some("next".to_owned()),
            remaining: Some(3),
        }
    }

    fn parts(query: &str) -> Parts {
        let request = http::Request::get(format!("/?{query}")).body(());
        request.expect("a request").into_parts().0
    }

    fn table() -> Form {
        Form {
            transform: Transform::Table("meta.k8s.io/v1"),
            ..Form::JSON
        }
    }

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await;
        let bytes = body.expect("a body never fails").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("JSON is text")
    }

    #[tokio::test]
    async fn a_list_is_its_items_one_after_the_other() {
        let list = list_of(vec![named("a", "1"), named("b", "2")]);
        let response = super::list(&parts(""), Form::JSON, list, 0).expect("a list");
        assert_eq!(
            text(response).await,
            concat!(
                r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"next","#,
                r#""remainingItemCount":3},"items":["#,
                r#"{"metadata":{"name":"a","resourceVersion":"7"},"data":{"k":"1"}},"#,
                r#"{"metadata":{"name":"b","resourceVersion":"7"},"data":{"k":"2"}}]}"#,
                "\n"
            )
        );
    }

    #[tokio::test]
    async fn a_long_list_in_pieces_says_the_same_as_in_one() {
        let large = "x".repeat(PIECE / 3);
        let items: Vec<_> = (0..9).map(|i| named(&i.to_string(), &large)).collect();
        let pretty = Form {
            pretty: true,
            ..Form::JSON
        };
        let whole = super::list(&parts(""), pretty, list_of(items.clone()), 0).expect("a list");
        assert!(matches!(whole.body(), Body::Whole(_)));
        let pieces = super::list(&parts(""), Form::JSON, list_of(items), 0).expect("a list");
        assert!(matches!(pieces.body(), Body::Stream(_)));
        let whole: Value = serde_json::from_str(&text(whole).await).expect("JSON");
        let pieces: Value = serde_json::from_str(&text(pieces).await).expect("JSON");
        assert_eq!(whole, pieces);
    }

    #[tokio::test]
    async fn an_event_is_served_in_both_its_versions() {
        let event = stored(&json!({
            "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "m"
        }));
        let serve = |path| {
            let form = Form::JSON;
            super::object(&parts(""), form, StatusCode::OK, resource(path), &event, 0)
        };
        let core = text(serve(("", "v1", "events")).expect("an object")).await;
        assert!(core.starts_with(r#"{"kind":"Event","apiVersion":"v1","metadata":"#));
        let new = text(serve(("events.k8s.io", "v1", "events")).expect("an object")).await;
        assert!(new.starts_with(r#"{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":"#));
        assert!(new.contains(r#""note":"m""#), "{new}");
    }

    #[tokio::test]
    async fn a_table_has_the_version_and_the_objects_that_were_asked_for() {
        let rows = |query: &str| {
            let list = list_of(vec![named("a", "1")]);
            super::list(&parts(query), table(), list, 0)
        };
        let whole = text(rows("includeObject=Object").expect("a table")).await;
        let whole: Value = serde_json::from_str(&whole).expect("JSON");
        assert_eq!(whole["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(whole["metadata"]["resourceVersion"], "9");
        assert_eq!(whole["rows"][0]["object"]["data"], json!({"k": "1"}));
        let refused = rows("includeObject=All").expect_err("there is no such value");
        assert_eq!(refused.code, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn metadata_of_one_object_and_of_a_list_are_told_apart() {
        let partial = |transform| Form {
            transform,
            ..Form::JSON
        };
        let one = partial(Transform::PartialObjectMetadataList("meta.k8s.io/v1"));
        let refused = object(
            &parts(""),
            one,
            StatusCode::OK,
            resource(MAPS),
            &named("a", ""),
            0,
        );
        assert_eq!(
            refused.expect_err("no list").code,
            StatusCode::NOT_ACCEPTABLE
        );
        let many = partial(Transform::PartialObjectMetadata("meta.k8s.io/v1"));
        let refused = list(&parts(""), many, list_of(Vec::new()), 0);
        assert_eq!(
            refused.expect_err("a list").code,
            StatusCode::NOT_ACCEPTABLE
        );
    }
}
