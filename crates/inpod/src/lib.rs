//! The Kubernetes API the way a Pod gets it: found, trusted and authenticated without configuration.

mod body;
mod client;
mod config;
mod request_info;

pub use body::Body;
pub use client::{ApiStatus, Client, Error, List, ListMeta, WatchEvent};
pub use config::{Config, ConfigBuilder, ConfigError};
pub use request_info::{RequestInfo, RequestInfoError};
