use std::sync::Arc;

use tokio::sync::watch;

use super::{Change, ResourceKey, StorageError, Store};

/// The changes of some resources from a revision on, read from the event log: a slow reader costs nothing but its place.
#[derive(Debug)]
pub struct Subscription {
    store: Arc<Store>,
    resources: Vec<ResourceKey>,
    revision: u64,
    wake: watch::Receiver<u64>,
}

impl Subscription {
    pub(super) fn new(
        store: Arc<Store>,
        resources: Vec<ResourceKey>,
        revision: u64,
        wake: watch::Receiver<u64>,
    ) -> Self {
        Self {
            store,
            resources,
            revision,
            wake,
        }
    }

    /// The revision up to which every change was handed out.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The changes there are now, oldest first; possibly none.
    ///
    /// # Errors
    /// [`StorageError::TooOld`] where the reader was so slow that the log no longer has what comes next.
    pub fn take(&mut self) -> Result<Vec<Arc<Change>>, StorageError> {
        self.wake.mark_unchanged();
        let (changes, revision) = self.store.changes(&self.resources, self.revision)?;
        self.revision = revision;
        Ok(changes)
    }

    /// The next changes, oldest first, at least one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Subscription::take`].
    pub async fn next(&mut self) -> Result<Vec<Arc<Change>>, StorageError> {
        loop {
            let changes = self.take()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            // The sender lives in the store that `self` holds, so that this never fails.
            let _ = self.wake.changed().await;
        }
    }
}
