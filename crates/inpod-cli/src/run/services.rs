//! The cluster's Services, whose names a Pod can resolve: as they are at its start, and as they come and go.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use inpod::{Client, WatchEvent};
use serde::Deserialize;

use crate::failure::Failure;

/// How long the server keeps a watch; then, and where it is cut off, the Services are listed again.
const WATCH: Duration = Duration::from_secs(300);
/// By how much an end may be late before the watch is taken for dead, as after a suspended machine's sleep.
const LATE: Duration = Duration::from_secs(30);
/// Between the end of a watch and the next list.
const PAUSE: Duration = Duration::from_secs(1);

/// The API server's own, in every cluster.
pub(super) const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// Services by namespace and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    known: BTreeMap<(String, String), inpod_sandbox::Service>,
    /// The list's resourceVersion; `None` for one who may not list them, and knows the API server's.
    version: Option<String>,
}

impl Services {
    pub(super) async fn list(client: &Client) -> Result<Self, Failure> {
        let (items, version) = match client.get::<List>("/api/v1/services").await {
            Ok(list) => (list.items, Some(list.metadata.resource_version)),
            Err(inpod::Error::Api(status)) if status.code == 403 => {
                (vec![api_server(client).await?], None)
            }
            Err(error) => return Err(error.into()),
        };
        let mut services = Self {
            known: BTreeMap::new(),
            version,
        };
        for service in items {
            services.insert(service);
        }
        Ok(services)
    }

    /// As a process sees them that meets the API server at this address.
    pub(super) fn seen(&self, api_server: IpAddr) -> Vec<inpod_sandbox::Service> {
        let mut services: Vec<_> = self.known.values().cloned().collect();
        for service in &mut services {
            if (service.namespace.as_str(), service.name.as_str()) == API_SERVER {
                service.addresses = vec![api_server];
            }
        }
        services
    }

    /// Shows every change, for as long as somebody looks.
    pub(super) async fn follow(mut self, client: Client, show: impl Fn(&Self)) {
        while self.version.is_some() {
            let ended = match tokio::time::timeout(WATCH + LATE, self.watch(&client, &show)).await {
                Ok(ended) => ended,
                Err(_elapsed) => Err(Failure::new("the API server did not answer")),
            };
            if let Err(failure) = ended {
                tracing::debug!("the Services are listed again: {failure}");
            }
            tokio::time::sleep(PAUSE).await;
            match Self::list(&client).await {
                Ok(services) => {
                    self = services;
                    show(&self);
                }
                Err(failure) => tracing::debug!("the Services were not listed: {failure}"),
            }
        }
    }

    async fn watch(&mut self, client: &Client, show: impl Fn(&Self)) -> Result<(), Failure> {
        let version = self.version.as_deref().unwrap_or_default();
        let seconds = WATCH.as_secs();
        let path = format!("/api/v1/services?resourceVersion={version}&timeoutSeconds={seconds}");
        let mut events = client.watch::<Service>(&path).await?;
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(service) | WatchEvent::Modified(service) => self.insert(service),
                WatchEvent::Deleted(service) => {
                    self.known.remove(&service.key());
                }
                _ => continue,
            }
            show(self);
        }
        Ok(())
    }

    fn insert(&mut self, service: Service) {
        self.known.insert(service.key(), service.named());
    }
}

/// The API server's Service, which every Pod knows.
pub(super) async fn api_server(client: &Client) -> Result<Service, Failure> {
    let (namespace, name) = API_SERVER;
    let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
    Ok(client.get(&path).await?)
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    items: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

#[derive(Deserialize)]
pub(super) struct Service {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    /// `None` for a headless one, nothing for an `ExternalName`.
    #[serde(rename = "clusterIP", default)]
    cluster_ip: String,
    #[serde(rename = "clusterIPs", default)]
    cluster_ips: Vec<String>,
    #[serde(default)]
    ports: Vec<ServicePort>,
}

#[derive(Deserialize)]
struct ServicePort {
    name: Option<String>,
    protocol: Option<String>,
    port: u16,
}

impl Service {
    /// Its first address and port.
    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        let failed = |what: &str| {
            let Metadata { namespace, name } = &self.metadata;
            Failure::new(format!("the Service {name} of {namespace} has {what}"))
        };
        let port = self.spec.ports.first().ok_or_else(|| failed("no port"))?;
        let address = &self.spec.cluster_ip;
        let ip = address
            .parse()
            .map_err(|_| failed(&format!("the address {address:?}, which is none")))?;
        Ok(SocketAddr::new(ip, port.port))
    }

    fn key(&self) -> (String, String) {
        (self.metadata.namespace.clone(), self.metadata.name.clone())
    }

    /// As DNS knows it.
    fn named(self) -> inpod_sandbox::Service {
        let Self { metadata, spec } = self;
        let addresses = if spec.cluster_ips.is_empty() {
            vec![spec.cluster_ip]
        } else {
            spec.cluster_ips
        };
        let port = |port: ServicePort| inpod_sandbox::ServicePort {
            name: port.name,
            protocol: port.protocol.unwrap_or_else(|| "TCP".into()).to_lowercase(),
            port: port.port,
        };
        inpod_sandbox::Service {
            namespace: metadata.namespace,
            name: metadata.name,
            addresses: addresses.iter().filter_map(|ip| ip.parse().ok()).collect(),
            ports: spec.ports.into_iter().map(port).collect(),
        }
    }
}
