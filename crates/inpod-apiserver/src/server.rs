use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::{Rbac, SigningKey, TokenPolicy, Tokens};
use crate::controllers::Controllers;
use crate::core::Core;
use crate::pki::Pki;
use crate::storage::Store;
use crate::wire::{self, Door, Drainer};
use crate::{Source, SystemSource};

/// The issuer of service-account tokens, and the audience of the API itself: kubeadm's default.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A running API server; it listens until [`Server::shutdown`], or until it is dropped.
///
/// It runs on the tokio runtime that it was started on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use inpod_apiserver::{Options, Server};
///
/// let server = Server::start(Options::default()).await?;
/// assert!(server.url().starts_with("https://127.0.0.1:"));
/// assert!(server.kubeconfig().contains("current-context: inpod"));
/// server.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca_pem: String,
    admin: AdminCredentials,
    drainer: Drainer,
    listener: JoinHandle<()>,
    controllers: JoinHandle<()>,
}

/// How a [`Server`] is to be: by default on a free port of the loopback interface, with a real cluster's token lifetimes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    address: SocketAddr,
    also_at: Vec<IpAddr>,
    token_policy: TokenPolicy,
    token_key: Option<Arc<SigningKey>>,
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
    /// The key that was given to sign service-account tokens cannot be used.
    #[error(
        "cannot sign service-account tokens with the given key: {0}; it must be an ECDSA key on the curve P-256, PKCS#8 in PEM"
    )]
    TokenKey(&'static str),
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
        let Options {
            address: asked,
            mut also_at,
            token_policy,
            token_key,
            source,
        } = options;
        let bind = |source| StartError::Bind {
            address: asked,
            source,
        };
        let socket = TcpListener::bind(asked).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;

        also_at.insert(0, address.ip());
        let pki = Pki::new(&*source, &also_at, None).map_err(own_fault)?;
        let tls = Arc::new(pki.server_config().map_err(own_fault)?);
        let ca_pem = pki.ca_pem.clone();
        let admin = AdminCredentials {
            certificate_pem: pki.admin.certificate.clone(),
            key_pem: pki.admin.key.clone(),
        };

        let store = Arc::new(Store::new());
        let core = Arc::new(Core {
            tokens: Tokens::new(
                ISSUER,
                token_key,
                token_policy,
                source.clone(),
                store.clone(),
            ),
            rbac: Rbac::new(store.clone()),
            ca_pem: ca_pem.clone(),
            source,
            store,
            allocation: Mutex::default(),
        });
        let (drainer, drain) = Drainer::new();
        let door = Arc::new(Door::new(core, address, drain.clone()));
        let controllers = Controllers::bootstrap(door.clone(), address)
            .await
            .map_err(StartError::Bootstrap)?;
        Ok(Self {
            address,
            ca_pem,
            admin,
            drainer,
            controllers: tokio::spawn(controllers.run(drain.clone())),
            listener: tokio::spawn(wire::serve(socket, Arc::new(pki), tls, door, drain)),
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
        let inline = |pem: &str| BASE64_STANDARD.encode(pem);
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: inpod\n\
             \x20 cluster:\n\
             \x20   server: {url}\n\
             \x20   certificate-authority-data: {ca}\n\
             users:\n\
             - name: inpod-admin\n\
             \x20 user:\n\
             \x20   client-certificate-data: {certificate}\n\
             \x20   client-key-data: {key}\n\
             contexts:\n\
             - name: inpod\n\
             \x20 context:\n\
             \x20   cluster: inpod\n\
             \x20   user: inpod-admin\n\
             current-context: inpod\n",
            url = self.url(),
            ca = inline(&self.ca_pem),
            certificate = inline(&self.admin.certificate_pem),
            key = inline(&self.admin.key_pem),
        )
    }

    /// Stops: no new connection is taken, watches end, requests under way are answered (for ten seconds at most).
    pub async fn shutdown(self) {
        self.drainer.drain();
        for task in [self.listener, self.controllers] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the server ended badly");
            }
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            also_at: Vec::new(),
            token_policy: TokenPolicy {
                minimum: Duration::from_secs(600),
                leeway: Duration::from_secs(60),
            },
            token_key: None,
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

    /// Gives the serving certificate this address too: where clients meet the server there, because something leads them.
    #[must_use]
    pub fn also_at(mut self, address: IpAddr) -> Self {
        self.also_at.push(address);
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

    /// Signs service-account tokens with this key, not with a new one, so that who trusts its public half need not learn of each
    /// start: what `--service-account-signing-key-file` is to kube-apiserver. An ECDSA key on the curve P-256, PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`StartError::TokenKey`] where `pem` is no such key.
    pub fn token_key(mut self, pem: &str) -> Result<Self, StartError> {
        let key = SigningKey::from_pem(pem).map_err(StartError::TokenKey)?;
        self.token_key = Some(Arc::new(key));
        Ok(self)
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

fn own_fault(error: impl fmt::Display) -> StartError {
    StartError::Bootstrap(error.to_string())
}
