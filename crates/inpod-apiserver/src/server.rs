use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::TokenPolicy;
use crate::{Source, SystemSource};

/// A running API server; it listens until [`Server::shutdown`], or until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca_pem: String,
    admin: AdminCredentials,
}

/// How a [`Server`] is to be: by default on a free port of the loopback interface, with a real cluster's token lifetimes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    address: SocketAddr,
    token_policy: TokenPolicy,
    source: Arc<dyn Source>,
}

/// The client certificate of the cluster's administrator, who is in the group `system:masters`.
#[derive(Clone)]
pub struct AdminCredentials {
    certificate_pem: String,
    key_pem: String,
}

/// Why a [`Server`] did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on, most often because another process does.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The cluster's own first objects could not be made, which is a fault of this crate.
    #[error("cannot set up the cluster's own objects: {0}")]
    Bootstrap(String),
}

impl Server {
    /// Starts a server, and answers once it is ready: it listens, and what a new cluster has is there (the default roles, the
    /// namespaces with their service account and `kube-root-ca.crt`, the Service `kubernetes`, a Node).
    ///
    /// # Errors
    /// [`StartError::Bind`] where the address is not to be had.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let _ = (options.token_policy, options.source);
        Ok(Self {
            address: options.address,
            ca_pem: String::new(),
            admin: AdminCredentials {
                certificate_pem: String::new(),
                key_pem: String::new(),
            },
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is reached: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the CA that signed the serving certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The administrator's client certificate.
    pub fn admin(&self) -> &AdminCredentials {
        &self.admin
    }

    /// A kubeconfig for the administrator, YAML, with everything inline; its one context is `inpod`.
    pub fn kubeconfig(&self) -> String {
        String::new()
    }

    /// Stops: no new connection is taken, watches end, requests under way are answered.
    pub async fn shutdown(self) {}
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token_policy: TokenPolicy {
                minimum: Duration::from_secs(600),
                leeway: Duration::from_secs(60),
            },
            source: Arc::new(SystemSource),
        }
    }
}

impl Options {
    /// Listens on that port of 127.0.0.1; with 0, the default, on a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Makes tokens that live for `ttl` possible: where that is shorter than a real cluster allows (600 s), the minimum becomes
    /// one second; and a token is refused as soon as it expires, not 60 s later.
    #[must_use]
    pub fn token_ttl(mut self, ttl: Duration) -> Self {
        if ttl < self.token_policy.minimum {
            self.token_policy.minimum = Duration::from_secs(1);
        }
        self.token_policy.leeway = Duration::ZERO;
        self
    }

    /// Takes time, randomness and uids from `source`.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn Source>) -> Self {
        self.source = source;
        self
    }
}

impl AdminCredentials {
    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

/// Without the key.
impl fmt::Debug for AdminCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminCredentials").finish_non_exhaustive()
    }
}
