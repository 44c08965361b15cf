//! What a query says about a collection: read as the API server reads it, or a policy would decide on something else.

use percent_encoding::percent_decode_str;

use super::path::has_stray_percent;

/// The first value of a parameter. As Go does, a pair with a semicolon or a broken escape is passed over.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .filter(|pair| !pair.contains(';') && !has_stray_percent(pair))
        .find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key) == name).then(|| decoded(value))
        })
}

/// apimachinery's reading of a boolean parameter: all but `false` and `0`, the empty value included, is true.
pub(super) fn is_true(value: &str) -> bool {
    !value.eq_ignore_ascii_case("false") && value != "0"
}

/// The name that a field selector requires exactly, where it is one that a path could have. A selector that cannot be read
/// names nothing.
pub(super) fn selected_name(selector: &str) -> Option<String> {
    let mut terms = split_terms(selector);
    // apimachinery sorts them, and of two names the first counts.
    terms.sort_unstable();
    let terms: Vec<Term<'_>> = terms
        .into_iter()
        .filter(|term| !term.is_empty())
        .map(read_term)
        .collect::<Option<_>>()?;
    let name = &terms
        .iter()
        .find(|term| term.is_equal && term.field == "metadata.name")?
        .value;
    let is_segment = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '%']);
    is_segment.then(|| name.clone())
}

struct Term<'a> {
    field: &'a str,
    is_equal: bool,
    value: String,
}

/// Splits at commas that no backslash stands before.
fn split_terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in selector.char_indices() {
        if c == ',' && !escaped {
            terms.push(&selector[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&selector[start..]);
    terms
}

/// `field!=value`, `field==value` or `field=value`, at the first operator; nothing where there is none or the value has a
/// backslash or an operator that is not escaped.
fn read_term(term: &str) -> Option<Term<'_>> {
    let at = term
        .char_indices()
        .find(|(at, c)| *c == '=' || term[*at..].starts_with("!="))?
        .0;
    let (field, rest) = term.split_at(at);
    let (is_equal, value) = match rest.strip_prefix("!=") {
        Some(value) => (false, value),
        None => (true, rest.strip_prefix("==").or(rest.strip_prefix('='))?),
    };
    Some(Term {
        field,
        is_equal,
        value: unescape(value)?,
    })
}

fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            ',' | '=' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_that_go_passes_over_is_none() {
        let watch = |query| parameter(query, "watch");
        assert_eq!(watch("a=b&watch=1&watch=0").as_deref(), Some("1"));
        assert_eq!(watch("w%61tch").as_deref(), Some(""));
        assert_eq!(watch("watch=%zz"), None);
        assert_eq!(watch("watch=1;a=b"), None);
        assert_eq!(watch("watch=%zz&watch=x+y").as_deref(), Some("x y"));
    }

    #[test]
    fn a_name_counts_only_where_the_selector_requires_exactly_it() {
        let name = |selector| selected_name(selector);
        assert_eq!(name("metadata.name=a").as_deref(), Some("a"));
        assert_eq!(name("b=c,,metadata.name==a").as_deref(), Some("a"));
        assert_eq!(name(r"metadata.name=a\,b").as_deref(), Some("a,b"));
        assert_eq!(
            name("metadata.name=b,metadata.name=a").as_deref(),
            Some("a")
        );
        for selector in [
            "metadata.name!=a",
            r"x=y\,metadata.name=a",
            "x!=metadata.name=a",
            "metadata.name=a=b",
            "metadata.name=a,nonsense",
            r"metadata.name=a\b",
            "metadata.name=a%2Fb",
            "metadata.name=a/b",
            "metadata.name=..",
            "metadata.name=",
            "",
        ] {
            assert_eq!(name(selector), None, "{selector}");
        }
    }

    proptest! {
        #[test]
        fn any_name_that_is_escaped_is_found_among_other_terms(value in r"[a-z,=\\]{1,8}", other in "[a-z]{1,4}") {
            let escaped = value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=");
            let selector = format!("z={other},metadata.name={escaped}");
            prop_assert_eq!(selected_name(&selector), Some(value));
        }

        #[test]
        fn no_selector_makes_it_panic(selector in r"(metadata\.name|[a-z=!,\\é])*") {
            let _ = selected_name(&selector);
        }
    }
}
