//! JSON as Go's encoder writes it.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// A value as compact JSON, in the bytes that the real server would send: `<`, `>`, `&` and two line separators are escaped, so
/// that the text may stand in HTML and in JavaScript.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(&mut out, value);
    out
}

/// As [`to_json`], behind what is in `out`.
pub(crate) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing JSON values into memory cannot fail: their keys are strings and a Vec only grows.
    let written = value.serialize(&mut Serializer::with_formatter(out, Go));
    debug_assert!(written.is_ok(), "a JSON value is always encodable");
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, special) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_html_could_take_for_its_own_is_escaped() {
        let value = json!({"a<b": "<p>&\"\n\u{2028}é"});
        let written = to_json(&value);
        assert_eq!(
            String::from_utf8_lossy(&written),
            "{\"a\\u003cb\":\"\\u003cp\\u003e\\u0026\\\"\\n\\u2028é\"}"
        );
        assert_eq!(serde_json::from_slice::<Value>(&written).ok(), Some(value));
    }
}
