//! A request once more: when that is safe, and in which form each protocol wants it.

use std::error::Error as _;

use http::header::HOST;
use http::{Method, Request, Uri, Version};

use crate::Body;

/// The same request once more, where its body is whole.
pub(crate) fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether a method only reads (RFC 9110, 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a request may be sent once more after this error.
///
/// One that only reads may whenever its connection died under it (golang/go#39750). Any may where the server says that it did
/// not begin with it: a refused stream, or one above the last that a GOAWAY names (RFC 9113, 8.7). API servers send those on
/// purpose, to spread their clients (`--goaway-chance`).
pub(super) fn may_follow(error: &hyper::Error, is_safe: bool) -> bool {
    let was_not_processed = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .is_some_and(|error| {
            let is_refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            error.is_remote() && (error.is_go_away() || (error.is_reset() && is_refused))
        });
    was_not_processed || (is_safe && !error.is_user())
}

/// HTTP/2 has the authority in the URI, and no Host beside it.
pub(super) fn http2_form(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(HOST);
    request
}

/// HTTP/1.1 has the authority in the Host header, and only path and query in the request line.
pub(super) fn origin_form(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().parse())
    {
        if let Ok(host) = authority {
            request.headers_mut().insert(HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
    }
    request
}
