use std::sync::Arc;

use super::Object;

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
