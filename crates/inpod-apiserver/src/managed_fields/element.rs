use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// One step of a path into an object, in Go's order: fields before items by key, those before items by value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// `f:name`: a field of a struct or a key of a map.
    Field(Cow<'static, str>),
    /// `k:{"name":"a"}`: the item of a list that has these values in its key fields, which are in order of their names.
    Key(Vec<(Cow<'static, str>, Scalar)>),
    /// `v:"a"`: the item of a set.
    Value(Scalar),
    /// `i:0`: the item of a list at that place; this server never writes it.
    Index(i64),
}

impl Element {
    /// How the element is written in `fieldsV1`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let fields: Map<String, Value> = fields
                    .iter()
                    .map(|(name, value)| (name.clone().into_owned(), value.0.clone()))
                    .collect();
                format!("k:{}", html_escaped(&Value::Object(fields)))
            }
            Self::Value(value) => format!("v:{}", html_escaped(&value.0)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads what [`Element::name`] writes; nothing for an element of a kind that is not known.
    ///
    /// # Errors
    /// Where it is no element at all.
    pub(super) fn parse(name: &str) -> Result<Option<Self>, Malformed> {
        let (kind, rest) = name.split_once(':').ok_or(Malformed)?;
        Ok(Some(match kind {
            "f" => Self::Field(rest.to_owned().into()),
            "k" => {
                let fields: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|_| Malformed)?;
                let mut fields: Vec<_> = fields
                    .into_iter()
                    .map(|(name, value)| (name.into(), Scalar(value)))
                    .collect();
                fields.sort_unstable();
                Self::Key(fields)
            }
            "v" => Self::Value(Scalar(serde_json::from_str(rest).map_err(|_| Malformed)?)),
            "i" => Self::Index(rest.parse().map_err(|_| Malformed)?),
            _ if kind.len() == 1 => return Ok(None),
            _ => return Err(Malformed),
        }))
    }
}

/// A `fieldsV1` that no server wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Go's encoder escapes what could end a script in a page.
fn html_escaped(value: &Value) -> String {
    let mut text = value.to_string();
    if text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        for (plain, escaped) in [
            ("<", "\\u003c"),
            (">", "\\u003e"),
            ("&", "\\u0026"),
            ("\u{2028}", "\\u2028"),
            ("\u{2029}", "\\u2029"),
        ] {
            text = text.replace(plain, escaped);
        }
    }
    text
}

/// A value by which an item of a list is known, in Go's order: numbers, texts, booleans, anything else.
#[derive(Debug, Clone)]
pub(super) struct Scalar(pub(super) Value);

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (numeric(a), numeric(b));
                a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
            }
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (a, b) => rank(a)
                .cmp(&rank(b))
                .then_with(|| a.to_string().cmp(&b.to_string())),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar {}

/// A number as what integers and fractions are compared by, and what tells great integers apart.
fn numeric(number: &Number) -> (f64, i64) {
    let float = number.as_f64().unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fractions are told apart already"
    )]
    let integer = number.as_i64().unwrap_or(float as i64);
    (float, integer)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_are_written_as_go_writes_them() {
        for (element, written) in [
            (Element::Field("a<b".into()), "f:a<b"),
            (
                Element::Key(vec![
                    ("containerPort".into(), Scalar(json!(80))),
                    ("protocol".into(), Scalar(json!("TCP"))),
                ]),
                r#"k:{"containerPort":80,"protocol":"TCP"}"#,
            ),
            (Element::Value(Scalar(json!("a<b"))), r#"v:"a\u003cb""#),
            (Element::Index(3), "i:3"),
        ] {
            assert_eq!(element.name(), written);
            assert_eq!(Element::parse(written), Ok(Some(element)), "{written}");
        }
    }

    #[test]
    fn elements_of_another_kind_are_passed_over_and_others_refused() {
        assert_eq!(Element::parse("x:1"), Ok(None));
        for name in ["", "f", "ff:a", "v:", "v:1 2", "k:[]", "i:a"] {
            assert_eq!(Element::parse(name), Err(Malformed), "{name:?}");
        }
    }

    #[test]
    fn keys_are_read_in_any_order() {
        assert_eq!(
            Element::parse(r#"k:{"protocol":"TCP","port":80}"#),
            Element::parse(r#"k:{"port":80.0,"protocol":"TCP"}"#)
        );
    }
}
