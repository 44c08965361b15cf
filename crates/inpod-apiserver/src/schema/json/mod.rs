//! JSON bodies, decoded as the real server's decoder (`sigs.k8s.io/json`) does, with its messages.

mod errors;
mod lexer;
#[cfg(test)]
mod tests;
mod write;

pub(super) use lexer::MAX_DEPTH;
pub(crate) use write::{to_json, write_json};

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Number, Value};

use self::errors::{Errors, Segment};
use self::lexer::{Lexer, SyntaxError};
use super::kind::{check_kind, split};
use super::types::{Field, Fields, GoType, Shape};
use super::{Decoded, FieldValidation, Type, quantity, time};
use crate::Status;

/// Decodes a JSON body of type `ty`: unknown and duplicate fields as `validation` says, wrong types as Go's decoder does.
///
/// The result is what Go would encode again, as [`normalize`](super::normalize) leaves it: quantities and times in their
/// canonical forms, zero values where there is no `omitempty`. Where a field comes twice, the last one stands whole. JSON
/// nested deeper than 256 levels is refused (Go: 10,000).
///
/// # Errors
/// 400 with the real server's message where the body is no JSON, is of another kind, has a field of the wrong type or, under
/// [`FieldValidation::Strict`], an unknown or duplicate field.
///
/// # Examples
/// ```
/// use inpod_apiserver::schema::{FieldValidation, decode_json, type_of};
///
/// let pod = type_of("", "v1", "Pod").expect("a kind of the tables");
/// let body = br#"{"kind":"Pod","spec":{"nodeName":1}}"#;
/// let refused = decode_json(pod, body, FieldValidation::Strict).unwrap_err();
/// assert_eq!(
///     refused.message,
///     "Pod in version \"v1\" cannot be handled as a Pod: \
///      json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string"
/// );
/// ```
pub fn decode_json(ty: Type, body: &[u8], validation: FieldValidation) -> Result<Decoded, Status> {
    let mut decoder = Decoder {
        lexer: Lexer::new(body),
        errors: Errors::new(validation != FieldValidation::Ignore),
        untyped: false,
    };
    let value = match decoder.document(ty.0) {
        Ok(Value::Object(value)) => value,
        Ok(other) => return Err(no_object(ty, body, &other)),
        Err(SyntaxError(message)) => {
            let message = format!("couldn't get version/kind; json parse error: {message}");
            return Err(unrecognized(ty, body, message));
        }
    };
    check_kind(ty, &value)?;
    let problem = match decoder.errors.finish() {
        Ok(warnings) if validation == FieldValidation::Strict && !warnings.is_empty() => {
            format!("strict decoding error: {}", warnings.join(", "))
        }
        Ok(warnings) => return Ok(Decoded { value, warnings }),
        Err(problem) => problem,
    };
    let text = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let kind = text("kind").unwrap_or(ty.0.name());
    let version = text("apiVersion").map_or(ty.group_version().1, |text| split(text).1);
    Err(Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: {problem}",
        ty.0.name()
    )))
}

/// Any JSON as a value, its keys in their order.
///
/// # Errors
/// Go's message where the text is no JSON.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder {
        lexer: Lexer::new(text),
        errors: Errors::new(false),
        untyped: false,
    };
    let value = decoder
        .any()
        .and_then(|value| decoder.lexer.end().map(|()| value));
    value.map_err(|SyntaxError(message)| message)
}

/// Any JSON as a value, and the fields that come twice in it, of which the last stands.
///
/// # Errors
/// Go's message where the text is no JSON.
pub(crate) fn decode_untyped(text: &[u8]) -> Result<(Value, Vec<String>), String> {
    let mut decoder = Decoder {
        lexer: Lexer::new(text),
        errors: Errors::new(true),
        untyped: true,
    };
    let value = decoder
        .any()
        .and_then(|value| decoder.lexer.end().map(|()| value))
        .map_err(|SyntaxError(message)| message)?;
    Ok((value, decoder.errors.finish()?))
}

