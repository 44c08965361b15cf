//! Where in a body the decoder is, and what it found wrong there.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::schema::types::{Field, GoType, Shape};

/// The most unknown and duplicate fields that are named.
const MOST_STRICT: usize = 100;
/// How much of a body that cannot be told is shown, in bytes.
const SUMMARY: usize = 30;

/// A step from a value into one of its parts.
pub(super) enum Segment<'a> {
    /// Into a field of a struct.
    Field(&'static GoType, &'static Field),
    /// Into a value of a map.
    Key(Cow<'a, str>),
    /// Into an element of a list.
    Index(usize),
}

/// The path to the value that is being decoded, and the errors so far. Go's decoder goes on after most of them and reports
/// the first.
pub(super) struct Errors<'a> {
    path: Vec<Segment<'a>>,
    /// The first that ends the decoding in Go.
    fatal: Option<String>,
    /// The first of the others.
    saved: Option<String>,
    /// Unknown and duplicate fields, where they are of interest.
    strict: Option<Vec<String>>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(strict: bool) -> Self {
        Self {
            path: Vec::new(),
            fatal: None,
            saved: None,
            strict: strict.then(Vec::new),
        }
    }

    pub(super) fn push(&mut self, segment: Segment<'a>) {
        self.path.push(segment);
    }

    pub(super) fn pop(&mut self) {
        self.path.pop();
    }

    /// The unknown and duplicate fields, or the error that comes before them.
    pub(super) fn finish(self) -> Result<Vec<String>, String> {
        match self.fatal.or(self.saved) {
            Some(error) => Err(error),
            None => Ok(self.strict.unwrap_or_default()),
        }
    }

    /// A value that is none of `ty`.
    pub(super) fn wrong_type(&mut self, found: &str, ty: &GoType) {
        // Types with decoders of their own ask for another one within, and end the decoding where they do not get it.
        match ty.shape {
            Shape::IntOrString => self.fatal(self.type_error(found, "int32")),
            Shape::Time | Shape::MicroTime => self.fatal(self.type_error(found, "string")),
            _ if self.saved.is_none() => self.saved(self.type_error(found, ty.go)),
            _ => {}
        }
    }

    /// An error that Go's decoder ends with.
    pub(super) fn fatal(&mut self, problem: String) {
        self.fatal.get_or_insert(problem);
    }

    /// An error that Go's decoder goes on after.
    pub(super) fn saved(&mut self, problem: String) {
        self.saved.get_or_insert(problem);
    }

    pub(super) fn unknown(&mut self, key: &str) {
        self.strict("unknown", key);
    }

    pub(super) fn duplicate(&mut self, key: &str) {
        self.strict("duplicate", key);
    }

    fn strict(&mut self, what: &str, key: &str) {
        let Some(strict) = &mut self.strict else {
            return;
        };
        if strict.len() >= MOST_STRICT {
            return;
        }
        let mut path = String::new();
        for segment in &self.path {
            let (dot, name) = match segment {
                Segment::Field(_, field) => (".", Cow::Borrowed(field.json)),
                Segment::Key(key) => (".", Cow::Borrowed(&**key)),
                Segment::Index(index) => ("", Cow::Owned(format!("[{index}]"))),
            };
            if !path.is_empty() {
                path.push_str(dot);
            }
            path.push_str(&name);
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        let error = format!("{what} field {path:?}");
        if !strict.contains(&error) {
            strict.push(error);
        }
    }

    fn type_error(&self, found: &str, go: &str) -> String {
        // Go's reflection calls a byte by its other name.
        let go = go.replace("[]byte", "[]uint8");
        let mut owner = None;
        let mut path = String::new();
        for segment in &self.path {
            let Segment::Field(ty, field) = segment else {
                continue;
            };
            owner = Some(ty.name());
            for (embedded, _) in field.within {
                let _ = write!(path, ".{embedded}");
            }
            let _ = write!(path, ".{}", field.json);
        }
        match owner {
            Some(owner) => {
                format!(
                    "json: cannot unmarshal {found} into Go struct field {owner}{path} of type {go}"
                )
            }
            None => format!("json: cannot unmarshal {found} into Go value of type {go}"),
        }
    }
}

/// What Go's decoder says it found.
pub(crate) fn found(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        Value::Null => "null",
    }
}

/// What is wrong with a body that is JSON, but no object.
pub(super) fn no_object(value: &Value) -> String {
    let found = found(value);
    let go = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    format!(
        "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type {go}"
    )
}

/// The beginning of a body, for people: as text where it looks like an object, else in hexadecimal.
pub(super) fn summary(body: &[u8]) -> String {
    let shown = &body[..body.len().min(SUMMARY)];
    let mut summary = match body.first() {
        None => return "<empty>".into(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    };
    if body.len() > SUMMARY {
        summary.push_str(" ...");
    }
    summary
}

/// Go's error for what is no base64.
pub(super) fn base64(text: &str, error: &base64::DecodeError) -> String {
    use base64::DecodeError::{InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding};
    let at = match error {
        InvalidByte(at, _) | InvalidLastSymbol(at, _) => *at,
        // Go names the group of four that is not complete.
        InvalidLength(_) | InvalidPadding => text.len() / 4 * 4,
    };
    format!("illegal base64 data at input byte {at}")
}
