//! The user names and groups of service accounts.

const USER_PREFIX: &str = "system:serviceaccount:";
const ALL: &str = "system:serviceaccounts";

/// The user name of a service account.
pub(crate) fn username(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// The groups every service account of the namespace is in.
pub(crate) fn groups(namespace: &str) -> [String; 2] {
    [ALL.to_owned(), format!("{ALL}:{namespace}")]
}

/// Whether `user` is the service account's user name; as [`username`], without allocating.
pub(crate) fn is_username(user: &str, namespace: &str, name: &str) -> bool {
    user.strip_prefix(USER_PREFIX)
        .and_then(|rest| rest.strip_prefix(namespace))
        .and_then(|rest| rest.strip_prefix(':'))
        == Some(name)
}

/// Namespace and name of the service account whose user name this is.
pub(crate) fn split_username(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(USER_PREFIX)?.split_once(':')?;
    (is_dns_label(namespace) && is_dns_subdomain(name)).then_some((namespace, name))
}

/// RFC 1123 labels joined by dots, at most 253 bytes: what most objects may be named.
pub(super) fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_taken_apart_as_it_was_put_together() {
        let user = username("team-a", "app.v2");
        assert_eq!(split_username(&user), Some(("team-a", "app.v2")));
        assert!(is_username(&user, "team-a", "app.v2"));
        assert!(!is_username(&user, "team", "-a:app.v2"));
        assert!(!is_username(&user, "team-a", "app"));
    }

    #[test]
    fn what_no_account_can_be_called_is_an_ordinary_user() {
        for user in [
            "alice",
            "system:serviceaccount:default",
            "system:serviceaccount::default",
            "system:serviceaccount:default:",
            "system:serviceaccount:default:a:b",
            "system:serviceaccount:a.b:default",
            "system:serviceaccount:default:-x",
            "system:serviceaccount:default:UPPER",
        ] {
            assert_eq!(split_username(user), None, "{user}");
        }
    }
}
