use std::collections::BTreeSet;

use super::{Requirement, Test};
use crate::registry::validation::{label_key, label_value};

/// The requirements of a selector.
///
/// # Errors
/// The message of the 400.
pub(super) fn requirements(selector: &str) -> Result<Vec<Requirement>, String> {
    Parser::new(selector).requirements()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    End,
    Open,
    Close,
    Comma,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    In,
    NotIn,
    Identifier,
}

/// A token and its text.
type Token<'a> = (Kind, &'a str);

struct Parser<'a> {
    rest: &'a str,
    /// The token that comes next.
    next: Token<'a>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut parser = Self {
            rest: text,
            next: (Kind::End, ""),
        };
        parser.operator();
        parser
    }

    /// The token that comes next, and the one after it becomes next. `in` and `notin` are operators.
    fn operator(&mut self) -> Token<'a> {
        let (token, rest) = scan(self.rest);
        self.rest = rest;
        std::mem::replace(&mut self.next, token)
    }

    /// As [`Self::operator`], where `in` and `notin` are keys or values like any other.
    fn word(&mut self) -> Token<'a> {
        as_word(self.operator())
    }

    /// What [`Self::word`] is going to answer.
    fn peek(&self) -> Token<'a> {
        as_word(self.next)
    }

    fn requirements(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                (Kind::Identifier | Kind::Not, _) => {}
                (Kind::End, _) => return Ok(requirements),
                (_, text) => {
                    return Err(format!(
                        "found '{text}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            let requirement = self
                .requirement()
                .map_err(|problem| format!("unable to parse requirement: {problem}"))?;
            requirements.push(requirement);
            match self.word() {
                (Kind::End, _) => return Ok(requirements),
                (Kind::Comma, _) => {
                    let (kind, text) = self.peek();
                    if !matches!(kind, Kind::Identifier | Kind::Not) {
                        return Err(format!("found '{text}', expected: identifier after ','"));
                    }
                }
                (_, text) => {
                    return Err(format!("found '{text}', expected: ',' or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.word();
        let negated = token.0 == Kind::Not;
        if negated {
            token = self.word();
        }
        let (kind, key) = token;
        if kind != Kind::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        // Go's path is nil here, and prints as such.
        if let Some(problem) = problem("<nil>", key, &label_key(key)) {
            return Err(problem);
        }
        let test = if negated {
            Test::DoesNotExist
        } else if matches!(self.peek().0, Kind::End | Kind::Comma) {
            Test::Exists
        } else {
            self.test(key)?
        };
        Ok(Requirement {
            key: key.to_owned(),
            test,
        })
    }

    /// The operator and what is right of it.
    fn test(&mut self, key: &str) -> Result<Test, String> {
        let (operator, text) = self.operator();
        match operator {
            Kind::In => Ok(Test::In(self.values(key)?)),
            Kind::NotIn => Ok(Test::NotIn(self.values(key)?)),
            Kind::Equals => Ok(Test::In(BTreeSet::from([self.value(key)?]))),
            Kind::NotEquals => Ok(Test::NotIn(BTreeSet::from([self.value(key)?]))),
            Kind::Greater => Ok(Test::GreaterThan(self.number(key)?)),
            Kind::Less => Ok(Test::LessThan(self.number(key)?)),
            _ => Err(format!(
                "found '{text}', expected: in, notin, =, ==, !=, gt, lt"
            )),
        }
    }

    /// The value after `=` and its like: possibly none, which is the empty one.
    fn value(&mut self, key: &str) -> Result<String, String> {
        let value = match self.peek().0 {
            Kind::End | Kind::Comma => "",
            _ => match self.word() {
                (Kind::Identifier, value) => value,
                (_, text) => return Err(format!("found '{text}', expected: identifier")),
            },
        };
        check_values(key, [value])?;
        Ok(value.to_owned())
    }

    fn number(&mut self, key: &str) -> Result<i64, String> {
        let value = self.value(key)?;
        value.parse().map_err(|_| {
            format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        })
    }

    /// The values after `in` and `notin`; where nothing is between two of the marks `(`, `,` and `)`, it is the empty value.
    fn values(&mut self, key: &str) -> Result<BTreeSet<String>, String> {
        match self.word() {
            (Kind::Open, _) => {}
            (_, text) => return Err(format!("found '{text}' expected: '('")),
        }
        match self.peek() {
            (Kind::Identifier | Kind::Comma | Kind::Close, _) => {}
            (_, text) => {
                return Err(format!("found '{text}', expected: ',', ')' or identifier"));
            }
        }
        let mut values = BTreeSet::new();
        loop {
            match self.peek() {
                (Kind::Identifier, value) => {
                    self.word();
                    values.insert(value);
                }
                (Kind::Comma | Kind::Close, _) => {
                    values.insert("");
                }
                (_, text) => return Err(format!("found '{text}', expected: ',', or identifier")),
            }
            match self.word() {
                (Kind::Comma, _) => {}
                (Kind::Close, _) => break,
                (_, text) => return Err(format!("found '{text}', expected: ',' or ')'")),
            }
        }
        check_values(key, values.iter().copied())?;
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

/// The longer before the shorter.
const SYMBOLS: [(&str, Kind); 9] = [
    ("==", Kind::Equals),
    ("!=", Kind::NotEquals),
    ("=", Kind::Equals),
    ("!", Kind::Not),
    (">", Kind::Greater),
    ("<", Kind::Less),
    ("(", Kind::Open),
    (")", Kind::Close),
    (",", Kind::Comma),
];

/// The first token of `text`, and what follows it.
fn scan(text: &str) -> (Token<'_>, &str) {
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    for (symbol, kind) in SYMBOLS {
        if let Some(rest) = text.strip_prefix(symbol) {
            return ((kind, symbol), rest);
        }
    }
    let end = text
        .find([' ', '\t', '\r', '\n', '=', '!', '(', ')', ',', '>', '<'])
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let kind = match word {
        "" => Kind::End,
        "in" => Kind::In,
        "notin" => Kind::NotIn,
        _ => Kind::Identifier,
    };
    ((kind, word), rest)
}

fn as_word((kind, text): Token<'_>) -> Token<'_> {
    match kind {
        Kind::In | Kind::NotIn => (Kind::Identifier, text),
        _ => (kind, text),
    }
}

fn check_values<'a>(key: &str, values: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let mut problems: Vec<String> = values
        .into_iter()
        .enumerate()
        .filter_map(|(i, value)| {
            problem(&format!("values[{i}][{key}]"), value, &label_value(value))
        })
        .collect();
    match problems.len() {
        0 => Ok(()),
        1 => Err(problems.remove(0)),
        _ => Err(format!("[{}]", problems.join(", "))),
    }
}

fn problem(path: &str, value: &str, problems: &[String]) -> Option<String> {
    (!problems.is_empty())
        .then(|| format!("{path}: Invalid value: {value:?}: {}", problems.join("; ")))
}

#[cfg(test)]
mod tests {
    use crate::registry::selector::LabelSelector;

    #[test]
    fn errors_read_as_the_real_servers() {
        for (selector, message) in [
            (
                "x y",
                "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("x,", "found '', expected: identifier after ','"),
            (
                "=x",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            ("!x=y", "found '=', expected: ',' or 'end of string'"),
            (
                "x in y",
                "unable to parse requirement: found 'y' expected: '('",
            ),
            (
                "x in (y",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "x in (y,",
                "unable to parse requirement: found '', expected: ',', or identifier",
            ),
            (
                "x=(",
                "unable to parse requirement: found '(', expected: identifier",
            ),
            (
                "x>y",
                "unable to parse requirement: values[0]: Invalid value: \"y\": for 'Gt', 'Lt' operators, the value must be \
                 an integer",
            ),
            (
                "x=-",
                "unable to parse requirement: values[0][x]: Invalid value: \"-\": a valid label must be an empty string or \
                 consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
                 (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
        ] {
            assert_eq!(
                LabelSelector::parse(selector),
                Err(message.to_owned()),
                "{selector}"
            );
        }
        let problem = LabelSelector::parse("-").expect_err("no label key");
        assert!(
            problem.starts_with(
                "unable to parse requirement: <nil>: Invalid value: \"-\": name part must consist of"
            ),
            "{problem}"
        );
    }
}
