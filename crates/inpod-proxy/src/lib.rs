//! The sidecar: the Kubernetes API for a Pod's other containers, as `kubectl proxy` gives it, with the credentials kept here.
//!
//! The way of a request: a [`Listener`]'s connection, whose bytes are framed strictly (`inbound`, `guard::framing`), hyper,
//! `guard` (host, origin, target, upgrade), `forward` through [`inpod::Client`], and back.
//!
//! ```no_run
//! # async fn sidecar() -> Result<(), Box<dyn std::error::Error>> {
//! use inpod_proxy::{Listener, Proxy};
//!
//! let client = inpod::Client::new(inpod::Config::in_cluster()?)?;
//! let listener = Listener::tcp("127.0.0.1", 8001).await?;
//! println!("Starting to serve on {}", listener.address());
//! Proxy::builder(client).build().serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod body;
mod connection;
mod exchange;
mod forward;
mod guard;
mod inbound;
mod lifecycle;
mod listener;
mod proxy;
mod socket_file;
mod status;

pub use listener::{Address, ListenError, Listener};
pub use proxy::{Proxy, ProxyBuilder};
