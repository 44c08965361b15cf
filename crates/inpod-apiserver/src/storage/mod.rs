//! The one store: a revision counter, an ordered event log, and per resource an ordered map.
//!
//! ```
//! use std::sync::Arc;
//!
//! use inpod_apiserver::storage::{Lookup, Object, Store, Write};
//! use serde_json::json;
//!
//! let store = Arc::new(Store::new());
//! let value = json!({"metadata": {"name": "a", "namespace": "default"}});
//! let object = Object::new(value.as_object().unwrap(), Vec::new());
//! let created = store.apply(("", "configmaps"), Write::Create(object))?;
//! assert_eq!(store.get("", "configmaps", "default", "a"), Some(created.clone()));
//!
//! let mut changes = store.subscribe(&[("", "configmaps")], created.revision)?;
//! store.apply(("", "configmaps"), Write::Delete(created))?;
//! assert_eq!(changes.take()?.len(), 1);
//! # Ok::<(), inpod_apiserver::storage::StorageError>(())
//! ```

mod error;
mod key;
mod log;
mod object;
mod store;
mod subscription;
#[cfg(test)]
mod tests;

pub use error::StorageError;
pub(crate) use key::key;
pub use log::{Change, ChangeKind};
pub use object::{Lookup, Object, OwnerReference};
pub use store::{ResourceKey, Snapshot, Store, Write};
pub use subscription::Subscription;
