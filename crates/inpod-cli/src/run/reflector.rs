//! A collection as it is at the start and as it changes: listed, then watched. What client-go calls a reflector.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use inpod::{Client, WatchEvent};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// The shortest time for which the server keeps a watch; up to twice as long by a random number, as client-go has it.
const WATCH: Duration = Duration::from_secs(300);
/// By how much an answer may be late before a connection is taken for dead, as after a suspended machine's sleep.
const LATE: Duration = Duration::from_secs(30);
/// After so many failures in a row they are told of: one of them may be a server that starts anew.
const TOLD: u32 = 3;

/// An object of a collection.
pub(super) trait Reflected: DeserializeOwned + Send + 'static {
    /// The collection's path.
    const COLLECTION: &'static str;
    /// What is wanted of it.
    type Kept: PartialEq + fmt::Debug + Send;

    fn metadata(&self) -> &Metadata;
    fn keep(self) -> Self::Kept;
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

/// What is known of a collection, by namespace and name.
#[derive(Debug)]
pub(super) struct Reflector<T: Reflected> {
    known: Mutex<Known<T>>,
    /// Where a watch goes on from at first; `None` for one who may not list them.
    version: Option<String>,
}

pub(super) type Known<T> = BTreeMap<(String, String), <T as Reflected>::Kept>;

impl<T: Reflected> Reflector<T> {
    pub(super) async fn list(client: &Client) -> Result<Self, inpod::Error> {
        let (known, version) = list::<T>(client).await?;
        Ok(Self {
            known: Mutex::new(known),
            version: Some(version),
        })
    }

    /// Of these objects and no others, ever.
    pub(super) fn of(objects: impl IntoIterator<Item = T>) -> Self {
        Self {
            known: Mutex::new(objects.into_iter().map(entry).collect()),
            version: None,
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change, for as long as it is polled. Where the API server cannot be asked, what is known stays.
    pub(super) async fn follow(&self, client: &Client, changed: &Notify) {
        let mut failures = 0;
        let mut version = self.version.clone();
        while let Some(from) = &mut version {
            let before = from.clone();
            let time = WATCH + part(WATCH, random());
            let watched = timeout(time + LATE, self.watch(client, from, time, changed)).await;
            let mut failed = watched.unwrap_or_else(|_elapsed| Err(no_answer()));
            if let Err(failure) = &failed
                && failure.code == Some(410)
            {
                failed = self.catch_up(client, from, changed).await;
            }
            // Something was heard, whatever came then.
            if failed.is_ok() || *from != before {
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
                // Whatever keeps a watch from going on from there, or from being at all.
                if failures >= TOLD {
                    let _ = self.catch_up(client, from, changed).await;
                }
            }
            sleep(pause(failures, random())).await;
        }
    }

    /// Until the server ends it.
    async fn watch(
        &self,
        client: &Client,
        version: &mut String,
        time: Duration,
        changed: &Notify,
    ) -> Result<(), Unheard> {
        let (collection, seconds) = (T::COLLECTION, time.as_secs());
        let path = format!(
            "{collection}?allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        );
        let mut events = client.watch::<T>(&path).await?;
        while let Some(event) = events.next().await {
            if self.apply(event?, version) {
                changed.notify_one();
            }
        }
        Ok(())
    }

    /// From where the server does not know any more what has happened since.
    async fn catch_up(
        &self,
        client: &Client,
        version: &mut String,
        changed: &Notify,
    ) -> Result<(), Unheard> {
        let listed = timeout(LATE, list::<T>(client)).await;
        (*self.known(), *version) = listed.map_err(|_elapsed| no_answer())??;
        changed.notify_one();
        Ok(())
    }

    /// Whether it changed anything.
    fn apply(&self, event: WatchEvent<T>, version: &mut String) -> bool {
        let (now, changed) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let now = object.metadata().resource_version.clone();
                let (key, kept) = entry(object);
                let mut known = self.known();
                let changed = known.get(&key) != Some(&kept);
                known.insert(key, kept);
                (now, changed)
            }
            WatchEvent::Deleted(object) => {
                let now = object.metadata().resource_version.clone();
                let gone = self.known().remove(&key(object.metadata()));
                (now, gone.is_some())
            }
            WatchEvent::Bookmark {
                resource_version, ..
            } => (resource_version, false),
            _ => return false,
        };
        *version = now;
        changed
    }
}

async fn list<T: Reflected>(client: &Client) -> Result<(Known<T>, String), inpod::Error> {
    let list = client.list::<T>(T::COLLECTION).await?;
    let known = list.items.into_iter().map(entry).collect();
    Ok((known, list.metadata.resource_version))
}

fn entry<T: Reflected>(object: T) -> ((String, String), T::Kept) {
    (key(object.metadata()), object.keep())
}

fn key(metadata: &Metadata) -> (String, String) {
    (metadata.namespace.clone(), metadata.name.clone())
}

/// Why nothing is heard of a collection.
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
    pause + part(pause / 2, random)
}

/// Some of it, by a random number.
fn part(of: Duration, random: u64) -> Duration {
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    of * thousandths / 1000
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::service::Service;

    fn service(name: &str, version: &str, spec: &str) -> Service {
        let metadata = format!(
            r#"{{"namespace": "default", "name": "{name}", "resourceVersion": "{version}"}}"#
        );
        serde_json::from_str(&format!(r#"{{"metadata": {metadata}, "spec": {spec}}}"#)).unwrap()
    }

    #[test]
    fn events_change_what_is_known_and_where_a_watch_goes_on() {
        let ip = r#"{"clusterIP": "10.96.0.7"}"#;
        let services = Reflector::of([service("a", "1", ip)]);
        let mut version = "5".to_owned();
        let mut apply = |event| services.apply(event, &mut version);
        assert!(apply(WatchEvent::Added(service("b", "6", ip))));
        assert!(!apply(WatchEvent::Modified(service("b", "7", ip))));
        assert!(apply(WatchEvent::Modified(service("b", "8", "{}"))));
        assert!(apply(WatchEvent::Deleted(service("a", "9", ip))));
        let known = services.known();
        let names: Vec<&str> = known.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!((names, version.as_str()), (vec!["b"], "9"));
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_less_and_less_and_not_by_all_at_once() {
        assert_eq!(pause(0, 0), Duration::from_secs(1));
        assert_eq!(pause(100, 0), Duration::from_secs(32));
        assert!(pause(3, 999) > pause(3, 0) && pause(3, 999) < Duration::from_secs(12));
    }
}
