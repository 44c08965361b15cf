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

use std::fmt::Write as _;

use http::request::Parts;
use sha2::{Digest as _, Sha512};

use crate::registry::query::Query;
use crate::schema::Json;

/// The parameters of a request's query string.
fn query(parts: &Parts) -> Query {
    Query::parse(parts.uri.query().unwrap_or_default())
}

/// What changes when a document does, for `ETag` and `?hash=`: SHA-512 in upper-case hexadecimal digits.
fn document_hash(document: &Json) -> String {
    let hash = Sha512::digest(encode::bytes(document));
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
