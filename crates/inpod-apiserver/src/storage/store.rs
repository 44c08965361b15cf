use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::log::{Log, MAX_CHANGES};
use super::{Change, ChangeKind, Lookup, Object, Subscription, key};

/// A storage resource: its group (empty for the core group) and its plural.
pub type ResourceKey = (&'static str, &'static str);

/// The one store.
///
/// Every write gets the next revision and one entry in the event log, under one lock; reads take a snapshot of one revision.
#[derive(Debug)]
pub struct Store {
    inner: RwLock<Inner>,
    /// The newest revision: what subscriptions to several resources wait for.
    changed: watch::Sender<u64>,
}

/// A change that is asked for.
#[derive(Debug, Clone)]
pub enum Write {
    /// Stores an object whose name is free.
    Create(Object),
    /// Replaces the object of that name, if it still is the given revision.
    Update(Object, u64),
    /// Removes the object, if it still is the one given.
    Delete(Arc<Object>),
}

/// The objects of one resource at one revision of the store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The revision.
    pub revision: u64,
    /// The objects, ordered by key.
    pub items: Vec<Arc<Object>>,
}

/// Why the store did not do as it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The name of a new object is taken.
    #[error("an object named {:?} exists", .0.name)]
    Exists(Arc<Object>),
    /// The object to change or remove is not there.
    #[error("the object is not there")]
    Missing,
    /// The object is no longer the one that the change was made from; here is what it is now.
    #[error("the object {:?} is at revision {} now", .0.name, .0.revision)]
    Stale(Arc<Object>),
    /// The revision is older than what the event log keeps.
    #[error("too old resource version: {asked} ({oldest})")]
    TooOld {
        /// The revision that was asked for.
        asked: u64,
        /// The oldest revision that may be asked for.
        oldest: u64,
    },
    /// The store never was at that revision.
    #[error("Too large resource version: {asked}, current: {current}")]
    TooLarge {
        /// The revision that was asked for.
        asked: u64,
        /// The newest revision.
        current: u64,
    },
}

#[derive(Debug)]
struct Inner {
    revision: u64,
    log: Log,
    tables: HashMap<ResourceKey, Table>,
}

/// The newest objects of one resource.
#[derive(Debug)]
struct Table {
    objects: BTreeMap<String, Arc<Object>>,
    /// The revision of the newest change.
    revision: u64,
    /// The same, for those who wait for it.
    changed: watch::Sender<u64>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            revision: 0,
            changed: watch::Sender::new(0),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store, at revision 1, which keeps the last 10,000 changes for watches, continue tokens and lists at an older
    /// revision.
    pub fn new() -> Self {
        Self::with_history(MAX_CHANGES)
    }

    /// As [`Store::new`], but keeps at most `changes` changes.
    pub fn with_history(changes: usize) -> Self {
        Self {
            inner: RwLock::new(Inner {
                revision: 1,
                log: Log::new(changes),
                tables: HashMap::new(),
            }),
            changed: watch::Sender::new(1),
        }
    }

    /// Does `write` on an object of `resource`, at the next revision. Returns the object as stored or, for a removal, as it last
    /// was, at the revision of its removal.
    ///
    /// # Errors
    /// [`StorageError::Exists`], [`StorageError::Missing`] or [`StorageError::Stale`] where what the write was made from is no
    /// longer so; nothing has changed then.
    pub fn apply(&self, resource: ResourceKey, write: Write) -> Result<Arc<Object>, StorageError> {
        let mut guard = self.write();
        let inner = &mut *guard;
        let table = inner.tables.entry(resource).or_default();
        let revision = inner.revision + 1;
        let (kind, key, old, object) = match write {
            Write::Create(object) => {
                let key = object.key();
                if let Some(existing) = table.objects.get(&key) {
                    return Err(StorageError::Exists(existing.clone()));
                }
                let object = Arc::new(object.at_revision(revision));
                (ChangeKind::Created, key, None, object)
            }
            Write::Update(object, from) => {
                let key = object.key();
                let old = unchanged(&table.objects, &key, from)?;
                let object = Arc::new(object.at_revision(revision));
                (ChangeKind::Updated, key, Some(old), object)
            }
            Write::Delete(object) => {
                let key = object.key();
                let old = unchanged(&table.objects, &key, object.revision)?;
                let object = Arc::new(old.at_revision(revision));
                (ChangeKind::Deleted, key, Some(old), object)
            }
        };
        if kind == ChangeKind::Deleted {
            table.objects.remove(&key);
        } else {
            table.objects.insert(key, object.clone());
        }
        table.revision = revision;
        let changed = table.changed.clone();
        inner.revision = revision;
        inner.log.push(Change {
            resource,
            kind,
            old,
            object: object.clone(),
        });
        drop(guard);
        announce(&changed, revision);
        announce(&self.changed, revision);
        Ok(object)
    }

