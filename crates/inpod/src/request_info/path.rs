//! A path taken apart into decoded segments, where it can be read in one way only.

use percent_encoding::percent_decode_str;

use super::{RequestInfoError, is_resource_in_namespace};

/// The decoded segments, without what a leading or trailing slash would add.
pub(super) fn segments(path: &str) -> Result<Vec<String>, RequestInfoError> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let raw: Vec<&str> = inner.split('/').collect();
    let proxied = proxied_from(&raw).unwrap_or(raw.len());
    raw.into_iter()
        .enumerate()
        .map(|(index, segment)| {
            if index < proxied {
                own(segment)
            } else {
                of_another_server(segment)
            }
        })
        .collect()
}

/// The path of these segments, with the trailing slash it had.
pub(super) fn decoded(raw: &str, segments: &[String]) -> String {
    let mut path = format!("/{}", segments.join("/"));
    if raw.len() > 1 && raw.ends_with('/') && path != "/" {
        path.push('/');
    }
    path
}

/// The first segment behind `RESOURCE/NAME/proxy`. Looked for before anything is decoded: a path that hides these words behind
/// escapes gets no leniency.
fn proxied_from(raw: &[&str]) -> Option<usize> {
    let resource = match *raw.first()? {
        "api" => 2,
        "apis" => 3,
        _ => return None,
    };
    let resource = match raw.get(resource..)? {
        ["namespaces", _, inside @ ..] if is_resource_in_namespace(inside) => resource + 2,
        _ => resource,
    };
    match raw.get(resource..)? {
        ["pods" | "services" | "nodes", _, "proxy", ..] => Some(resource + 3),
        _ => None,
    }
}

fn own(raw: &str) -> Result<String, RequestInfoError> {
    if raw.is_empty() {
        return Err(RequestInfoError::Empty);
    }
    let decoded = decode(raw)?;
    let is_ambiguous = matches!(decoded.as_str(), "." | "..")
        || decoded.contains(['/', '\\'])
        || decoded.contains(char::is_control);
    if is_ambiguous {
        return Err(RequestInfoError::Ambiguous(decoded));
    }
    Ok(decoded)
}

fn of_another_server(raw: &str) -> Result<String, RequestInfoError> {
    let decoded = decode(raw)?;
    let is_ambiguous = decoded
        .split(['/', '\\'])
        .any(|part| matches!(part, "." | ".."))
        || decoded.contains(char::is_control);
    if is_ambiguous {
        return Err(RequestInfoError::Ambiguous(decoded));
    }
    Ok(decoded)
}

fn decode(raw: &str) -> Result<String, RequestInfoError> {
    if has_stray_percent(raw) {
        return Err(RequestInfoError::Encoding);
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_not_utf8| RequestInfoError::Encoding)
}

/// Whether a `%` stands for itself, which `percent_decode` lets pass and RFC 3986 does not.
pub(super) fn has_stray_percent(raw: &str) -> bool {
    raw.split('%').skip(1).any(|after| {
        let digits = after.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