/// Whether a value by itself is one of type `ty`.
///
/// # Errors
/// Go's message where it is not.
pub(crate) fn check_value(ty: &'static GoType, value: &Value) -> Result<(), String> {
    let text = value.to_string();
    let mut decoder = Decoder {
        lexer: Lexer::new(text.as_bytes()),
        errors: Errors::new(false),
        untyped: false,
    };
    decoder.value(ty).map_err(|SyntaxError(message)| message)?;
    decoder.errors.finish().map(|_| ())
}

pub(crate) use errors::found;

/// The 400 of a body that says `value`, which is no object.
pub(super) fn no_object(ty: Type, body: &[u8], value: &Value) -> Status {
    unrecognized(ty, body, errors::no_object(value))
}

/// The 400 of a body whose kind cannot be told.
pub(crate) fn unrecognized(ty: Type, body: &[u8], problem: impl std::fmt::Display) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {problem} ({})",
        ty.0.name(),
        errors::summary(body)
    ))
}

/// Go's decoder does not look at the bits that padding leaves over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

struct Decoder<'a> {
    lexer: Lexer<'a>,
    errors: Errors<'a>,
    /// Whether the whole document is of no type: in it a field that comes twice is told, in an untyped part of another it is not.
    untyped: bool,
}

/// A value that was of another type than asked for is `None`, as is `null`.
type Read = Result<Option<Value>, SyntaxError>;

impl<'a> Decoder<'a> {
    fn document(&mut self, ty: &'static GoType) -> Result<Value, SyntaxError> {
        let value = match self.lexer.peek_value()? {
            b'{' | b'n' => self.value(ty)?.unwrap_or_else(|| ty.zero()),
            _ => self.any()?,
        };
        self.lexer.end()?;
        Ok(value)
    }

    fn value(&mut self, ty: &'static GoType) -> Read {
        let first = self.lexer.peek_value()?;
        match (ty.shape, first) {
            (Shape::Quantity, _) => self.quantity(),
            (_, b'n') => self.null(),
            (Shape::Raw, _) => self.any().map(Some),
            (Shape::Struct(fields), b'{') => self.structure(ty, fields).map(Some),
            (Shape::Map(value), b'{') => self.map(value).map(Some),
            (Shape::List(element) | Shape::Items(element), b'[') => self.list(element).map(Some),
            (Shape::String | Shape::IntOrString, b'"') => Ok(Some(self.lexer.string()?.into())),
            (Shape::Bytes, b'"') => self.bytes(),
            (Shape::Bool, b't') => self.lexer.literal("true").map(|()| Some(true.into())),
            (Shape::Bool, b'f') => self.lexer.literal("false").map(|()| Some(false.into())),
            (Shape::Int32 | Shape::IntOrString, b'-' | b'0'..=b'9') => self.integer::<i32>(ty),
            (Shape::Int64, b'-' | b'0'..=b'9') => self.integer::<i64>(ty),
            (Shape::Time | Shape::MicroTime, b'"') => {
                self.time(matches!(ty.shape, Shape::MicroTime))
            }
            _ => self.mismatch(first, ty),
        }
    }

    fn null(&mut self) -> Read {
        self.lexer.literal("null").map(|()| None)
    }

