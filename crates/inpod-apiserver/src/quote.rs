//! Go's `%q`, which the real server's messages are full of.

use std::fmt::Write;

/// `text` as Go's `strconv.Quote` writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            _ => {
                push(&mut out, c);
                continue;
            }
        };
        out.push_str(escape);
    }
    out.push('"');
    out
}

/// `%q` of a slice: quoted, between brackets, with spaces between.
pub(crate) fn quoted_list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(" "))
}

fn push(out: &mut String, c: char) {
    let code = u32::from(c);
    let written = match code {
        _ if is_printable(c) => {
            out.push(c);
            Ok(())
        }
        0..0x80 => write!(out, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// Go's `unicode.IsPrint` for all that names can hold: of white space only U+0020, and nothing invisible.
fn is_printable(c: char) -> bool {
    let invisible = matches!(
        u32::from(c),
        0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb
    );
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_go_quotes_them() {
        assert_eq!(
            quoted("system:serviceaccount:a:b"),
            "\"system:serviceaccount:a:b\""
        );
        assert_eq!(quoted("a\"b\\c\n\u{1}\u{7f}"), r#""a\"b\\c\n\x01\x7f""#);
        assert_eq!(quoted("é \u{a0}\u{200b}🐳'"), "\"é \\u00a0\\u200b🐳'\"");
        assert_eq!(quoted_list(&["a", "b c"]), r#"["a" "b c"]"#);
    }
}
