use std::collections::BTreeMap;

use http::HeaderMap;

use crate::quote::quoted;
use crate::{Status, UserInfo};

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

/// Whether the header belongs to impersonation, and so is not for those who serve the request.
pub(in crate::auth) fn is_header(name: &str) -> bool {
    [USER, UID, GROUP].contains(&name) || name.starts_with(EXTRA)
}

/// The identity as the headers have it, None without an `Impersonate-User`.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
    let mut extra = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            extra.entry(extra_key(key)).or_default().push(text(value));
        }
    }
    let wanted = UserInfo {
        username: first(USER),
        uid: first(UID),
        groups: headers.get_all(GROUP).iter().map(text).collect(),
        extra,
    };
    if !wanted.username.is_empty() {
        return Ok(Some(wanted));
    }
    if only_username(&wanted) {
        return Ok(None);
    }
    Err(Status::bad_request(format!(
        "requested {} without impersonating a user name",
        go_syntax(&wanted)
    )))
}

/// A key may be percent-encoded, as header names cannot hold every character; what is not well encoded stands for itself.
fn extra_key(encoded: &str) -> String {
    let well_formed = encoded.split('%').skip(1).all(|rest| {
        let hex = rest.as_bytes().get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return encoded.to_owned();
    }
    percent_encoding::percent_decode_str(encoded)
        .decode_utf8_lossy()
        .into_owned()
}

/// Go's `%#v` of a `*user.DefaultInfo`, which the message has.
fn go_syntax(user: &UserInfo) -> String {
    let strings = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        format!("[]string{{{}}}", items.join(", "))
    };
    let groups = match user.groups.as_slice() {
        [] => "[]string(nil)".to_owned(),
        groups => strings(groups),
    };
    let extra = if user.extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let entries: Vec<String> = user
            .extra
            .iter()
            .map(|(key, values)| format!("{}:{}", quoted(key), strings(values)))
            .collect();
        format!("map[string][]string{{{}}}", entries.join(", "))
    };
    format!(
        "&user.DefaultInfo{{Name:{}, UID:{}, Groups:{groups}, Extra:{extra}}}",
        quoted(&user.username),
        quoted(&user.uid)
    )
}

/// Whether nothing but (perhaps) the name is asked for.
pub(super) fn only_username(user: &UserInfo) -> bool {
    user.uid.is_empty() && user.groups.is_empty() && user.extra.is_empty()
}
