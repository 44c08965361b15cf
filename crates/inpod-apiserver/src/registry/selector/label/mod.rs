mod parse;

use std::collections::{BTreeMap, BTreeSet};

/// A label selector: requirements that all have to hold, in the grammar of `apimachinery/pkg/labels`.
///
/// ```text
/// selector    = [ requirement *( "," requirement ) ]
/// requirement = [ "!" ] key / key ( "=" / "==" / "!=" / ">" / "<" ) value / key ( "in" / "notin" ) "(" values ")"
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    DoesNotExist,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// The message of the 400.
    pub(crate) fn parse(selector: &str) -> Result<Self, String> {
        parse::requirements(selector).map(Self)
    }

    /// Whether all requirements hold.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::DoesNotExist => value.is_none(),
                Test::In(values) => value.is_some_and(|v| values.contains(v)),
                Test::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
                Test::GreaterThan(limit) => number().is_some_and(|n| n > *limit),
                Test::LessThan(limit) => number().is_some_and(|n| n < *limit),
            }
        })
    }

    /// Whether there is no requirement.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        LabelSelector::parse(selector)
            .expect(selector)
            .matches(&labels)
    }

    #[test]
    fn every_operator_selects() {
        let labels = [("app", "web"), ("tier", "2"), ("in", "notin")];
        for selector in [
            "",
            "app",
            "!other",
            "app=web",
            "app == web",
            "app!=db",
            "other!=db",
            "app in (web,db)",
            "app notin (db)",
            "other notin ()",
            "tier>1",
            "tier<3",
            "in=notin",
            "in in (notin)",
            "app,tier in (2), !x",
        ] {
            assert!(matches(selector, &labels), "{selector}");
        }
        for selector in [
            "!app",
            "other",
            "app=",
            "app!=web",
            "app in (db,)",
            "app notin (web)",
            "tier>2",
            "app>1",
            "app=web,tier=3",
        ] {
            assert!(!matches(selector, &labels), "{selector}");
        }
    }

    #[test]
    fn empty_values_can_be_selected() {
        for selector in [
            "a=",
            "a in ()",
            "a in (,)",
            "a in (,x)",
            "a in (x,)",
            "a in (x,,y)",
        ] {
            assert!(matches(selector, &[("a", "")]), "{selector}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r"[a-c!=<>(), \t\-inot]*") {
            let _ = LabelSelector::parse(&text);
        }

        #[test]
        fn in_is_the_opposite_of_notin_and_equals_is_in_of_one(
            value in "[a-c]{0,2}", set in proptest::collection::vec("[a-c]{0,2}", 1..4)
        ) {
            let labels = [("k", value.as_str())];
            let list = set.join(",");
            let is_in = matches(&format!("k in ({list})"), &labels);
            prop_assert_eq!(is_in, set.contains(&value));
            prop_assert_eq!(is_in, !matches(&format!("k notin ({list})"), &labels));
            prop_assert_eq!(
                matches(&format!("k={}", set[0]), &labels),
                matches(&format!("k in ({})", set[0]), &labels)
            );
        }
    }
}
