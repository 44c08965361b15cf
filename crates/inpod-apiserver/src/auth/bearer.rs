use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The bearer token of the request (RFC 6750), scheme in any case: Python's client sends `bearer`.
///
/// Read as the real server reads it: only the first header, and only what stands between the first space and the next; with two
/// spaces in front of the token there is none.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(AUTHORIZATION)?;
    // What is not UTF-8 is no token of ours either, so it may be mangled, but it must not pass for no token.
    let header = String::from_utf8_lossy(header.as_bytes());
    let mut parts = header.trim().splitn(3, ' ');
    let scheme = parts.next()?;
    let token = parts.next()?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn token_of(header: &'static [u8]) -> Option<String> {
        let value = HeaderValue::from_bytes(header).expect("a header");
        token(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }

    #[test]
    fn the_scheme_is_taken_in_any_case() {
        for header in [
            &b"Bearer abc"[..],
            b"bearer abc",
            b"BEARER abc",
            b"  Bearer abc ",
        ] {
            assert_eq!(token_of(header).as_deref(), Some("abc"));
        }
    }

    #[test]
    fn other_schemes_and_empty_tokens_are_no_credentials() {
        for header in [
            &b"Basic abc"[..],
            b"Bearer",
            b"Bearer ",
            b"Bearer  abc",
            b"abc",
            b"",
        ] {
            assert_eq!(token_of(header), None, "{header:?}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_not_utf8_is_a_bad_token_rather_than_none() {
        assert!(token_of(b"Bearer \xff").is_some());
    }
}
