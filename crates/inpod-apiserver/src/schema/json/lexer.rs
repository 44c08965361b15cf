//! JSON's grammar, one value at a time, with the messages of Go's scanner.

use std::borrow::Cow;

/// The deepest nesting that is read: far more than any object has, and little enough for the stack of a worker thread.
pub(in crate::schema) const MAX_DEPTH: usize = 256;

/// The text is no JSON; the message is Go's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError(pub(super) String);

type Result<T> = std::result::Result<T, SyntaxError>;

/// Reads values in order. After an error there is nothing more to read.
pub(super) struct Lexer<'a> {
    data: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            depth: 0,
        }
    }

    /// The first byte of the value that comes next.
    pub(super) fn peek_value(&mut self) -> Result<u8> {
        match self.peek()? {
            byte @ (b'{' | b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Ok(byte),
            byte => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    /// Enters an object or array, whose bracket comes next.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError("exceeded max depth".into()));
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of the object that was entered, past its colon; `None` at its end, which is left.
    pub(super) fn key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>> {
        match (self.peek()?, first) {
            (b'}', _) => {
                self.leave();
                return Ok(None);
            }
            (b'"', true) => {}
            (b',', false) => {
                self.at += 1;
                let byte = self.peek()?;
                if byte != b'"' {
                    return Err(invalid(byte, "looking for beginning of object key string"));
                }
            }
            (byte, true) => {
                return Err(invalid(byte, "looking for beginning of object key string"));
            }
            (byte, false) => return Err(invalid(byte, "after object key:value pair")),
        }
        let key = self.string()?;
        match self.peek()? {
            b':' => self.at += 1,
            byte => return Err(invalid(byte, "after object key")),
        }
        Ok(Some(key))
    }

    /// Whether the array that was entered has another element; at its end it is left.
    pub(super) fn element(&mut self, first: bool) -> Result<bool> {
        match (self.peek()?, first) {
            (b']', _) => {
                self.leave();
                Ok(false)
            }
            (_, true) => Ok(true),
            (b',', false) => {
                self.at += 1;
                // Another element must follow: a closing bracket is no beginning of a value.
                Ok(true)
            }
            (byte, false) => Err(invalid(byte, "after array element")),
        }
    }

    /// The string that comes next. What is no UTF-8 or half a surrogate pair becomes U+FFFD.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.byte()? {
                b'"' => {
                    let text = &self.data[start..self.at - 1];
                    return Ok(String::from_utf8_lossy(text));
                }
                b'\\' => {
                    self.at -= 1;
                    let before = String::from_utf8_lossy(&self.data[start..self.at]).into_owned();
                    return self.escaped(before).map(Cow::Owned);
                }
                byte @ ..0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    /// The rest of a string, from its first escape on.
    fn escaped(&mut self, mut text: String) -> Result<String> {
        loop {
            let start = self.at;
            let end = loop {
                match self.byte()? {
                    b'"' | b'\\' => break self.at - 1,
                    byte @ ..0x20 => return Err(invalid(byte, "in string literal")),
                    _ => {}
                }
            };
            text.push_str(&String::from_utf8_lossy(&self.data[start..end]));
            if self.data[end] == b'"' {
                return Ok(text);
            }
            match self.byte()? {
                b'b' => text.push('\u{8}'),
                b'f' => text.push('\u{c}'),
                b'n' => text.push('\n'),
                b'r' => text.push('\r'),
                b't' => text.push('\t'),
                byte @ (b'"' | b'\\' | b'/') => text.push(char::from(byte)),
                b'u' => {
                    let unit = self.hex()?;
                    text.push(self.character(unit)?);
                }
                byte => return Err(invalid(byte, "in string escape code")),
            }
        }
    }

    /// The character that begins with the UTF-16 unit `unit`.
    fn character(&mut self, unit: u32) -> Result<char> {
        if (0xD800..0xDC00).contains(&unit) && self.data[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.byte()?;
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| invalid(byte, "in \\u hexadecimal character escape"))?;
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    /// The number that comes next, as it is written.
    pub(super) fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.data[self.at] == b'-' {
            self.at += 1;
        }
        match self.byte()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            byte => return Err(invalid(byte, "in numeric literal")),
        }
        if self.data.get(self.at) == Some(&b'.') {
            self.at += 1;
            match self.byte()? {
                b'0'..=b'9' => self.digits(),
                byte => return Err(invalid(byte, "after decimal point in numeric literal")),
            }
        }
        if let Some(b'e' | b'E') = self.data.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.data.get(self.at) {
                self.at += 1;
            }
            match self.byte()? {
                b'0'..=b'9' => self.digits(),
                byte => return Err(invalid(byte, "in exponent of numeric literal")),
            }
        }
        Ok(std::str::from_utf8(&self.data[start..self.at]).unwrap_or_default())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.data.get(self.at) {
            self.at += 1;
        }
    }

    /// Reads `literal`, of which the first byte comes next.
    pub(super) fn literal(&mut self, literal: &'static str) -> Result<()> {
        self.at += 1;
        for expected in literal.bytes().skip(1) {
            let byte = self.byte()?;
            if byte != expected {
                let expected = char::from(expected);
                return Err(invalid(
                    byte,
                    &format!("in literal {literal} (expecting '{expected}')"),
                ));
            }
        }
        Ok(())
    }

    /// Reads past the value that comes next; the bytes are its text.
    pub(super) fn skip(&mut self) -> Result<&'a [u8]> {
        let first = self.peek_value()?;
        let start = self.at;
        match first {
            b'{' => {
                self.enter()?;
                let mut first = true;
                while self.key(first)?.is_some() {
                    self.skip()?;
                    first = false;
                }
            }
            b'[' => {
                self.enter()?;
                let mut first = true;
                while self.element(first)? {
                    self.skip()?;
                    first = false;
                }
            }
            b'"' => drop(self.string()?),
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => drop(self.number()?),
        }
        Ok(&self.data[start..self.at])
    }

    /// Makes sure that nothing but space follows.
    pub(super) fn end(&mut self) -> Result<()> {
        self.space();
        match self.data.get(self.at) {
            None => Ok(()),
            Some(byte) => Err(invalid(*byte, "after top-level value")),
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.data.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Result<u8> {
        self.space();
        self.data.get(self.at).copied().ok_or_else(unexpected_end)
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.data.get(self.at).copied().ok_or_else(unexpected_end)?;
        self.at += 1;
        Ok(byte)
    }
}

fn unexpected_end() -> SyntaxError {
    SyntaxError("unexpected end of JSON input".into())
}

fn invalid(byte: u8, context: &str) -> SyntaxError {
    let quoted = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        ..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..0xa0 => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    };
    SyntaxError(format!("invalid character {quoted} {context}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let mut lexer = Lexer::new(text.as_bytes());
        match lexer.skip().and_then(|_| lexer.end()) {
            Ok(()) => "none".into(),
            Err(SyntaxError(message)) => message,
        }
    }

    #[test]
    fn syntax_errors_are_gos() {
        for (text, message) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            (
                "{]",
                "invalid character ']' looking for beginning of object key string",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a":1 "b"}"#,
                "invalid character '\"' after object key:value pair",
            ),
            (
                r#"{"a":1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            ("nul", "unexpected end of JSON input"),
            (
                "nuul",
                "invalid character 'u' in literal null (expecting 'l')",
            ),
            ("-a", "invalid character 'a' in numeric literal"),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            (
                "1ex",
                "invalid character 'x' in exponent of numeric literal",
            ),
            ("01", "invalid character '1' after top-level value"),
            ("\"\n\"", r"invalid character '\n' in string literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            (
                r#""\u00g0""#,
                r"invalid character 'g' in \u hexadecimal character escape",
            ),
            (
                "'a'",
                r"invalid character '\'' looking for beginning of value",
            ),
            ("{} x", "invalid character 'x' after top-level value"),
        ] {
            assert_eq!(error(text), message, "{text}");
        }
    }

    #[test]
    fn strings_are_unescaped_and_made_unicode() {
        for (text, expected) in [
            (&br#""plain""#[..], "plain"),
            (br#""a\n\t\"\\\/\u00e9b""#, "a\n\t\"\\/\u{e9}b"),
            (br#""\ud83d\ude00""#, "\u{1f600}"),
            (br#""\ud83dx""#, "\u{fffd}x"),
            (br#""\ud83d\u0041""#, "\u{fffd}A"),
            (b"\"a\xffb\"", "a\u{fffd}b"),
        ] {
            assert_eq!(Lexer::new(text).string().as_deref(), Ok(expected));
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert_eq!(error(&"[".repeat(100_000)), "exceeded max depth");
        assert_eq!(error(&"{\"a\":".repeat(100_000)), "exceeded max depth");
    }
}
