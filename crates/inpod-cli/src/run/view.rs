use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use inpod::Client;
use inpod_sandbox::{Files, Redirect, View};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::account::Account;
use super::reach::Reach;
use super::service;
use super::services::Services;
use crate::failure::Failure;

/// Where a Pod's containers find their service account; clients have it built in.
pub(super) const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server's Service of a cluster is by default.
pub(super) const SERVICE: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)), 443);

/// A redirect that nothing comes of.
pub(super) fn nowhere(from: SocketAddr) -> Redirect {
    Redirect::new(from, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// The names of the API server's Service that a Pod can resolve.
const NAMES: [&str; 4] = [
    "kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc",
    "kubernetes.default",
    "kubernetes",
];

/// How long one of several addresses may take to answer before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the cluster says of what its processes see.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The address of the API server's Service.
    service: SocketAddr,
    /// The address at which this machine reaches the API server.
    pub(super) server: SocketAddr,
    files: Files,
    pub(super) ca: String,
    namespace: String,
    pub(super) services: Services,
}

impl Cluster {
    /// Asks for what a process of that account sees; without a token there are no files to see.
    pub(super) async fn ask(
        client: &Client,
        account: &Account,
        token: Option<&str>,
    ) -> Result<Self, Failure> {
        let service = service::api_server(client).await?.address()?;
        let ca = root_ca(client, &account.namespace).await?;
        Ok(Self {
            service,
            server: address(client.config().server(), service).await?,
            files: token.map_or_else(Files::new, |token| files(token, &ca, &account.namespace)),
            ca,
            namespace: account.namespace.clone(),
            services: Services::at_first(client).await?,
        })
    }

    /// The token as it was at first.
    pub(super) fn token(&self) -> String {
        let token = self.files.get("token").map(Vec::as_slice);
        String::from_utf8_lossy(token.unwrap_or_default()).into_owned()
    }

    /// Where a process meets the API server.
    pub(super) fn met(&self, reach: &Reach) -> SocketAddr {
        reach.address().unwrap_or(self.service)
    }

    /// What the process sees that meets the API server there.
    pub(super) fn view(&self, reach: &Reach, embedded: bool) -> View {
        let met = reach.address();
        let service = self.met(reach);
        // A cluster that did not expect to be met there has a certificate for its names alone.
        let host = match met {
            Some(_) if !embedded => NAMES[1].to_owned(),
            _ => service.ip().to_string(),
        };
        let mut view = View::default();
        view.volumes.insert(MOUNT_PATH.into(), self.files.clone());
        view.environment = environment(
            service,
            &host,
            |name| std::env::var_os(name),
            std::env::vars_os().map(|(name, _)| name),
        );
        view.hosts = vec![(service.ip(), NAMES.map(str::to_owned).to_vec())];
        if met.is_none() {
            view.redirects = vec![Redirect::new(service, self.server)];
        }
        view.services = self.services.seen(service.ip());
        view.namespace.clone_from(&self.namespace);
        view.hidden = kube_folders();
        // A cache of names that is filled outside.
        view.hidden.push("/var/run/nscd".into());
        view
    }
}

/// The three files of the volume.
pub(super) fn files(token: &str, ca: &str, namespace: &str) -> Files {
    Files::from([
        ("token".to_owned(), token.as_bytes().to_vec()),
        ("ca.crt".to_owned(), ca.as_bytes().to_vec()),
        ("namespace".to_owned(), namespace.as_bytes().to_vec()),
    ])
}

/// The CA bundle that the cluster publishes in every namespace.
pub(super) async fn root_ca(client: &Client, namespace: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct ConfigMap {
        data: BTreeMap<String, String>,
    }
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt");
    // The controller that publishes it may be a moment behind the namespace.
    for _ in 0..50 {
        match client.get::<ConfigMap>(&path).await {
            Ok(mut map) => {
                return map.data.remove("ca.crt").ok_or_else(|| {
                    Failure::new(format!(
                        "the ConfigMap kube-root-ca.crt of {namespace} has no ca.crt"
                    ))
                });
            }
            Err(inpod::Error::Api(status)) if status.code == 404 => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!(
        "the namespace {namespace} has no ConfigMap kube-root-ca.crt; is the cluster's root-ca publisher running?"
    )))
}

/// The address of `server` that connections to `service` are led to: of the same family where there is one, because a socket that
/// was made for IPv4 reaches no other, and where there are several, one that answers.
async fn address(server: &http::Uri, service: SocketAddr) -> Result<SocketAddr, Failure> {
    if server.scheme_str() != Some("https") || !matches!(server.path(), "" | "/") {
        return Err(Failure::new(format!(
            "the kubeconfig's server {server} is no https://HOST[:PORT]: a Pod's clients speak TLS to the API server itself"
        )));
    }
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = server.port_u16().unwrap_or(443);
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| Failure::from(error).while_(format!("the API server's address {server}")))?
        .collect();
    addresses.sort_by_key(|address| address.is_ipv4() != service.is_ipv4());
    if let [_, _, ..] = *addresses {
        for address in &addresses {
            let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
            if matches!(connected, Ok(Ok(_))) {
                return Ok(*address);
            }
        }
    }
    addresses
        .first()
        .copied()
        .ok_or_else(|| Failure::new(format!("the API server's name {host} has no address")))
}

/// The variables a kubelet sets, and those that would lead a client elsewhere removed.
fn environment(
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

/// `.kube` under $HOME and under the home of the user database: both are read by one client or another.
fn kube_folders() -> Vec<PathBuf> {
    let passwd = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map(|user| user.dir);
    let mut folders: Vec<PathBuf> = std::env::home_dir()
        .into_iter()
        .chain(passwd)
        .map(|home| home.join(".kube"))
        .filter(|folder| folder.is_absolute())
        .collect();
    folders.dedup();
    folders
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

    #[tokio::test]
    async fn connections_are_led_to_an_address_that_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        // On most machines localhost is ::1 too, where nobody listens.
        let server = format!("https://localhost:{}", there.port())
            .parse()
            .unwrap();
        for service in ["10.96.0.1:443", "[fd00::1]:443"] {
            let led = super::address(&server, service.parse().unwrap()).await;
            assert_eq!(led.unwrap(), there, "{service}");
        }
    }

    #[tokio::test]
    async fn a_server_that_no_pod_could_reach_is_refused() {
        for server in [
            "http://127.0.0.1:8001",
            "https://127.0.0.1:1/k8s/clusters/c-1",
        ] {
            let led =
                super::address(&server.parse().unwrap(), "10.96.0.1:443".parse().unwrap()).await;
            assert!(format!("{:?}", led.unwrap_err()).contains(server));
        }
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
