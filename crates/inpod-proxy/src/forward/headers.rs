use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, TE, TRANSFER_ENCODING,
    UPGRADE,
};

use crate::guard::tokens;

/// Headers of one connection, not of the message (RFC 9110, section 7.6.1). `Trailer` stays, because trailers are passed on.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a client may not say: who it is, because the proxy's own account speaks, and where the request came from, which the API
/// server would write into its audit log. `Host` and `Expect` are the proxy's to set and to answer.
static NOT_THE_CLIENTS: [HeaderName; 7] = [
    AUTHORIZATION,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Beginnings of the names by which a client could take another identity: impersonation and the front proxy's headers.
const IDENTITIES: [&str; 2] = ["impersonate-", "x-remote-"];

/// A bearer token among the WebSocket subprotocols, as kube-apiserver takes it from browsers.
const SUBPROTOCOL_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

pub(crate) fn clean_request(headers: &mut HeaderMap) {
    let trailers = tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    remove_hop_by_hop(headers);
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    for name in &NOT_THE_CLIENTS {
        headers.remove(name);
    }
    let identities: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            IDENTITIES
                .iter()
                .any(|identity| name.as_str().starts_with(identity))
        })
        .cloned()
        .collect();
    for name in identities {
        headers.remove(name);
    }
    remove_subprotocol_token(headers);
}

pub(crate) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let nominated: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .collect();
        for name in nominated {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn remove_subprotocol_token(headers: &mut HeaderMap) {
    let has_token =
        tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|token| token.starts_with(SUBPROTOCOL_TOKEN));
    if !has_token {
        return;
    }
    let rest: Vec<&str> = tokens(headers, &SEC_WEBSOCKET_PROTOCOL)
        .filter(|token| !token.starts_with(SUBPROTOCOL_TOKEN))
        .collect();
    let rest = HeaderValue::from_str(&rest.join(", ")).ok();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(request: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        clean_request(&mut headers);
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "Impersonate-User",
            "Impersonate-Group",
            "Impersonate-Extra-scopes",
            "Impersonate-Uid",
            "X-Remote-User",
            "X-Remote-Group",
            "X-Remote-Extra-a",
            "Cookie",
            "X-Forwarded-For",
            "X-Real-Ip",
            "Forwarded",
            "Host",
        ] {
            assert!(cleaned(&[(name, "x"), (name, "y")]).is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_about_the_message_is_kept() {
        let kept = [
            ("accept", "application/json"),
            ("accept-encoding", "gzip"),
            ("user-agent", "curl/8"),
            ("content-type", "application/json"),
            ("origin", "http://localhost"),
            ("trailer", "x-sum"),
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
        ];
        let expected: Vec<_> = kept.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(cleaned(&kept), expected);
    }

    #[test]
    fn headers_of_the_connection_end_with_it() {
        let mut left = cleaned(&[
            ("Connection", "close, X-Secret"),
            ("Connection", "x-other"),
            ("X-Secret", "1"),
            ("X-Other", "2"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Te", "gzip, trailers"),
            ("Upgrade", "h2c"),
            ("X-Kept", "3"),
        ]);
        left.sort();
        assert_eq!(left, ["te: trailers", "x-kept: 3"]);
    }

    #[test]
    fn a_token_among_the_subprotocols_is_taken_out() {
        assert_eq!(
            cleaned(&[(
                "Sec-WebSocket-Protocol",
                "base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io"
            )]),
            ["sec-websocket-protocol: v5.channel.k8s.io"]
        );
    }
}
