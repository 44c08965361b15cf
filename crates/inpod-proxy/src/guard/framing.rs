//! Where a request ends, read strictly.
//!
//! hyper takes a `Content-Length` beside a `Transfer-Encoding` (hyperium/hyper#3444), bare line feeds and repeated lengths, and
//! hides from the service that they were there. A proxy that lets them through is one half of request smuggling (RFC 9112,
//! section 11.2), so that the head is read here first and refused unless there is one way to read it.

use http::StatusCode;

use crate::status::Failure;

/// The longest head, request line included, in bytes. hyper reads no longer URI than this either.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// The most header lines: hyper's own limit.
const MAX_HEADERS: usize = 100;

/// What comes on a connection after a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// A body of so many bytes, then another head.
    Body(u64),
    /// A chunked body or another protocol: no other request is read from the connection.
    Last,
}

/// The length of the head at the beginning of `bytes`, its empty line included, if it is all there.
///
/// What was searched before, `searched` bytes, is not searched again.
pub(crate) fn head_len(bytes: &[u8], searched: usize) -> Option<usize> {
    let mut from = searched.saturating_sub(2);
    while let Some(at) = bytes.get(from..)?.iter().position(|&b| b == b'\n') {
        from += at + 1;
        match bytes.get(from..)? {
            [b'\n', ..] => return Some(from + 1),
            [b'\r', b'\n', ..] => return Some(from + 2),
            _ => {}
        }
    }
    None
}

/// Whether a head can begin with this byte.
pub(crate) fn begins_head(byte: u8) -> bool {
    is_token_byte(byte)
}

/// Reads one head.
pub(crate) fn read(head: &[u8]) -> Result<After, Failure> {
    let mut lines = head.split(|&b| b == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").ok_or(BARE_LINE_END)?;
        if line.iter().any(|&b| (b < b' ' && b != b'\t') || b == 0x7f) {
            return Err("the request's head has a control character");
        }
        Ok(line)
    });
    let version = request_line(
        lines
            .next()
            .unwrap_or(Err(BARE_LINE_END))
            .map_err(Failure::bad_request)?,
    )?;

    let mut hosts = 0;
    let mut count = 0;
    let mut length = None;
    let mut chunked = false;
    let mut upgrade = false;
    for line in lines {
        let line = line.map_err(Failure::bad_request)?;
        if line.is_empty() {
            break;
        }
        count += 1;
        let (name, value) = header(line).map_err(Failure::bad_request)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            upgrade = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return Err(Failure::bad_request("more than one Content-Length"));
            }
            length = Some(decimal(value).ok_or_else(|| {
                Failure::bad_request("the Content-Length is not a number of bytes")
            })?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Failure::new(
                    StatusCode::NOT_IMPLEMENTED,
                    "no Transfer-Encoding but one \"chunked\" is understood",
                ));
            }
            chunked = true;
        }
    }

    if count > MAX_HEADERS {
        return Err(too_large());
    }
    if hosts > 1 {
        return Err(Failure::bad_request("more than one Host"));
    }
    if hosts == 0 && version == Version::One {
        return Err(Failure::bad_request(
            "an HTTP/1.1 request must have a Host header",
        ));
    }
    if chunked && length.is_some() {
        return Err(Failure::bad_request(
            "both Content-Length and Transfer-Encoding: where the request ends is ambiguous",
        ));
    }
    if chunked && version == Version::Zero {
        return Err(Failure::bad_request("HTTP/1.0 has no Transfer-Encoding"));
    }
    Ok(if chunked || upgrade {
        After::Last
    } else {
        After::Body(length.unwrap_or(0))
    })
}

/// 431, for a head that is longer than [`MAX_HEAD`] or has too many lines.
pub(crate) fn too_large() -> Failure {
    Failure::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        format!(
            "the request's head is longer than {MAX_HEAD} bytes or has more than {MAX_HEADERS} headers"
        ),
    )
}

const BARE_LINE_END: &str = "a line of the request's head does not end with CR LF";

#[derive(PartialEq)]
enum Version {
    Zero,
    One,
}

fn request_line(line: &[u8]) -> Result<Version, Failure> {
    let mut parts = line.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::bad_request(
            "the request line is not a method, a target and a version",
        ));
    };
    if method.is_empty() || !method.iter().copied().all(is_token_byte) {
        return Err(Failure::bad_request("the method is not a token"));
    }
    // RFC 3986 has no other bytes, and a fragment is never sent.
    if target.is_empty() || !target.iter().all(|b| b.is_ascii_graphic() && *b != b'#') {
        return Err(Failure::bad_request(
            "the request target has a byte that must be percent-encoded",
        ));
    }
    match version {
        b"HTTP/1.0" => Ok(Version::Zero),
        b"HTTP/1.1" => Ok(Version::One),
        _ => Err(Failure::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "only HTTP/1.1 and HTTP/1.0 are spoken here",
        )),
    }
}

/// Name and trimmed value of a header line.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err("a header is folded over several lines");
    }
    let colon = line
        .iter()
        .position(|&b| b == b':')
        .ok_or("a header has no colon")?;
    let (name, value) = line.split_at(colon);
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return Err("a header's name is not a token");
    }
    Ok((name, value.get(1..).unwrap_or_default().trim_ascii()))
}

/// `1*DIGIT`, without the sign and the spaces that `parse` or other servers take.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text that is nearly a head: its pieces are what parsers disagree about.
    fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "GET / HTTP/1.1",
            "POST /a HTTP/1.0",
            "\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            ":",
            "Host: localhost",
            "Content-Length: 3",
            "Content-Length: 3, 3",
            "Content-Length",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Upgrade: x",
            "\0",
            "\r\n\r\n",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
    }

    fn count(head: &[u8], name: &str) -> usize {
        String::from_utf8_lossy(head)
            .lines()
            .filter(|line| line.to_lowercase().starts_with(name))
            .count()
    }

    proptest! {
        #[test]
        fn a_head_ends_at_the_same_place_however_it_comes(bytes in nearly_a_head()) {
            let whole = head_len(&bytes, 0);
            let piecewise = (0..=bytes.len())
                .find_map(|len| head_len(&bytes[..len], len.saturating_sub(1)));
            prop_assert_eq!(whole, piecewise);
        }

        #[test]
        fn an_accepted_head_has_one_reading(bytes in nearly_a_head()) {
            let Some(len) = head_len(&bytes, 0) else { return Ok(()) };
            let head = &bytes[..len];
            let Ok(after) = read(head) else { return Ok(()) };
            prop_assert!(head.ends_with(b"\r\n\r\n"));
            prop_assert_eq!(count(head, "content-length") + count(head, "transfer-encoding") <= 1, true);
            prop_assert!(count(head, "host") <= 1);
            let last = count(head, "transfer-encoding") + count(head, "upgrade") > 0;
            prop_assert_eq!(after == After::Last, last);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = head_len(&bytes, 0);
            let _ = read(&bytes);
        }
    }
}
