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
    #[doc(alias = "InClusterConfig")]
    #[doc(alias = "load_incluster_config")]
    pub fn in_cluster() -> Result<Self, ConfigError> {
        Self::builder().in_cluster()
    }

    /// Finds it with parts of it said otherwise.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }
}

impl ConfigBuilder {
    /// Where the files `token`, `ca.crt` and `namespace` are; `INPOD_SERVICE_ACCOUNT_DIR` and the well-known directory otherwise.
    #[must_use]
    pub fn service_account_dir(self, _dir: impl Into<PathBuf>) -> Self {
        self
    }

    /// Finds it.
    pub fn in_cluster(self) -> Result<Config, ConfigError> {
        Ok(Config {})
    }
}