    /// The objects of `resource` in `namespace` (`None`: in all) with keys from `start` on, as they were at `revision` (`None`:
    /// now).
    ///
    /// # Errors
    /// [`StorageError::TooOld`] or [`StorageError::TooLarge`] where the store cannot know that revision.
    pub fn snapshot(
        &self,
        resource: ResourceKey,
        namespace: Option<&str>,
        start: Option<&str>,
        revision: Option<u64>,
    ) -> Result<Snapshot, StorageError> {
        let inner = self.read();
        let revision = revision.unwrap_or(inner.revision);
        inner.check(&[resource], revision)?;
        // What has changed since, as it was then: the newest map with the log undone is the map of that revision.
        let mut then: BTreeMap<String, Option<Arc<Object>>> = BTreeMap::new();
        if revision < inner.revision {
            for change in inner.log.after(&[resource], revision) {
                let key = change.object.key();
                then.entry(key).or_insert_with(|| change.old.clone());
            }
        }
        let (from, to) = range(namespace, start);
        let now = inner
            .tables
            .get(&resource)
            .into_iter()
            .flat_map(|table| table.objects.range::<str, _>((as_str(&from), as_str(&to))));
        let items = if then.is_empty() {
            now.map(|(_, object)| object.clone()).collect()
        } else {
            let mut items: BTreeMap<&str, Option<&Arc<Object>>> = now
                .map(|(key, object)| (key.as_str(), Some(object)))
                .collect();
            items.extend(
                then.range::<str, _>((as_str(&from), as_str(&to)))
                    .map(|(key, object)| (key.as_str(), object.as_ref())),
            );
            items.into_values().flatten().cloned().collect()
        };
        Ok(Snapshot { revision, items })
    }

    /// The object of that name, where there is one, as [`Store::snapshot`] would answer it now.
    pub fn snapshot_of(&self, resource: ResourceKey, namespace: &str, name: &str) -> Snapshot {
        let inner = self.read();
        let table = inner.tables.get(&resource);
        let object = table.and_then(|t| t.objects.get(&key(namespace, name)));
        Snapshot {
            revision: inner.revision,
            items: object.cloned().into_iter().collect(),
        }
    }

    /// The changes of `resources` (where empty: of every resource) after revision `from`, without loss and in order.
    ///
    /// # Errors
    /// [`StorageError::TooOld`] or [`StorageError::TooLarge`] where the store cannot know what happened since.
    pub fn subscribe(
        self: &Arc<Self>,
        resources: &[ResourceKey],
        from: u64,
    ) -> Result<Subscription, StorageError> {
        let wake = if let [one] = resources {
            self.write()
                .tables
                .entry(*one)
                .or_default()
                .changed
                .subscribe()
        } else {
            self.changed.subscribe()
        };
        self.read().check(resources, from)?;
        Ok(Subscription::new(
            self.clone(),
            resources.to_vec(),
            from,
            wake,
        ))
    }

    /// The changes after `from` and the revision that they lead to.
    pub(super) fn changes(
        &self,
        resources: &[ResourceKey],
        from: u64,
    ) -> Result<(Vec<Arc<Change>>, u64), StorageError> {
        let inner = self.read();
        inner.check(resources, from)?;
        Ok((inner.log.after(resources, from), inner.revision))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookup for Store {
    fn revision(&self) -> u64 {
        self.read().revision
    }

    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let inner = self.read();
        let table = inner.table(group, resource)?;
        table.objects.get(&key(namespace, name)).cloned()
    }

    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let (from, to) = range(namespace, None);
        let inner = self.read();
        inner
            .table(group, resource)
            .into_iter()
            .flat_map(|t| t.objects.range::<str, _>((as_str(&from), as_str(&to))))
            .map(|(_, object)| object.clone())
            .collect()
    }

