use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::key::{as_str, key, range};
use super::log::{Log, MAX_CHANGES};
use super::{Change, ChangeKind, Lookup, Object, StorageError, Subscription};

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
