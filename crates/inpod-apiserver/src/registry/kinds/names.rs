//! What names may look like, after `apimachinery/pkg/util/validation`: each check says what is wrong, or nothing.

use crate::schema::Resource;

/// What is wrong with the name of an object of `resource`.
pub(crate) fn name_problems(resource: &Resource, name: &str) -> Vec<String> {
    match resource.storage {
        // KEP-5311: Services have had their stricter DNS-1035 labels until 1.36.
        ("", "namespaces" | "services") => dns1123_label(name),
        ("rbac.authorization.k8s.io", _) => path_segment(name),
        _ => dns1123_subdomain(name),
    }
}

/// A DNS label as of RFC 1123: the names of namespaces, containers and volumes.
pub(crate) fn dns1123_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 63, "characters");
    if !is_label(value) {
        problems.push(if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                        start and end with an alphanumeric character";
            regex_error(rule, "[a-z0-9]([-a-z0-9]*[a-z0-9])?", &["my-name", "123-abc"])
        });
    }
    problems
}

/// A DNS subdomain as of RFC 1123: the names of most objects.
pub(crate) fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, "characters");
    if !is_subdomain(value) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                    must start and end with an alphanumeric character";
        let regex = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
        problems.push(regex_error(rule, regex, &["example.com"]));
    }
    problems
}

/// What can stand between two slashes of a path: the names of RBAC objects.
pub(crate) fn path_segment(value: &str) -> Vec<String> {
    match value {
        "." | ".." => return vec![format!("may not be '{value}'")],
        _ => {}
    }
    ["/", "%"]
        .into_iter()
        .filter(|part| value.contains(part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// A key of a `ConfigMap` or Secret, which becomes a file name.
pub(crate) fn config_key(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 253, "characters");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.is_empty() || !value.chars().all(plain) {
        let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        problems.push(regex_error(
            rule,
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." | ".." => problems.push(format!("must not be '{value}'")),
        _ if value.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// The name of an environment variable.
pub(crate) fn env_name(value: &str) -> Vec<String> {
    if value.chars().all(|c| matches!(c, ' '..='~') && c != '=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned(),
    ]
}

/// The number of a port.
pub(crate) fn port_number(value: i64) -> Vec<String> {
    if (1..=65535).contains(&value) {
        return Vec::new();
    }
    vec!["must be between 1 and 65535, inclusive".to_owned()]
}

/// The name of a container's port, after RFC 6335.
pub(crate) fn port_name(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, 15, "characters");
    if value.is_empty() || !value.bytes().all(is_label_byte) {
        problems.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

fn is_label_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

fn is_label(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(is_label_byte)
        && !value.starts_with('-')
        && !value.ends_with('-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

pub(crate) fn longer_than(value: &str, limit: usize, unit: &str) -> Vec<String> {
    if value.len() <= limit {
        return Vec::new();
    }
    vec![format!("must be no more than {limit} {unit}")]
}

pub(crate) fn regex_error(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!(
        "{rule} (e.g. {}regex used for validation is '{regex}')",
        examples.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_is_told_what_is_wrong_with_it() {
        assert!(dns1123_label("my-name").is_empty());
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(
            dns1123_label(&"a".repeat(64)),
            ["must be no more than 63 characters"]
        );
        assert_eq!(
            dns1123_label("A"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
              end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
    }

    #[test]
    fn subdomains_need_no_empty_label() {
        assert!(dns1123_subdomain("kube-root-ca.crt").is_empty());
        for wrong in ["", ".", "a..b", "-a", "a-.b", "a_b"] {
            assert_eq!(dns1123_subdomain(wrong).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn rbac_names_may_have_colons_but_no_slashes() {
        assert!(path_segment("system:basic-user").is_empty());
        assert_eq!(
            path_segment("a/b%"),
            ["may not contain '/'", "may not contain '%'"]
        );
        assert_eq!(path_segment(".."), ["may not be '..'"]);
    }

    #[test]
    fn keys_do_not_climb_out_of_their_directory() {
        assert!(config_key(".dockerconfigjson").is_empty());
        assert_eq!(config_key("..data"), ["must not start with '..'"]);
        assert_eq!(config_key("a/b").len(), 1);
    }

    proptest! {
        #[test]
        fn every_label_is_a_subdomain_and_every_subdomain_is_made_of_labels(value in "[a-zA-Z0-9.-]{0,12}") {
            let labels = value.split('.').all(|part| dns1123_label(part).is_empty());
            prop_assert_eq!(dns1123_subdomain(&value).is_empty(), labels);
        }
    }

    #[test]
    fn port_names_need_a_letter() {
        assert!(port_name("https-1").is_empty());
        assert_eq!(port_name("80"), ["must contain at least one letter (a-z)"]);
    }
}
