//! Which requests go on to the API server. Nothing of a refused one does.
//!
//! [`framing`] has read the bytes before; here the request itself is judged: its target, the `Host` and `Origin` that browsers
//! cannot forge, the protocol it wants to change to. A policy on [`Accepted::info`], and with it `kubectl proxy`'s `--accept-*`
//! and `--reject-*`, belongs at the end of [`check`].

pub(crate) mod framing;
mod host;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use inpod::RequestInfo;

use self::host::Host;
use crate::listener::Via;
use crate::status::Failure;

/// A request that goes on.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Path and query, byte for byte as the client sent them: what was judged is what is sent.
    pub(crate) target: PathAndQuery,
    /// What it asks of the API server.
    pub(crate) info: RequestInfo,
    /// The protocol it wants to change to.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// The protocols of exec, attach, port-forward and watches: RFC 6455 and the older SPDY. Anything else, `h2c` above all, would
/// carry requests past this guard.
const PROTOCOLS: [&str; 2] = ["websocket", "SPDY/3.1"];

pub(crate) fn check(head: &Parts, via: &Via) -> Result<Accepted, Failure> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        // CONNECT asks for a tunnel to anywhere; TRACE for the request as sent, with our credentials in it.
        return Err(Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("the method {} is not served by this proxy", head.method),
        ));
    }
    let target = target(head)?;
    check_source(&head.headers, via)?;
    let upgrade = upgrade(head)?;
    let info = RequestInfo::parse(&head.method, &Uri::from(target.clone()))
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    Ok(Accepted {
        target,
        info,
        upgrade,
    })
}

/// The origin form of the target. An absolute one must name the host that `Host` names.
fn target(head: &Parts) -> Result<PathAndQuery, Failure> {
    let uri = &head.uri;
    if let Some(authority) = uri.authority() {
        let web = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        let host = head.headers.get(HOST).map(HeaderValue::as_bytes);
        if !web
            || host.is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_str().as_bytes()))
        {
            return Err(Failure::bad_request(
                "the request target and the Host header name different hosts",
            ));
        }
    }
    match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('/') => Ok(target.clone()),
        _ => Err(Failure::bad_request(
            "the request target is not a path that begins with /",
        )),
    }
}

/// Refuses what a web page can make a browser send: by a name that it made resolve to this machine (DNS rebinding), or across
/// origins, which for a `WebSocket` nothing else stops.
fn check_source(headers: &HeaderMap, via: &Via) -> Result<(), Failure> {
    let Via::Tcp { local, name } = via else {
        return Ok(());
    };
    let is_ours = |host: Host<'_>| match host {
        Host::Name(text) => {
            text.eq_ignore_ascii_case("localhost")
                || name
                    .as_deref()
                    .is_some_and(|name| text.eq_ignore_ascii_case(name))
        }
        Host::Ip(ip) => {
            ip == *local
                || ip == std::net::Ipv4Addr::LOCALHOST
                || ip == std::net::Ipv6Addr::LOCALHOST
        }
    };
    let host = headers
        .get(HOST)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if !text(host).and_then(Host::of_authority).is_some_and(is_ours) {
        return Err(Failure::forbidden(format!(
            "the Host {:?} is not one this proxy is reached by: use localhost, 127.0.0.1 or [::1], or a unix socket",
            String::from_utf8_lossy(host),
        )));
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.as_bytes();
        if !text(origin).and_then(Host::of_origin).is_some_and(is_ours) {
            return Err(Failure::forbidden(format!(
                "the Origin {:?} is a web page of somewhere else, which may not use this proxy",
                String::from_utf8_lossy(origin),
            )));
        }
    }
    Ok(())
}

fn upgrade(head: &Parts) -> Result<Option<HeaderValue>, Failure> {
    let mut wanted = head.headers.get_all(UPGRADE).iter();
    // RFC 9110, section 7.8: in HTTP/1.0 it is ignored.
    let Some(protocol) = wanted.next().filter(|_| head.version == Version::HTTP_11) else {
        return Ok(None);
    };
    if !tokens(&head.headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return Err(Failure::bad_request(
            "an Upgrade header must be named in the Connection header",
        ));
    }
    let known = text(protocol.as_bytes()).is_some_and(|protocol| {
        PROTOCOLS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(protocol))
    });
    if !known || wanted.next().is_some() {
        return Err(Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            format!(
                "upgrades are carried to {} only, not to {:?}",
                PROTOCOLS.join(" and "),
                String::from_utf8_lossy(protocol.as_bytes()),
            ),
        ));
    }
    let has_body = head.headers.contains_key(TRANSFER_ENCODING)
        || head
            .headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    if has_body {
        return Err(Failure::bad_request(
            "a request to upgrade has a body: where the new protocol begins is ambiguous",
        ));
    }
    Ok(Some(protocol.clone()))
}

/// The elements of a header that is a list of tokens.
pub(crate) fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| text(value.as_bytes()))
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
