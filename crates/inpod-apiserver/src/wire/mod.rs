//! TLS, HTTP, content negotiation, discovery, and the one door that every request goes through.

mod body;
mod discovery;
mod door;
mod drain;
mod encode;
mod health;
mod indent;
mod input;
mod listener;
mod negotiate;
mod openapi;
mod paths;
mod reply;
mod watch;

pub(crate) use body::Body;
pub(crate) use door::Door;
pub(crate) use drain::{Drain, Drainer};
pub(crate) use listener::serve;
pub(crate) use paths::{KUBERNETES_VERSION, go_architecture};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::registry::query::Query;
use crate::schema::Json;

/// The parameters of a request's query string.
fn query(parts: &Parts) -> Query {
    Query::parse(parts.uri.query().unwrap_or_default())
}

/// What changes when a document does, for `ETag` and `?hash=`.
fn document_hash(document: &Json) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(encode::bytes(document)))
}
