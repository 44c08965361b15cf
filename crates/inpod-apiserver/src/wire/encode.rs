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
use crate::schema::{Json, Resource};
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
                "you requested PartialObjectMetadataList, but the requested object is not a list (*v1.{})",
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
                "you requested PartialObjectMetadata, but the requested object is a list (*v1.{}List)",
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
    serde_json::to_vec(json).unwrap_or_default()
}

fn not_acceptable(message: &str) -> Status {
    Status::new(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, message)
}