    fn generation(&self, resources: &[(&str, &str)]) -> u64 {
        let inner = self.read();
        resources
            .iter()
            .filter_map(|(group, resource)| inner.table(group, resource))
            .map(|table| table.revision)
            .max()
            .unwrap_or(0)
    }
}

impl Inner {
    fn table<'a>(&'a self, group: &'a str, resource: &'a str) -> Option<&'a Table> {
        let tables: &HashMap<(&'a str, &'a str), Table> = &self.tables;
        tables.get(&(group, resource))
    }

    /// Whether all that happened to `resources` since `revision` is known.
    fn check(&self, resources: &[ResourceKey], revision: u64) -> Result<(), StorageError> {
        if revision > self.revision {
            return Err(StorageError::TooLarge {
                asked: revision,
                current: self.revision,
            });
        }
        let oldest = self.log.oldest(resources);
        if revision < oldest {
            return Err(StorageError::TooOld {
                asked: revision,
                oldest,
            });
        }
        Ok(())
    }
}

/// Wakes who waits. Outside the store's lock, so that of two writers the later may be first: what is announced only grows.
fn announce(changed: &watch::Sender<u64>, revision: u64) {
    changed.send_if_modified(|newest| {
        let newer = *newest < revision;
        *newest = revision.max(*newest);
        newer
    });
}

fn unchanged(
    objects: &BTreeMap<String, Arc<Object>>,
    key: &str,
    revision: u64,
) -> Result<Arc<Object>, StorageError> {
    let old = objects.get(key).ok_or(StorageError::Missing)?;
    if old.revision != revision {
        return Err(StorageError::Stale(old.clone()));
    }
    Ok(old.clone())
}

