//! The cluster's Services, whose names a Pod can resolve: as they are at its start, and as they come and go.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use inpod::Client;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::endpoints::EndpointSlice;
use super::reflector::Reflector;
use super::service::{self, API_SERVER, Service};
use crate::failure::Failure;

/// Changes are shown no more often: many of a cluster's come together.
const GAP: Duration = Duration::from_millis(100);

/// Services, and what is behind them.
#[derive(Debug)]
pub(super) struct Services {
    services: Reflector<Service>,
    slices: Reflector<EndpointSlice>,
}

impl Services {
    /// Who may not list Services knows the API server's; who may not list `EndpointSlices` knows no endpoints.
    pub(super) async fn at_first(client: &Client) -> Result<Self, Failure> {
        let (services, slices) = tokio::join!(Reflector::list(client), Reflector::list(client));
        let services = match services {
            Err(inpod::Error::Api(status)) if status.code == 403 => {
                Reflector::of([service::api_server(client).await?])
            }
            listed => listed?,
        };
        let slices = match slices {
            // Not found: before Kubernetes 1.21. The run goes on without them.
            Err(inpod::Error::Api(status)) => {
                if !matches!(status.code, 403 | 404) {
                    tracing::warn!("headless Services have no names: {status}");
                }
                Reflector::of([])
            }
            listed => listed?,
        };
        Ok(Self { services, slices })
    }

    /// Where the API server's is.
    pub(super) fn api_server(&self) -> Result<SocketAddr, Failure> {
        let (namespace, name) = API_SERVER;
        let services = self.services.known();
        match services.get(&(namespace.to_owned(), name.to_owned())) {
            Some(service) => service::address(service),
            None => Err(Failure::new(format!(
                "the cluster has no Service {name} in {namespace}, where its processes meet the API server"
            ))),
        }
    }

    /// As a process sees them that meets the API server at this address.
    pub(super) fn seen(&self, api_server: IpAddr) -> Vec<inpod_sandbox::Service> {
        let slices = self.slices.known();
        let mut endpoints: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
        for ((namespace, _), slice) in slices.iter() {
            let of = endpoints.entry((namespace, &slice.service)).or_default();
            of.extend(&slice.endpoints);
        }
        let mut services: Vec<_> = self.services.known().values().cloned().collect();
        for service in &mut services {
            let key = (service.namespace.as_str(), service.name.as_str());
            if let Some(endpoints) = endpoints.remove(&key) {
                service.endpoints = endpoints.into_iter().cloned().collect();
            }
            if (service.namespace.as_str(), service.name.as_str()) == API_SERVER {
                service.addresses = vec![api_server];
            }
        }
        services
    }

    /// Shows every change, for as long as it is polled. Where the API server cannot be asked, what is known stays.
    pub(super) async fn follow(self, client: Client, show: impl Fn(&Self)) {
        let changed = Notify::new();
        let shown = async {
            loop {
                changed.notified().await;
                show(&self);
                sleep(GAP).await;
            }
        };
        tokio::join!(
            self.services.follow(&client, &changed),
            self.slices.follow(&client, &changed),
            shown
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T: serde::de::DeserializeOwned>(name: &str, rest: &str) -> T {
        let metadata = format!(
            r#"{{"namespace": "default", "name": "{name}", "labels": {{"kubernetes.io/service-name": "db"}}}}"#
        );
        serde_json::from_str(&format!(r#"{{"metadata": {metadata}, {rest}}}"#)).unwrap()
    }

    #[test]
    fn the_api_servers_is_where_it_is_met_and_others_have_their_endpoints() {
        let services = Services {
            services: Reflector::of([
                parsed("kubernetes", r#""spec": {"clusterIP": "10.96.0.1"}"#),
                parsed("db", r#""spec": {"clusterIP": "None"}"#),
            ]),
            slices: Reflector::of(["db-2", "db-1"].map(|name| {
                parsed(
                    name,
                    &format!(
                        r#""endpoints": [{{"addresses": ["10.1.0.{}"]}}]"#,
                        &name[3..]
                    ),
                )
            })),
        };
        let met = "240.0.1.2".parse().unwrap();
        let [db, kubernetes] = services.seen(met).try_into().unwrap();
        assert_eq!(kubernetes.addresses, [met]);
        let endpoints: Vec<_> = db
            .endpoints
            .iter()
            .map(|one| one.address.to_string())
            .collect();
        assert_eq!(endpoints, ["10.1.0.1", "10.1.0.2"]);
    }
}
