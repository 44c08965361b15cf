//! The variables of a Pod's process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::view::NAMES;

/// The variables a kubelet sets, and those that would lead a client elsewhere removed.
pub(super) fn environment(
    service: SocketAddr,
    host: &str,
    get: impl Fn(&str) -> Option<OsString>,
    names: impl Iterator<Item = OsString>,
) -> BTreeMap<OsString, Option<OsString>> {
    let mut environment: BTreeMap<OsString, Option<OsString>> = names
        .filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("KUBERNETES_")
                || ["KUBECONFIG", "POD_NAMESPACE", "INPOD_SERVICE_ACCOUNT_DIR"].contains(&&*name)
        })
        .map(|name| (name, None))
        .collect();
    let mut set = |name: String, value: String| {
        environment.insert(name.into(), Some(value.into()));
    };
    let (ip, port) = (service.ip().to_string(), service.port());
    // Links write an IPv6 address in brackets, as kubelet's net.JoinHostPort does.
    let link = format!("tcp://{service}");
    set("KUBERNETES_SERVICE_HOST".into(), host.to_owned());
    set("KUBERNETES_SERVICE_PORT".into(), port.to_string());
    set("KUBERNETES_SERVICE_PORT_HTTPS".into(), port.to_string());
    set("KUBERNETES_PORT".into(), link.clone());
    set(format!("KUBERNETES_PORT_{port}_TCP"), link);
    set(format!("KUBERNETES_PORT_{port}_TCP_PROTO"), "tcp".into());
    set(format!("KUBERNETES_PORT_{port}_TCP_PORT"), port.to_string());
    set(format!("KUBERNETES_PORT_{port}_TCP_ADDR"), ip.clone());

    let direct = std::iter::once(ip.as_str())
        .chain(NAMES)
        .collect::<Vec<_>>()
        .join(",");
    for name in ["NO_PROXY", "no_proxy"] {
        let mut value =
            get(name)
                .filter(|value| !value.is_empty())
                .map_or_else(OsString::new, |mut value| {
                    value.push(",");
                    value
                });
        value.push(&direct);
        environment.insert(name.into(), Some(value));
    }
    if let Some(path) = path_with_us(get("PATH"), std::env::current_exe().ok().as_deref()) {
        environment.insert("PATH".into(), Some(path));
    }
    environment
}

/// Where programs are looked for without a PATH, by shells and by the C library, and where most are.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// PATH with the folder of this binary at its end, so that CMD can call `inpod` and nothing else changes places.
fn path_with_us(path: Option<OsString>, us: Option<&Path>) -> Option<OsString> {
    let folder = us?.parent()?;
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if folders.iter().any(|entry| entry == folder) {
        return None;
    }
    folders.push(folder.to_owned());
    std::env::join_paths(folders).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(service: &str, outside: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        let get = |name: &str| {
            outside
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        let names = outside.iter().map(|(key, _)| OsString::from(key));
        let service: SocketAddr = service.parse().unwrap();
        environment(service, &service.ip().to_string(), get, names)
            .into_iter()
            .map(|(name, value)| {
                (
                    name.into_string().unwrap(),
                    value.map(|value| value.into_string().unwrap()),
                )
            })
            .collect()
    }

    #[test]
    fn the_eight_variables_of_a_kubelet_are_set() {
        let mut environment = of("10.96.0.1:443", &[]);
        environment.retain(|name, _| name.starts_with("KUBERNETES_"));
        let lines: Vec<String> = environment
            .into_iter()
            .map(|(name, value)| format!("{name}={}", value.unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                "KUBERNETES_PORT=tcp://10.96.0.1:443",
                "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
                "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
                "KUBERNETES_PORT_443_TCP_PORT=443",
                "KUBERNETES_PORT_443_TCP_PROTO=tcp",
                "KUBERNETES_SERVICE_HOST=10.96.0.1",
                "KUBERNETES_SERVICE_PORT=443",
                "KUBERNETES_SERVICE_PORT_HTTPS=443",
            ]
        );
        assert_eq!(
            of("[fd00::1]:443", &[])["KUBERNETES_PORT"].as_deref(),
            Some("tcp://[fd00::1]:443")
        );
    }

    #[test]
    fn what_leads_a_client_elsewhere_is_removed() {
        let environment = of(
            "10.96.0.1:443",
            &[
                ("KUBECONFIG", "/home/me/prod"),
                ("POD_NAMESPACE", "x"),
                ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                ("KUBERNETES_MASTER", "http://x"),
                ("INPOD_SERVICE_ACCOUNT_DIR", "/x"),
                ("HOME", "/home/me"),
            ],
        );
        for name in [
            "KUBECONFIG",
            "POD_NAMESPACE",
            "KUBERNETES_MASTER",
            "INPOD_SERVICE_ACCOUNT_DIR",
        ] {
            assert_eq!(environment[name], None, "{name}");
        }
        assert_eq!(
            environment["KUBERNETES_SERVICE_HOST"].as_deref(),
            Some("10.96.0.1")
        );
        assert!(!environment.contains_key("HOME"));
    }

    #[test]
    fn the_cluster_is_reached_without_a_proxy() {
        let environment = of(
            "10.96.0.1:443",
            &[("NO_PROXY", "corp.example"), ("no_proxy", "")],
        );
        let direct = "10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes";
        assert_eq!(
            environment["NO_PROXY"],
            Some(format!("corp.example,{direct}"))
        );
        assert_eq!(environment["no_proxy"].as_deref(), Some(direct));
    }

    #[test]
    fn our_folder_comes_last_on_the_path_and_once() {
        let us = Some(Path::new("/opt/inpod/inpod"));
        assert_eq!(
            path_with_us(Some("/usr/bin:/bin".into()), us),
            Some("/usr/bin:/bin:/opt/inpod".into())
        );
        assert_eq!(path_with_us(Some("/opt/inpod:/bin".into()), us), None);
        assert_eq!(
            path_with_us(Some(":/bin".into()), us),
            Some(":/bin:/opt/inpod".into())
        );
        assert_eq!(
            path_with_us(None, us),
            Some("/usr/local/bin:/usr/bin:/bin:/opt/inpod".into())
        );
    }
}
