//! One Service, from the API to what DNS makes of it.

use std::net::{IpAddr, SocketAddr};

use inpod::Client;
use inpod_sandbox::ServicePort;
use serde::Deserialize;

use super::reflector::{Metadata, Reflected};
use crate::failure::Failure;

/// The API server's own, in every cluster.
pub(super) const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// The API server's Service, which every Pod knows.
pub(super) async fn api_server(client: &Client) -> Result<Service, Failure> {
    let (namespace, name) = API_SERVER;
    let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
    Ok(client.get(&path).await?)
}

/// The same as DNS knows it, at an address, without asking anybody.
pub(super) fn api_server_at(address: IpAddr) -> inpod_sandbox::Service {
    let (namespace, name) = API_SERVER;
    inpod_sandbox::Service {
        namespace: namespace.into(),
        name: name.into(),
        addresses: vec![address],
        ..inpod_sandbox::Service::default()
    }
}

/// A Service, as the API server tells it.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    /// `None` for a headless one, nothing for an `ExternalName`.
    #[serde(rename = "clusterIP", default)]
    cluster_ip: String,
    #[serde(rename = "clusterIPs", default)]
    cluster_ips: Vec<String>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    external_name: String,
}

/// A port of a Service or of an endpoint.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Port {
    name: Option<String>,
    protocol: Option<String>,
    /// All, where it is missing.
    #[serde(rename = "port")]
    number: Option<u16>,
}

impl Port {
    /// As DNS knows it.
    pub(super) fn keep(self) -> Option<ServicePort> {
        Some(ServicePort {
            name: self.name.filter(|name| !name.is_empty()),
            protocol: self.protocol.unwrap_or_else(|| "TCP".into()).to_lowercase(),
            port: self.number?,
        })
    }
}

/// Its first address and port.
pub(super) fn address(service: &inpod_sandbox::Service) -> Result<SocketAddr, Failure> {
    let failed = |what: &str| {
        let inpod_sandbox::Service {
            namespace, name, ..
        } = service;
        Failure::new(format!("the Service {name} of {namespace} has no {what}"))
    };
    let ip = service.addresses.first().ok_or_else(|| failed("address"))?;
    let port = service.ports.first().ok_or_else(|| failed("port"))?;
    Ok(SocketAddr::new(*ip, port.port))
}

impl Reflected for Service {
    const COLLECTION: &'static str = "/api/v1/services";
    /// As DNS knows it.
    type Kept = inpod_sandbox::Service;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn keep(self) -> inpod_sandbox::Service {
        let Self { metadata, spec } = self;
        let addresses = if spec.cluster_ips.is_empty() {
            vec![spec.cluster_ip]
        } else {
            spec.cluster_ips
        };
        let addresses = addresses.iter().filter_map(|ip| ip.parse().ok());
        // An address there is taken for none, as by CoreDNS.
        let is_name = spec.kind == "ExternalName" && spec.external_name.parse::<IpAddr>().is_err();
        inpod_sandbox::Service {
            namespace: metadata.namespace,
            name: metadata.name,
            addresses: addresses.collect(),
            ports: spec.ports.into_iter().filter_map(Port::keep).collect(),
            endpoints: Vec::new(),
            external_name: is_name.then_some(spec.external_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: &str) -> Service {
        let metadata = r#"{"namespace": "default", "name": "a"}"#;
        serde_json::from_str(&format!(r#"{{"metadata": {metadata}, "spec": {spec}}}"#)).unwrap()
    }

    #[test]
    fn a_service_is_known_as_dns_knows_it() {
        let addresses = |spec: &str| service(spec).keep().addresses;
        assert!(addresses(r#"{"clusterIP": "None"}"#).is_empty());
        assert!(addresses(r#"{"type": "ExternalName", "externalName": "x.example"}"#).is_empty());
        let external = |name: &str| {
            let spec = format!(r#"{{"type": "ExternalName", "externalName": "{name}"}}"#);
            service(&spec).keep().external_name
        };
        assert_eq!(external("x.example").as_deref(), Some("x.example"));
        assert_eq!(external("10.9.9.9"), None);
        let both = r#"{"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"]}"#;
        assert_eq!(addresses(both).len(), 2);
        let ports = service(r#"{"ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}"#);
        let ports = ports.keep().ports;
        let protocols: Vec<_> = ports.iter().map(|port| port.protocol.as_str()).collect();
        assert_eq!(protocols, ["tcp", "udp"]);
    }
}
