mod builder;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use rustls::crypto::CryptoProvider;

pub use self::builder::ConfigBuilder;
use crate::credentials::{Secret, Token};

/// How to reach an API server: its address, whom to trust, who to be.
///
/// In a Pod, [`Config::in_cluster`] finds it; [`Config::builder`] makes any other. No credential is in its `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) server: Uri,
    pub(crate) namespace: String,
    pub(crate) trust: Trust,
    pub(crate) token: Token,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) tls_server_name: Option<String>,
    pub(crate) provider: Option<Arc<CryptoProvider>>,
}

/// The trust anchors of the server's certificate.
#[derive(Debug, Clone)]
pub(crate) enum Trust {
    /// A bundle that somebody else keeps current, as a kubelet does.
    File(PathBuf),
    Pem(Vec<u8>),
    SystemRoots,
    /// Over plain HTTP there is nobody to trust.
    Nobody,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Secret<Vec<u8>>,
}

/// Why no [`Config`] was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing says that this process runs in a Pod.
    #[error(
        "this is not a Pod, or one whose service account is not mounted (automountServiceAccountToken: false): \
         KUBERNETES_SERVICE_HOST is not set, and there is no {}; outside a cluster, try `inpod run -- CMD`, or name a kubeconfig",
        .directory.join("token").display()
    )]
    NotInCluster {
        /// Where the service account's files were looked for.
        directory: PathBuf,
    },
    /// The environment says where the API server is, but not in a way that can be read. The fault is the environment's.
    #[error("the address of the API server cannot be read from the environment: {what}")]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// The token file is missing, unreadable or empty.
    #[error(
        "the token cannot be read from {} ({source}): in a Pod, is automountServiceAccountToken off, or does the file belong to another user?",
        .path.display()
    )]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A token that was given outright cannot be a header: it has a line break or is no ASCII.
    #[error("the token that was given is no token")]
    TokenText,
    /// There is no CA bundle to trust, and system roots were not asked for.
    #[error(
        "the cluster's CA cannot be read from {} ({source}); without it the API server cannot be told from an impostor \
         (trust the system's roots only if the server's certificate is publicly signed: ConfigBuilder::system_roots)",
        .path.display()
    )]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No server was said.
    #[error("no API server was named")]
    NoServer,
    /// An address that is neither https nor http, or has no host.
    #[error(
        "{0} is no address of an API server: it needs https:// (or, without credentials, http://) and a host"
    )]
    ServerAddress(String),
    /// An address with a user or password in it, which is not repeated here.
    #[error(
        "the address of the API server has a user or password in it, and the API server knows neither"
    )]
    UserInfo,
    /// A Pod's token is sent with each request, and to nobody who does not show the cluster's certificate.
    #[error("{0} is not encrypted: in a Pod the API server is reached over https:// only")]
    NotEncrypted(String),
    /// A server that is reached over https, and no certificates to trust.
    #[error("no CA was given for {0}, and the system's roots were not asked for")]
    NoTrust(String),
}

impl Config {
    /// The configuration a Pod is given, found as the page "Accessing the Kubernetes API from a Pod" describes.
    ///
    /// - The address: `KUBERNETES_SERVICE_HOST` with `KUBERNETES_SERVICE_PORT_HTTPS`, or with `KUBERNETES_SERVICE_PORT` where
    ///   that differs; without them, but with a token file, `kubernetes.default.svc`.
    /// - The files `token`, `ca.crt` and `namespace` in `/var/run/secrets/kubernetes.io/serviceaccount`, or in the directory that
    ///   `INPOD_SERVICE_ACCOUNT_DIR` names. `ca.crt` is the only trust anchor.
    ///
    /// The Pod's service account is used whatever kubeconfig lies about, and no `HTTPS_PROXY`: the API server is in the
    /// cluster.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = inpod::Client::new(inpod::Config::in_cluster()?)?;
    /// let versions: serde_json::Value = client.get("/api").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] says what was looked for, where, and the likely cause.
    #[doc(alias = "InClusterConfig")]
    #[doc(alias = "load_incluster_config")]
    #[doc(alias = "loadFromCluster")]
    pub fn in_cluster() -> Result<Self, ConfigError> {
        Self::builder().in_cluster()
    }

    /// Finds it with parts of it said otherwise, or builds one outright.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The API server: scheme, host and port, and a path prefix where a kubeconfig has one.
    pub fn server(&self) -> &Uri {
        &self.server
    }

    /// The namespace to use where none is said.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The file that the bearer token is read from, where it is in one.
    pub fn token_file(&self) -> Option<&Path> {
        match &self.token {
            Token::File(path) => Some(path),
            Token::None | Token::Fixed(_) | Token::Renewable(_) => None,
        }
    }

    /// The trust anchors, PEM, as they are now; none where the system's roots are trusted, or nothing is, as with `http://`.
    ///
    /// # Errors
    /// [`ConfigError::Ca`] where the file they are in cannot be read.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        match &self.trust {
            Trust::File(path) => match std::fs::read(path) {
                Ok(pem) => Ok(Some(pem)),
                Err(source) => Err(ConfigError::Ca {
                    path: path.clone(),
                    source,
                }),
            },
            Trust::Pem(pem) => Ok(Some(pem.clone())),
            Trust::SystemRoots | Trust::Nobody => Ok(None),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Pem(_) => f.write_str("the configured CA"),
            Self::SystemRoots => f.write_str("the system's trust store"),
            Self::Nobody => f.write_str("nothing"),
        }
    }
}
