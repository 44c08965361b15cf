//! The Kubernetes API the way a Pod gets it: found, trusted and authenticated without configuration.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use inpod::{Client, Config, List};
//!
//! #[derive(serde::Deserialize)]
//! struct Pod {
//!     metadata: Metadata,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Metadata {
//!     name: String,
//! }
//!
//! let client = Client::new(Config::in_cluster()?)?;
//! let pods: List<Pod> = client.list("/api/v1/namespaces/default/pods").await?;
//! for pod in pods.items {
//!     println!("{}", pod.metadata.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Objects are the caller's own serde types: what a program reads of a Pod is usually a handful of fields. Errors are values:
//! [`Error::Api`] is the server's Status, to be told apart by its `code` and `reason`.
//!
//! # What it takes care of
//! A Pod runs longer than what it is given is valid. [`Client`] follows the token and the CA through their rotation, leaves
//! connections that died or that the server closes, and sends again what is safe to send again, and nothing else.
//! [`Client::send`] streams bodies in both directions and tunnels upgrades; everything else stands on it.
//!
//! # What it does not do
//! The API server is reached directly: `HTTPS_PROXY`, `ALL_PROXY` and their like are not looked at. A kubeconfig is never
//! read; for other ways than a Pod's there is [`Config::builder`]. TLS is never without verification.
//!
//! # Features
//! - `aws-lc-rs` (default): the cryptography behind TLS.
//! - `ring`: another, for where aws-lc-rs does not compile; used where `aws-lc-rs` is off.
//!
//! Without either, [`ConfigBuilder::crypto_provider`] takes one. The process-wide default of rustls is neither used nor set.

mod body;
mod client;
mod config;
mod credentials;
mod environment;
mod error;
mod request_info;
mod tls;
mod transport;
mod watch;

pub use body::Body;
pub use client::{Client, List, ListMeta};
pub use config::{Config, ConfigBuilder, ConfigError};
pub use credentials::RenewableToken;
pub use error::{ApiStatus, Error};
pub use request_info::{RequestInfo, RequestInfoError};
pub use tls::TlsError;
pub use watch::{WatchEvent, WatchStream};
