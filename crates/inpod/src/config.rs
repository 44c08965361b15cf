use std::path::PathBuf;

/// How to reach an API server: its address, whom to trust, who to be.
#[derive(Debug, Clone)]
pub struct Config {}

/// Finds a [`Config`] as [`Config::in_cluster`] does, with parts of it said otherwise.
#[derive(Debug, Clone, Default)]
pub struct ConfigBuilder {}

/// Why no [`Config`] was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {}

impl Config {
    /// The configuration a Pod is given.
    ///
    /// # Errors
    /// [`ConfigError`] says what was looked for, where, and the likely cause.
    #[doc(alias = "InClusterConfig")]
    #[doc(alias = "load_incluster_config")]
    pub fn in_cluster() -> Result<Self, ConfigError> {
        Self::builder().in_cluster()
    }

    /// Finds it with parts of it said otherwise, or builds one outright.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The API server: scheme, host and port, and a path prefix where a kubeconfig has one.
    pub fn server(&self) -> &http::Uri {
        unimplemented!()
    }

    /// The namespace to use where none is said.
    pub fn namespace(&self) -> &str {
        ""
    }
}

impl ConfigBuilder {
    /// Where the files `token`, `ca.crt` and `namespace` are; `INPOD_SERVICE_ACCOUNT_DIR` and the well-known directory otherwise.
    #[must_use]
    pub fn service_account_dir(self, _dir: impl Into<PathBuf>) -> Self {
        self
    }

    /// Reaches the server by its name, `kubernetes.default.svc`, whatever the environment says.
    #[must_use]
    pub fn cluster_dns(self) -> Self {
        self
    }

    /// Trusts the system's roots where there is no `ca.crt`. Never the default.
    #[must_use]
    pub fn system_roots(self) -> Self {
        self
    }

    /// The API server, outright.
    #[must_use]
    pub fn server(self, _server: http::Uri) -> Self {
        self
    }

    /// The only trust anchors: PEM, one certificate or several.
    #[must_use]
    pub fn ca_pem(self, _pem: impl Into<Vec<u8>>) -> Self {
        self
    }

    /// A bearer token that does not change.
    #[must_use]
    pub fn token(self, _token: impl Into<String>) -> Self {
        self
    }

    /// A bearer token that is re-read from a file.
    #[must_use]
    pub fn token_file(self, _path: impl Into<PathBuf>) -> Self {
        self
    }

    /// A client certificate and its key, PEM.
    #[must_use]
    pub fn client_certificate_pem(
        self,
        _certificates: impl Into<Vec<u8>>,
        _key: impl Into<Vec<u8>>,
    ) -> Self {
        self
    }

    /// The name that the server's certificate must have, where it is not the host of the address.
    #[must_use]
    pub fn tls_server_name(self, _name: impl Into<String>) -> Self {
        self
    }

    /// The namespace to use where none is said.
    #[must_use]
    pub fn namespace(self, _namespace: impl Into<String>) -> Self {
        self
    }

    /// Finds it as a Pod does; what was said outright wins.
    ///
    /// # Errors
    /// [`ConfigError`] says what was looked for, where, and the likely cause.
    pub fn in_cluster(self) -> Result<Config, ConfigError> {
        Ok(Config {})
    }

    /// What was said outright, and nothing from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] where the server or its trust anchors are missing or unreadable.
    pub fn build(self) -> Result<Config, ConfigError> {
        Ok(Config {})
    }
}
