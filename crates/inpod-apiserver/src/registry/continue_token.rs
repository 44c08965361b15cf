use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use crate::schema::{Json, decode_untyped};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on. Clients may not look inside, but tools do: it is the real server's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Token {
    /// Always [`VERSION`].
    v: String,
    /// The revision of the list; negative for whatever is there when it goes on.
    pub(super) rv: i64,
    /// The first key that is still to come, below the namespace of the list where it has one.
    pub(super) start: String,
}

impl Token {
    /// The token of a list at `revision` that goes on after the object at `key`.
    pub(super) fn after(key: &str, revision: u64) -> Self {
        Self {
            v: VERSION.to_owned(),
            rv: i64::try_from(revision).unwrap_or(i64::MAX),
            start: format!("{key}\0"),
        }
    }

    /// The token that goes on in the same place with what is there by then.
    pub(super) fn at_newest(self) -> Self {
        Self { rv: -1, ..self }
    }

    pub(super) fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token.
    ///
    /// # Errors
    /// Why it is none, as the real server says it.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        let invalid = |why: &dyn std::fmt::Display| format!("continue key is not valid: {why}");
        let bytes = decode_base64(text)
            .map_err(|at| invalid(&format!("illegal base64 data at input byte {at}")))?;
        let (value, _) = decode_untyped(&bytes).map_err(|e| invalid(&e))?;
        let token = Self::of(&value).map_err(|e| invalid(&e))?;
        if token.v != VERSION {
            return Err(invalid(&format!(
                "server does not recognize this encoded version {}",
                token.v
            )));
        }
        if token.rv == 0 {
            return Err(invalid(
                &"incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
        if token.start.is_empty() {
            return Err(invalid(&"encoded start key empty (version meta.k8s.io/v1)"));
        }
        // Keys are compared, never resolved, but the real server refuses these.
        let start = token.start.strip_prefix('/').unwrap_or(&token.start);
        if start.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(invalid(&token.start));
        }
        Ok(Self {
            start: start.to_owned(),
            ..token
        })
    }

    /// The fields of a token; one that is not there is empty.
    ///
    /// # Errors
    /// Go's message for the first value of another type.
    fn of(value: &Value) -> Result<Self, String> {
        let mismatch = |value: &Value, target: &str| {
            let kind = match value {
                Value::String(_) => "string".to_owned(),
                Value::Number(number) if target.ends_with("int64") => format!("number {number}"),
                Value::Number(_) => "number".to_owned(),
                Value::Bool(_) => "bool".to_owned(),
                Value::Array(_) => "array".to_owned(),
                Value::Object(_) | Value::Null => "object".to_owned(),
            };
            format!("json: cannot unmarshal {kind} into Go {target}")
        };
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => &Json::new(),
            other => return Err(mismatch(other, "value of type storage.continueToken")),
        };
        let text = |key: &str| match fields.get(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(mismatch(
                other,
                &format!("struct field continueToken.{key} of type string"),
            )),
        };
        let rv = match fields.get("rv") {
            None | Some(Value::Null) => 0,
            Some(other) => other
                .as_i64()
                .ok_or_else(|| mismatch(other, "struct field continueToken.rv of type int64"))?,
        };
        Ok(Self {
            v: text("v")?,
            rv,
            start: text("start")?,
        })
    }
}

/// Go's decoder does not mind line breaks, nor what the bits are that are left over.
///
/// # Errors
/// Where the text is no base64.
fn decode_base64(text: &str) -> Result<Vec<u8>, usize> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone),
    );
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let line_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    if let Some(at) = text.bytes().position(|b| !alphabet(b) && !line_break(b)) {
        return Err(at);
    }
    let symbols: Vec<u8> = text.bytes().filter(|b| !line_break(*b)).collect();
    // The one way that is left is a symbol too many.
    LENIENT
        .decode(symbols)
        .map_err(|_| text.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_token_makes_the_server_panic(text in ".*", start in ".*", rv: i64) {
            let _ = Token::decode(&text);
            let token = Token { v: VERSION.to_owned(), rv, start };
            if let Ok(decoded) = Token::decode(&token.encode()) {
                prop_assert_eq!(decoded.start, token.start.strip_prefix('/').unwrap_or(&token.start));
                prop_assert_eq!(decoded.rv, token.rv);
            }
        }
    }
}
