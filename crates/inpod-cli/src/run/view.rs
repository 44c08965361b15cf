use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use inpod::Client;
use inpod_sandbox::{Files, Redirect, View};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::account::Account;
use super::environment::environment;
use super::reach::Reach;
use super::service;
use super::services::Services;
use crate::failure::Failure;

/// Where a Pod's containers find their service account; clients have it built in.
pub(super) const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server's Service of a cluster is by default.
pub(super) const SERVICE: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)), 443);

/// The names of the API server's Service that a Pod can resolve.
pub(super) const NAMES: [&str; 4] = [
    "kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc",
    "kubernetes.default",
    "kubernetes",
];

/// How long one of several addresses may take to answer before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a process would see of any cluster, as far as it tells whether that can be shown.
pub(super) fn preview(reach: &Reach, kubeconfig: Option<&Path>) -> View {
    let service = reach.address().unwrap_or(SERVICE);
    let mut view = View::default();
    view.volumes.insert(MOUNT_PATH.into(), Files::new());
    view.hosts = vec![(service.ip(), NAMES.map(str::to_owned).to_vec())];
    view.services = vec![service::api_server_at(service.ip())];
    if reach.address().is_none() {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        view.redirects = vec![Redirect::new(service, nowhere)];
    }
    view.hidden = hidden(kubeconfig);
    view
}

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
        let (ca, services) = tokio::try_join!(
            root_ca(client, &account.namespace),
            Services::at_first(client)
        )?;
        let service = services.api_server()?;
        Ok(Self {
            service,
            server: address(client.config().server(), service).await?,
            files: token.map_or_else(Files::new, |token| files(token, &ca, &account.namespace)),
            ca,
            namespace: account.namespace.clone(),
            services,
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
    pub(super) fn view(&self, reach: &Reach, kubeconfig: Option<&Path>) -> View {
        let met = reach.address();
        let service = self.met(reach);
        // A cluster that did not expect to be met there has a certificate for its names alone.
        let host = match met {
            Some(_) if kubeconfig.is_some() => NAMES[1].to_owned(),
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
        view.hidden = hidden(kubeconfig);
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

/// What is the machine's or its user's, and no process's in a Pod.
fn hidden(kubeconfig: Option<&Path>) -> Vec<PathBuf> {
    let mut hidden = kube_folders();
    // A cache of names that is filled outside.
    hidden.push("/var/run/nscd".into());
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named = std::env::split_paths(&named).chain(kubeconfig.map(Path::to_owned));
    let files = named.filter(|file| file.is_file()); // not a folder that somebody took for one
    hidden.extend(files.filter_map(|file| std::path::absolute(file).ok()));
    hidden
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
}
