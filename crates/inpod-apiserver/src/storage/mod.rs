//! The one store: a revision counter, an ordered event log, and per resource an ordered map.

mod object;

pub use object::{Lookup, Object};

/// The one store.
#[derive(Debug)]
pub struct Store {}
