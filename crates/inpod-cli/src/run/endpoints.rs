//! What is behind Services, as `discovery.k8s.io/v1` tells it.

use inpod_sandbox::Endpoint;
use serde::Deserialize;

use super::reflector::{Metadata, Reflected};
use super::service::Port;

/// The label that names a slice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An `EndpointSlice`, as far as DNS needs it.
#[derive(Debug, Deserialize)]
pub(super) struct EndpointSlice {
    metadata: Metadata,
    /// Null where there are none.
    endpoints: Option<Vec<Listed>>,
    ports: Option<Vec<Port>>,
}

/// What is ready in a slice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Its Service, in its namespace.
    pub(super) service: String,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
    hostname: Option<String>,
}

#[derive(Debug, Deserialize, Default)]
struct Conditions {
    ready: Option<bool>,
}

impl Reflected for EndpointSlice {
    const COLLECTION: &'static str = "/apis/discovery.k8s.io/v1/endpointslices";
    type Kept = Slice;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn keep(mut self) -> Slice {
        let ports = self.ports.unwrap_or_default().into_iter();
        let ports: Vec<_> = ports.filter_map(Port::keep).collect();
        // "A nil value should be interpreted as true."
        let ready = |listed: &Listed| listed.conditions.ready != Some(false);
        let listed = self.endpoints.unwrap_or_default().into_iter().filter(ready);
        let endpoints = listed.flat_map(|listed| {
            let Listed {
                addresses,
                hostname,
                ..
            } = listed;
            // Those of the type FQDN are none.
            let addresses = addresses
                .into_iter()
                .filter_map(|address| address.parse().ok());
            let endpoint = |address| Endpoint {
                address,
                hostname: hostname.clone().filter(|name| !name.is_empty()),
                ports: ports.clone(),
            };
            addresses.map(endpoint).collect::<Vec<_>>()
        });
        Slice {
            service: self
                .metadata
                .labels
                .remove(SERVICE_NAME)
                .unwrap_or_default(),
            endpoints: endpoints.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_is_kept_and_its_ports_with_a_number() {
        let slice = r#"{
            "metadata": {"namespace": "default", "name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
            "endpoints": [
                {"addresses": ["10.1.0.1", "10.1.0.2"], "hostname": "db-0", "conditions": {"ready": true}},
                {"addresses": ["10.1.0.3"], "conditions": {"ready": false}},
                {"addresses": ["fd00::4", "db.example"]}
            ],
            "ports": [{"name": "pg", "port": 5432, "protocol": "TCP"}, {"name": "", "port": 80}, {"name": "all"}]
        }"#;
        let slice = serde_json::from_str::<EndpointSlice>(slice).unwrap().keep();
        assert_eq!(slice.service, "db");
        let shown = slice.endpoints.iter().map(|endpoint| {
            let hostname = endpoint.hostname.as_deref().unwrap_or("-");
            format!("{} {hostname}", endpoint.address)
        });
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown, ["10.1.0.1 db-0", "10.1.0.2 db-0", "fd00::4 -"]);
        let ports = slice.endpoints[0].ports.iter();
        let ports: Vec<_> = ports
            .map(|port| (port.name.as_deref(), port.port))
            .collect();
        assert_eq!(ports, [(Some("pg"), 5432), (None, 80)]);
    }

    #[test]
    fn a_slice_may_have_nothing() {
        let slice = r#"{"metadata": {"namespace": "default", "name": "a"}, "endpoints": null}"#;
        let slice = serde_json::from_str::<EndpointSlice>(slice).unwrap().keep();
        assert!(slice.endpoints.is_empty() && slice.service.is_empty());
    }
}
