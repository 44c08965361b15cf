//! What a Pod is given: variables and files.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use http::Uri;

use crate::ConfigError;

/// Where a kubelet mounts the service account of a Pod. Clients of every language have it built in.
pub(crate) const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The name of the API server's Service, which every cluster's DNS has.
const SERVICE_NAME: &str = "https://kubernetes.default.svc";

const DIR_VARIABLE: &str = "INPOD_SERVICE_ACCOUNT_DIR";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
const PORT_HTTPS: &str = "KUBERNETES_SERVICE_PORT_HTTPS";

/// The directory that was asked for, or that the environment names, or the well-known one.
pub(crate) fn directory(
    asked: Option<PathBuf>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> PathBuf {
    asked
        .or_else(|| set(&variable, DIR_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| SERVICE_ACCOUNT_DIR.into())
}

/// The address of the API server.
///
/// The page names `KUBERNETES_SERVICE_PORT_HTTPS`; clients read `KUBERNETES_SERVICE_PORT`, and whoever overrides the address
/// for them (Calico's operator, a kube-proxy bootstrap) sets host and port only: where the two differ, the latter is meant.
/// Without the variables, a token file says that this is a Pod all the same, and the cluster's DNS has the name.
pub(crate) fn server(
    dns: bool,
    directory: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Uri, ConfigError> {
    if dns {
        return parse(SERVICE_NAME);
    }
    let Some(host) = set(&variable, HOST) else {
        if directory.join("token").is_file() {
            return parse(SERVICE_NAME);
        }
        return Err(ConfigError::NotInCluster {
            directory: directory.to_owned(),
        });
    };
    let port = set(&variable, PORT).or_else(|| set(&variable, PORT_HTTPS));
    let Some(port) = port else {
        return Err(ConfigError::Address {
            what: format!("{HOST} is set, but neither {PORT_HTTPS} nor {PORT} is"),
        });
    };
    let (host, port) = (host.to_string_lossy(), port.to_string_lossy());
    let number = port.parse::<u16>().map_err(|_| ConfigError::Address {
        what: format!("{PORT} is {port:?}, which is no port"),
    })?;
    let authority = authority(&host).ok_or_else(|| ConfigError::Address {
        what: format!("{HOST} is {host:?}, which is neither a name nor an address"),
    })?;
    parse(&format!("https://{authority}:{number}"))
}

/// The host as a URL has it: nothing that would begin another part of one, and an IPv6 address in brackets.
fn authority(host: &str) -> Option<String> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{bare}]"));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_name)).then(|| host.to_owned())
}

/// The namespace file's content, where there is one.
pub(crate) fn namespace(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("namespace")).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn parse(text: &str) -> Result<Uri, ConfigError> {
    text.parse().map_err(|_no_uri| ConfigError::Address {
        what: format!("{text} is no address"),
    })
}

fn set(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(
        dns: bool,
        directory: &Path,
        variables: &[(&str, &str)],
    ) -> Result<String, ConfigError> {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        server(dns, directory, get).map(|uri| uri.to_string())
    }

    #[test]
    fn the_port_for_https_is_used_unless_the_clients_port_differs() {
        let nowhere = Path::new("/nonexistent");
        let address = |variables: &[(&str, &str)]| found(false, nowhere, variables).unwrap();
        assert_eq!(
            address(&[(HOST, "10.96.0.1"), (PORT_HTTPS, "443")]),
            "https://10.96.0.1:443/"
        );
        assert_eq!(
            address(&[(HOST, "10.96.0.1"), (PORT, "443"), (PORT_HTTPS, "443")]),
            "https://10.96.0.1:443/"
        );
        assert_eq!(
            address(&[(HOST, "api.example"), (PORT, "6443"), (PORT_HTTPS, "443")]),
            "https://api.example:6443/"
        );
        assert_eq!(
            address(&[(HOST, "10.96.0.1"), (PORT, "6443")]),
            "https://10.96.0.1:6443/"
        );
        assert_eq!(
            address(&[(HOST, "fd00::1"), (PORT_HTTPS, "443")]),
            "https://[fd00::1]:443/"
        );
        assert_eq!(
            address(&[(HOST, "[fd00::1]"), (PORT_HTTPS, "443")]),
            "https://[fd00::1]:443/"
        );
    }

    #[test]
    fn dns_is_used_when_asked_for_or_when_only_a_token_says_that_this_is_a_pod() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [(HOST, "10.96.0.1"), (PORT_HTTPS, "443")];
        assert_eq!(
            found(true, folder.path(), &variables).unwrap(),
            "https://kubernetes.default.svc/"
        );
        assert!(matches!(
            found(false, folder.path(), &[]),
            Err(ConfigError::NotInCluster { .. })
        ));
        std::fs::write(folder.path().join("token"), "t").unwrap();
        assert_eq!(
            found(false, folder.path(), &[]).unwrap(),
            "https://kubernetes.default.svc/"
        );
        assert_eq!(
            found(false, folder.path(), &[(HOST, "")]).unwrap(),
            "https://kubernetes.default.svc/"
        );
    }

    #[test]
    fn half_an_address_and_a_wrong_port_are_errors() {
        let nowhere = Path::new("/nonexistent");
        assert!(matches!(
            found(false, nowhere, &[(HOST, "a")]),
            Err(ConfigError::Address { .. })
        ));
        assert!(found(false, nowhere, &[(HOST, "a"), (PORT, "https")]).is_err());
        for host in ["a b", "a/b", "me@a", "a#", "[a]", "a:1", "fd00::1%eth0"] {
            assert!(
                found(false, nowhere, &[(HOST, host), (PORT, "443")]).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn the_directory_asked_for_wins_over_the_environments() {
        let variable =
            |name: &str| (name == DIR_VARIABLE).then(|| OsString::from("/from/environment"));
        assert_eq!(
            directory(Some("/asked".into()), variable),
            Path::new("/asked")
        );
        assert_eq!(directory(None, variable), Path::new("/from/environment"));
        assert_eq!(
            directory(None, |_: &str| None),
            Path::new(SERVICE_ACCOUNT_DIR)
        );
    }

    proptest! {
        #[test]
        fn an_address_is_https_to_that_host_and_port_or_an_error(host in r"[a-z0-9.:\[\]/@?# %-]{0,12}", port in "[0-9a-z]{0,6}") {
            let nowhere = Path::new("/nonexistent");
            if let Ok(address) = found(false, nowhere, &[(HOST, &host), (PORT, &port)]) {
                let uri: Uri = address.parse().unwrap();
                prop_assert_eq!(uri.scheme_str(), Some("https"));
                let plain = host.trim_matches(['[', ']']);
                prop_assert_eq!(uri.host().map(|host| host.trim_matches(['[', ']'])), Some(plain));
                prop_assert_eq!(uri.port_u16(), port.parse().ok());
                prop_assert_eq!(uri.path(), "/");
            }
        }
    }
}
