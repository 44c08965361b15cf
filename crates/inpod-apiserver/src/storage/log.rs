use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Object, ResourceKey};

/// The most changes that are kept, unless told otherwise.
pub(super) const MAX_CHANGES: usize = 10_000;
/// The most bytes of superseded and deleted objects that are kept, which nothing but the log holds.
const MAX_BYTES: usize = 16 << 20;

/// One change of one object: an entry of the event log.
#[derive(Debug)]
#[non_exhaustive]
pub struct Change {
    /// The resource whose object it is.
    pub resource: ResourceKey,
    /// What happened.
    pub kind: ChangeKind,
    /// The object as it was before; none for [`ChangeKind::Created`].
    pub old: Option<Arc<Object>>,
    /// The object as it is now or, for [`ChangeKind::Deleted`], as it last was, at the revision of the change.
    pub object: Arc<Object>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what happened")]
pub enum ChangeKind {
    Created,
    Updated,
    Deleted,
}

impl Change {
    /// The store's revision after the change.
    pub fn revision(&self) -> u64 {
        self.object.revision
    }

    /// The bytes that only the log keeps alive.
    fn weight(&self) -> usize {
        let deleted = match self.kind {
            ChangeKind::Deleted => self.object.bytes().len(),
            ChangeKind::Created | ChangeKind::Updated => 0,
        };
        self.old.as_ref().map_or(0, |o| o.bytes().len()) + deleted
    }
}

/// The newest changes of all resources in the order of their revisions, and the same by resource.
#[derive(Debug)]
pub(super) struct Log {
    max_changes: usize,
    all: Tail,
    /// So that a watch of a quiet resource neither walks the changes of a busy one nor is ended by them.
    by_resource: HashMap<ResourceKey, Tail>,
    bytes: usize,
}

/// The end of a log.
#[derive(Debug, Default)]
struct Tail {
    changes: VecDeque<Arc<Change>>,
    /// The revision of the newest change that was dropped.
    dropped: u64,
}

impl Log {
    pub(super) fn new(max_changes: usize) -> Self {
        Self {
            max_changes,
            all: Tail::default(),
            by_resource: HashMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        let change = Arc::new(change);
        self.bytes += change.weight();
        let tail = self.by_resource.entry(change.resource).or_default();
        tail.changes.push_back(change.clone());
        self.all.changes.push_back(change);
        while self.all.changes.len() > self.max_changes || self.bytes > MAX_BYTES {
            let Some(oldest) = self.all.drop_oldest() else {
                break;
            };
            self.bytes -= oldest.weight();
            if let Some(tail) = self.by_resource.get_mut(&oldest.resource) {
                tail.drop_oldest();
            }
        }
    }

    /// The oldest revision after which every change of `resources` is known; of every resource where `resources` is empty.
    pub(super) fn oldest(&self, resources: &[ResourceKey]) -> u64 {
        if resources.is_empty() {
            return self.all.dropped;
        }
        resources
            .iter()
            .filter_map(|resource| self.by_resource.get(resource))
            .map(|tail| tail.dropped)
            .max()
            .unwrap_or(0)
    }

    /// The changes of `resources` after `revision`, oldest first; those of every resource where `resources` is empty.
    pub(super) fn after(&self, resources: &[ResourceKey], revision: u64) -> Vec<Arc<Change>> {
        match resources {
            [one] => self
                .by_resource
                .get(one)
                .map_or_else(Vec::new, |tail| tail.after(revision).collect()),
            _ => self
                .all
                .after(revision)
                .filter(|c| resources.is_empty() || resources.contains(&c.resource))
                .collect(),
        }
    }
}

impl Tail {
    fn drop_oldest(&mut self) -> Option<Arc<Change>> {
        let oldest = self.changes.pop_front()?;
        self.dropped = oldest.revision();
        Some(oldest)
    }

    fn after(&self, revision: u64) -> impl Iterator<Item = Arc<Change>> + '_ {
        let start = self.changes.partition_point(|c| c.revision() <= revision);
        self.changes.range(start..).cloned()
    }
}
