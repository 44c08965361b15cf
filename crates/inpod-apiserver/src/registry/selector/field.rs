use std::fmt;

/// A field selector: comparisons of fields that all have to hold, in the grammar of `apimachinery/pkg/fields`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads `field=value`, `field==value` and `field!=value`, separated by commas; `\` escapes `\`, `,` and `=` in values.
    ///
    /// # Errors
    /// The message of the 400.
    pub(crate) fn parse(selector: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in split(selector) {
            if part.is_empty() {
                continue;
            }
            let (field, equal, value) = comparison(part).ok_or_else(|| {
                format!("invalid selector: '{selector}'; can't understand '{part}'")
            })?;
            let value = unescape(value)?;
            // Neither field nor value selects everything, whatever the operator.
            if !(field.is_empty() && value.is_empty()) {
                terms.push(Term {
                    field: field.to_owned(),
                    value,
                    equal,
                });
            }
        }
        Ok(Self(terms))
    }

    /// The selector of the object of that name.
    pub(crate) fn name(name: &str) -> Self {
        Self(vec![Term {
            field: "metadata.name".to_owned(),
            value: name.to_owned(),
            equal: true,
        }])
    }

    /// Whether all comparisons hold for an object whose fields `value` tells; a field that it does not have is empty.
    pub(crate) fn matches<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0
            .iter()
            .all(|term| (value(&term.field).unwrap_or_default() == term.value) == term.equal)
    }

    /// Whether nothing is compared.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one value that `field` must have.
    pub(crate) fn exact(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|term| term.equal && term.field == field)
            .map(|term| term.value.as_str())
    }

    /// The fields that are compared.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| term.field.as_str())
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The parts between the commas that are not escaped.
fn split(selector: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (i, c) in selector.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&selector[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts
}

/// Field, whether it is to be equal, and the value, at the first operator.
fn comparison(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=').into_iter().chain(term.find("!=")).min()?;
    let (field, rest) = term.split_at(at);
    [("!=", false), ("==", true), ("=", true)]
        .into_iter()
        .find_map(|(operator, equal)| Some((field, equal, rest.strip_prefix(operator)?)))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
            },
            // Go prints the rune as a number.
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                ));
            }
            _ => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(selector: &str, fields: &[(&str, &str)]) -> bool {
        FieldSelector::parse(selector).expect("valid").matches(|f| {
            fields
                .iter()
                .find(|(name, _)| *name == f)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn all_comparisons_have_to_hold() {
        let pod = [("metadata.name", "a"), ("status.phase", "Running")];
        assert!(matches("metadata.name=a,status.phase!=Pending", &pod));
        assert!(matches("metadata.name==a", &pod));
        assert!(!matches("metadata.name=a,status.phase=Pending", &pod));
        assert!(matches("spec.nodeName=", &pod));
        assert!(matches("", &pod));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (selector, message) in [
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("b=1,a", "invalid selector: 'b=1,a'; can't understand 'a'"),
            (
                r"a=\x",
                r"invalid field selector: invalid escape sequence: \x",
            ),
            (
                "a=b=c",
                "invalid field selector: unescaped character in value: 61",
            ),
        ] {
            assert_eq!(FieldSelector::parse(selector), Err(message.to_owned()));
        }
    }

    #[test]
    fn an_exact_value_is_found() {
        let selector = FieldSelector::parse("metadata.name!=b,metadata.name=a").expect("valid");
        assert_eq!(selector.exact("metadata.name"), Some("a"));
        assert_eq!(selector.exact("status.phase"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = FieldSelector::parse(&text);
        }

        #[test]
        fn any_value_survives_escaping(value in r"[\\,=!a-z ]{0,12}", equal: bool) {
            let selector = FieldSelector(vec![Term { field: "f".to_owned(), value, equal }]);
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
