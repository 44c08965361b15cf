//! Takes an accepted request to the API server and its answer back, neither of them collected on the way.

mod error;
mod headers;
mod tunnel;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use inpod::Client;

pub(crate) use self::tunnel::Tunnel;
use crate::body::ResponseBody;
use crate::exchange::Exchange;
use crate::guard::Accepted;
use crate::lifecycle::Draining;
use crate::status::Failure;

pub(crate) async fn forward(
    client: &Client,
    accepted: Accepted,
    mut head: Parts,
    body: Incoming,
    draining: &Draining,
    exchange: &Exchange,
) -> Response<ResponseBody> {
    let on_upgrade = head.extensions.remove::<OnUpgrade>();
    let is_watch = accepted.info.verb == "watch";
    let upgrade = accepted.upgrade.clone();
    let broke_off = Arc::new(AtomicBool::new(false));
    let request = request(accepted, head, body, Arc::clone(&broke_off));
    let response = match client.send(request).await {
        Ok(response) => response,
        // Over HTTP/2 the error says no more than that the stream was reset.
        Err(_) if broke_off.load(Ordering::Relaxed) => {
            return Failure::bad_request("the request's body broke off or is not well-formed")
                .into_response();
        }
        Err(error) => {
            let failure = error::failure(&error);
            tracing::warn!(code = %failure.code, message = %failure.message, "no answer from the API server");
            return failure.into_response();
        }
    };

    let (mut head, body) = response.into_parts();
    let protocol = head.headers.get(UPGRADE).cloned();
    headers::clean_response(&mut head.headers);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let upstream = head.extensions.remove::<OnUpgrade>();
        let (Some(protocol), Some(client), Some(server)) = (
            protocol.filter(|protocol| is_same(upgrade.as_ref(), protocol)),
            on_upgrade,
            upstream,
        ) else {
            return Failure::new(
                StatusCode::BAD_GATEWAY,
                "the API server switched to a protocol that was not asked for",
            )
            .into_response();
        };
        exchange.set_tunnel(Tunnel { client, server });
        upgrade_headers(&mut head.headers, protocol);
    }
    let body = if is_watch {
        let is_json = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        ResponseBody::watch(body, is_json, draining.begun())
    } else {
        ResponseBody::Upstream(body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// The request as it is sent; `broke_off` tells whether its body failed on the client's side.
fn request(
    accepted: Accepted,
    head: Parts,
    body: Incoming,
    broke_off: Arc<AtomicBool>,
) -> Request<inpod::Body> {
    let body = if body.is_end_stream() {
        inpod::Body::empty()
    } else {
        inpod::Body::new(body.map_err(move |error| {
            broke_off.store(true, Ordering::Relaxed);
            error
        }))
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(accepted.target);
    *request.headers_mut() = head.headers;
    headers::clean_request(request.headers_mut());
    if let Some(protocol) = accepted.upgrade {
        upgrade_headers(request.headers_mut(), protocol);
    }
    request
}

fn upgrade_headers(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
}

fn is_same(wanted: Option<&HeaderValue>, got: &HeaderValue) -> bool {
    wanted.is_some_and(|wanted| wanted.as_bytes().eq_ignore_ascii_case(got.as_bytes()))
}