/// The range of keys in `namespace` from `start` on.
fn range(namespace: Option<&str>, start: Option<&str>) -> (Bound<String>, Bound<String>) {
    let (first, end) = match namespace {
        // '0' is what follows '/'.
        Some(namespace) => (
            Bound::Included(format!("{namespace}/")),
            Bound::Excluded(format!("{namespace}0")),
        ),
        None => (Bound::Unbounded, Bound::Unbounded),
    };
    match (start, &first) {
        (Some(start), Bound::Included(first)) if start <= first.as_str() => {
            (Bound::Included(first.clone()), end)
        }
        // A start past the end of the namespace: nothing, where the map would panic.
        (Some(start), _) if matches!(&end, Bound::Excluded(end) if start >= end.as_str()) => (
            Bound::Included(start.to_owned()),
            Bound::Excluded(start.to_owned()),
        ),
        (Some(start), _) => (Bound::Included(start.to_owned()), end),
        (None, _) => (first, end),
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PODS: ResourceKey = ("", "pods");
    const SECRETS: ResourceKey = ("", "secrets");

    fn object(namespace: &str, name: &str, label: &str) -> Object {
        let value =
            json!({"metadata": {"name": name, "namespace": namespace, "labels": {"l": label}}});
        Object::new(value.as_object().expect("an object"), Vec::new())
    }

    fn names(snapshot: &Snapshot) -> Vec<String> {
        snapshot.items.iter().map(|o| o.key()).collect()
    }

    #[test]
    fn a_write_made_from_an_older_revision_is_refused() {
        let store = Store::new();
        let first = store
            .apply(PODS, Write::Create(object("n", "a", "1")))
            .expect("created");
        assert_eq!(first.revision, 2);
        let second = store
            .apply(PODS, Write::Update(object("n", "a", "2"), first.revision))
            .expect("updated");
        assert_eq!(
            store.apply(PODS, Write::Update(object("n", "a", "3"), first.revision)),
            Err(StorageError::Stale(second.clone()))
        );
        assert_eq!(
            store.apply(PODS, Write::Delete(first)),
            Err(StorageError::Stale(second.clone()))
        );
        assert_eq!(
            store.apply(PODS, Write::Create(object("n", "a", "3"))),
            Err(StorageError::Exists(second.clone()))
        );
        assert_eq!(store.revision(), second.revision);
        let gone = store.apply(PODS, Write::Delete(second)).expect("deleted");
        assert_eq!(gone.revision, 4);
        assert_eq!(store.get("", "pods", "n", "a"), None);
    }

    #[test]
    fn a_snapshot_is_what_the_map_was_at_its_revision() {
        let store = Store::new();
        let a = store
            .apply(PODS, Write::Create(object("n", "a", "1")))
            .expect("created");
        store
            .apply(PODS, Write::Create(object("n", "b", "1")))
            .expect("created");
        let then = store.revision();
        store
            .apply(PODS, Write::Update(object("n", "a", "2"), a.revision))
            .expect("updated");
        let b = store.get("", "pods", "n", "b").expect("there");
        store.apply(PODS, Write::Delete(b)).expect("deleted");
        store
            .apply(PODS, Write::Create(object("n", "c", "1")))
            .expect("created");

        let old = store
            .snapshot(PODS, Some("n"), None, Some(then))
            .expect("known");
        assert_eq!(names(&old), ["n/a", "n/b"]);
        assert_eq!(old.items[0].labels["l"], "1");
        let new = store.snapshot(PODS, None, None, None).expect("known");
        assert_eq!(names(&new), ["n/a", "n/c"]);
        assert_eq!(
            store
                .snapshot(PODS, None, None, Some(99))
                .map(|s| s.revision),
            Err(StorageError::TooLarge {
                asked: 99,
                current: 6
            })
        );
    }

    #[test]
    fn a_snapshot_starts_where_it_is_told_and_stays_in_its_namespace() {
        let store = Store::new();
        for (namespace, name) in [("a", "x"), ("a", "y"), ("a-b", "x"), ("b", "x")] {
            store
                .apply(PODS, Write::Create(object(namespace, name, "")))
                .expect("created");
        }
        let at =
            |namespace, start| names(&store.snapshot(PODS, namespace, start, None).expect("known"));
        assert_eq!(at(Some("a"), None), ["a/x", "a/y"]);
        assert_eq!(at(Some("a"), Some("a/x\0")), ["a/y"]);
        assert_eq!(at(None, Some("a/y")), ["a/y", "b/x"]);
        assert!(at(Some("a"), Some("z")).is_empty());
        assert_eq!(at(Some("b"), Some("a")), ["b/x"]);
    }

    #[tokio::test]
    async fn a_subscription_loses_nothing_and_wakes() {
        let store = Arc::new(Store::new());
        store
            .apply(PODS, Write::Create(object("n", "a", "1")))
            .expect("created");
        let mut pods = store.subscribe(&[PODS], 1).expect("known");
        let mut all = store.subscribe(&[], 1).expect("known");
        assert_eq!(pods.next().await.expect("known").len(), 1);
        let waiting = tokio::spawn(async move { pods.next().await.map(|c| c[0].revision()) });
        tokio::task::yield_now().await;
        store
            .apply(SECRETS, Write::Create(object("n", "s", "1")))
            .expect("created");
        store
            .apply(PODS, Write::Create(object("n", "b", "1")))
            .expect("created");
        assert_eq!(waiting.await.expect("no panic"), Ok(4));
        assert_eq!(all.take().expect("known").len(), 3);
        assert_eq!(all.revision(), 4);
    }

    #[test]
    fn an_old_revision_expires_but_not_for_a_resource_that_did_not_change() {
        let store = Arc::new(Store::with_history(10));
        let mut quiet = store.subscribe(&[SECRETS], 1).expect("known");
        let mut last = store
            .apply(PODS, Write::Create(object("n", "a", "1")))
            .expect("created");
        for _ in 0..11 {
            last = store
                .apply(PODS, Write::Update(object("n", "a", "1"), last.revision))
                .expect("updated");
        }
        assert_eq!(
            store.subscribe(&[PODS], 1).map(|s| s.revision()),
            Err(StorageError::TooOld {
                asked: 1,
                oldest: 3
            })
        );
        store
            .apply(SECRETS, Write::Create(object("n", "s", "1")))
            .expect("created");
        assert_eq!(quiet.take().map(|c| c.len()), Ok(1));
    }

    #[test]
    fn the_generation_moves_with_its_resources_alone() {
        let store = Store::new();
        let before = store.generation(&[PODS]);
        store
            .apply(SECRETS, Write::Create(object("n", "s", "1")))
            .expect("created");
        assert_eq!(store.generation(&[PODS]), before);
        store
            .apply(PODS, Write::Create(object("n", "a", "1")))
            .expect("created");
        assert_ne!(store.generation(&[PODS, SECRETS]), before);
    }
}
