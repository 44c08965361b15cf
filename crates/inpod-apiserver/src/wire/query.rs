use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The first value of `key` in a raw query string, decoded; `""` where it has none, nothing where it is not there.
pub(super) fn first<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    pairs(query).find(|(k, _)| k == key).map(|(_, value)| value)
}

/// The decoded pairs of a raw query string, in order.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
}

/// What Go's `strconv.ParseBool` takes for true.
pub(super) fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn values_are_decoded() {
        let query = "a=1&labelSelector=x%3Dy+z&empty&a=2";
        assert_eq!(first(query, "a").as_deref(), Some("1"));
        assert_eq!(first(query, "labelSelector").as_deref(), Some("x=y z"));
        assert_eq!(first(query, "empty").as_deref(), Some(""));
        assert_eq!(first(query, "b"), None);
    }
}
