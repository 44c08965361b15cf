//! The cluster's Services, whose names a Pod can resolve: as they are at its start, and as they come and go.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use inpod::{Client, WatchEvent};
use tokio::time::{sleep, timeout};

use super::service::{self, API_SERVER, Service};
use crate::failure::Failure;

/// How long the server keeps a watch.
const WATCH: Duration = Duration::from_secs(300);
/// By how much an answer may be late before a connection is taken for dead, as after a suspended machine's sleep.
const LATE: Duration = Duration::from_secs(30);
/// After so many failures in a row they are told of: one of them may be a server that starts anew.
const TOLD: u32 = 3;

const COLLECTION: &str = "/api/v1/services";

/// Services by namespace and name.
#[derive(Debug)]
pub(super) struct Services {
    known: BTreeMap<(String, String), inpod_sandbox::Service>,
    /// Where a watch goes on from; `None` for one who may not list them.
    version: Option<String>,
}

impl Services {
    /// Who may not list them knows the API server's.
    pub(super) async fn at_first(client: &Client) -> Result<Self, Failure> {
        match Self::list(client).await {
            Err(inpod::Error::Api(status)) if status.code == 403 => {
                let service = service::api_server(client).await?;
                Ok(Self::new([service], None))
            }
            listed => Ok(listed?),
        }
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

    /// Shows every change, for as long as it is polled. Where the API server cannot be asked, what is known stays.
    pub(super) async fn follow(mut self, client: Client, show: impl Fn(&Self)) {
        let mut failures = 0;
        while let Some(version) = self.version.clone() {
            let watched = timeout(WATCH + LATE, self.watch(&client, &version, &show)).await;
            let mut failed = watched.unwrap_or_else(|_elapsed| Err(no_answer()));
            if let Err(failure) = &failed
                && failure.code == Some(410)
            {
                failed = self.catch_up(&client, &show).await;
            }
            // Something was heard, whatever came then.
            if failed.is_ok() || self.version.as_ref() != Some(&version) {
                failures = 0;
            }
            if let Err(failure) = failed {
                failures += 1;
                if failures == TOLD {
                    let Unheard { message, .. } = failure;
                    tracing::warn!(
                        "the names of Services that come and go are not followed, which is tried again: {message}"
                    );
                }
            }
            sleep(pause(failures, RandomState::new().hash_one(()))).await;
        }
    }

    /// Until the server ends it.
    async fn watch(
        &mut self,
        client: &Client,
        version: &str,
        show: impl Fn(&Self),
    ) -> Result<(), Unheard> {
        let seconds = WATCH.as_secs();
        let path = format!(
            "{COLLECTION}?allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        );
        let mut events = client.watch::<Service>(&path).await?;
        while let Some(event) = events.next().await {
            if self.apply(event?) {
                show(self);
            }
        }
        Ok(())
    }

    /// From where the server does not know any more what has happened since.
    async fn catch_up(&mut self, client: &Client, show: impl Fn(&Self)) -> Result<(), Unheard> {
        let listed = timeout(LATE, Self::list(client)).await;
        *self = listed.map_err(|_elapsed| no_answer())??;
        show(self);
        Ok(())
    }

    async fn list(client: &Client) -> Result<Self, inpod::Error> {
        let list = client.list::<Service>(COLLECTION).await?;
        Ok(Self::new(list.items, Some(list.metadata.resource_version)))
    }

    fn new(services: impl IntoIterator<Item = Service>, version: Option<String>) -> Self {
        let named = services
            .into_iter()
            .map(|service| (service.key(), service.named()));
        Self {
            known: named.collect(),
            version,
        }
    }

    /// Whether it changed anything.
    fn apply(&mut self, event: WatchEvent<Service>) -> bool {
        let (version, changed) = match event {
            WatchEvent::Added(service) | WatchEvent::Modified(service) => {
                let version = service.version().to_owned();
                let key = service.key();
                let named = service.named();
                let changed = self.known.get(&key) != Some(&named);
                self.known.insert(key, named);
                (version, changed)
            }
            WatchEvent::Deleted(service) => {
                let gone = self.known.remove(&service.key());
                (service.version().to_owned(), gone.is_some())
            }
            WatchEvent::Bookmark {
                resource_version, ..
            } => (resource_version, false),
            _ => return false,
        };
        self.version = Some(version);
        changed
    }
}

/// Why nothing is heard of Services.
struct Unheard {
    /// Of a status.
    code: Option<u16>,
    message: String,
}

impl From<inpod::Error> for Unheard {
    fn from(error: inpod::Error) -> Self {
        let code = match &error {
            inpod::Error::Api(status) => Some(status.code),
            _ => None,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

fn no_answer() -> Unheard {
    Unheard {
        code: None,
        message: "the API server did not answer".into(),
    }
}

/// Before the API server is asked again, after so many failures: up to half as much more by a random number, since many may wait for
/// the same server.
fn pause(failures: u32, random: u64) -> Duration {
    let pause = Duration::from_secs(1 << failures.min(5));
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    pause + pause / 2 * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, version: &str, spec: &str) -> Service {
        let metadata = format!(
            r#"{{"namespace": "default", "name": "{name}", "resourceVersion": "{version}"}}"#
        );
        serde_json::from_str(&format!(r#"{{"metadata": {metadata}, "spec": {spec}}}"#)).unwrap()
    }

    fn names(services: &Services) -> Vec<&str> {
        let known = services.known.keys();
        known.map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn events_change_what_is_known_and_where_a_watch_goes_on() {
        let ip = r#"{"clusterIP": "10.96.0.7"}"#;
        let mut services = Services::new([service("a", "1", ip)], Some("5".into()));
        assert!(services.apply(WatchEvent::Added(service("b", "6", ip))));
        assert!(!services.apply(WatchEvent::Modified(service("b", "7", ip))));
        assert!(services.apply(WatchEvent::Modified(service("b", "8", "{}"))));
        assert!(services.apply(WatchEvent::Deleted(service("a", "9", ip))));
        assert_eq!(
            (names(&services), services.version.as_deref()),
            (vec!["b"], Some("9"))
        );
    }

    #[test]
    fn the_api_servers_is_where_it_is_met() {
        let services = Services::new(
            [service("kubernetes", "1", r#"{"clusterIP": "10.96.0.1"}"#)],
            None,
        );
        let met = "240.0.1.2".parse().unwrap();
        assert_eq!(services.seen(met)[0].addresses, [met]);
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_less_and_less_and_not_by_all_at_once() {
        assert_eq!(pause(0, 0), Duration::from_secs(1));
        assert_eq!(pause(100, 0), Duration::from_secs(32));
        assert!(pause(3, 999) > pause(3, 0) && pause(3, 999) < Duration::from_secs(12));
    }
}