    fn structure(
        &mut self,
        ty: &'static GoType,
        table: &'static [Field],
    ) -> Result<Value, SyntaxError> {
        let mut fields = Fields::new(table);
        self.lexer.enter()?;
        let mut first = true;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            let Some(index) = fields.find(&key) else {
                self.errors.unknown(&key);
                self.lexer.skip()?;
                continue;
            };
            if fields.is_set(index) {
                self.errors.duplicate(&key);
            }
            let field = &table[index];
            self.errors.push(Segment::Field(ty, field));
            let value = self.value(field.ty)?;
            self.errors.pop();
            fields.set(index, value.unwrap_or_default());
        }
        Ok(fields.finish().into())
    }

    fn map(&mut self, ty: &'static GoType) -> Result<Value, SyntaxError> {
        let mut map = Map::new();
        self.lexer.enter()?;
        let mut first = true;
        while let Some(key) = self.lexer.key(first)? {
            first = false;
            if map.contains_key(&*key) {
                self.errors.duplicate(&key);
            }
            self.errors.push(Segment::Key(key.clone()));
            let value = self.value(ty)?;
            self.errors.pop();
            map.insert(key.into_owned(), value.unwrap_or_else(|| ty.zero()));
        }
        Ok(map.into())
    }

    fn list(&mut self, ty: &'static GoType) -> Result<Value, SyntaxError> {
        let mut list = Vec::new();
        self.lexer.enter()?;
        while self.lexer.element(list.is_empty())? {
            self.errors.push(Segment::Index(list.len()));
            let value = self.value(ty)?;
            self.errors.pop();
            list.push(value.unwrap_or_else(|| ty.zero()));
        }
        Ok(list.into())
    }

    fn integer<T: std::str::FromStr + Into<i64>>(&mut self, ty: &GoType) -> Read {
        let text = self.lexer.number()?;
        if let Ok(number) = text.parse::<T>() {
            return Ok(Some(number.into().into()));
        }
        self.errors.wrong_type(&format!("number {text}"), ty);
        Ok(None)
    }

    fn bytes(&mut self) -> Read {
        let text = self.lexer.string()?;
        // Go's decoder does not mind line breaks.
        let text: Cow<'_, str> = if text.contains(['\r', '\n']) {
            text.replace(['\r', '\n'], "").into()
        } else {
            text
        };
        match LENIENT.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(STANDARD.encode(bytes).into())),
            Err(error) => {
                self.errors.saved(errors::base64(&text, &error));
                Ok(None)
            }
        }
    }

    fn quantity(&mut self) -> Read {
        let raw = self.lexer.skip()?;
        if raw == b"null" {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(raw);
        let text = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(&text);
        match quantity::canonical(text.trim()) {
            Ok(canonical) => Ok(Some(canonical.into())),
            Err(problem) => {
                self.errors.fatal(problem.to_owned());
                Ok(None)
            }
        }
    }

    fn time(&mut self, micros: bool) -> Read {
        let text = self.lexer.string()?;
        let parsed = if micros {
            time::micros(&text)
        } else {
            time::seconds(&text)
        };
        match parsed {
            Ok(time) => Ok(time.map(Value::from)),
            Err(problem) => {
                self.errors.fatal(problem);
                Ok(None)
            }
        }
    }

    fn mismatch(&mut self, first: u8, ty: &GoType) -> Read {
        let found = match first {
            b'{' => "object",
            b'[' => "array",
            b'"' => "string",
            b't' | b'f' => "bool",
            _ => "number",
        };
        self.errors.wrong_type(found, ty);
        self.lexer.skip()?;
        Ok(None)
    }

    /// A member of an object of no type.
    fn member(&mut self, key: Cow<'a, str>, again: bool) -> Result<Value, SyntaxError> {
        if !self.untyped {
            return self.any();
        }
        if again {
            self.errors.duplicate(&key);
        }
        self.errors.push(Segment::Key(key));
        let value = self.any()?;
        self.errors.pop();
        Ok(value)
    }

    /// Any JSON.
    fn any(&mut self) -> Result<Value, SyntaxError> {
        Ok(match self.lexer.peek_value()? {
            b'{' => {
                let mut map = Map::new();
                self.lexer.enter()?;
                let mut first = true;
                while let Some(key) = self.lexer.key(first)? {
                    first = false;
                    let value = self.member(key.clone(), map.contains_key(&*key))?;
                    map.insert(key.into_owned(), value);
                }
                map.into()
            }
            b'[' => {
                let mut list = Vec::new();
                self.lexer.enter()?;
                while self.lexer.element(list.is_empty())? {
                    self.errors.push(Segment::Index(list.len()));
                    list.push(self.any()?);
                    self.errors.pop();
                }
                list.into()
            }
            b'"' => self.lexer.string()?.into(),
            b't' => self.lexer.literal("true").map(|()| Value::Bool(true))?,
            b'f' => self.lexer.literal("false").map(|()| Value::Bool(false))?,
            b'n' => self.lexer.literal("null").map(|()| Value::Null)?,
            _ => number(self.lexer.number()?),
        })
    }
}

/// An `int64` where it is one, else the nearest double.
fn number(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}
