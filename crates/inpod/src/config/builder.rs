use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Uri;
use rustls::crypto::CryptoProvider;

use super::{ClientCertificate, Config, ConfigError, Trust};
use crate::credentials::{Authorization, RenewableToken, Secret, Token};
use crate::environment;

/// Finds a [`Config`] as [`Config::in_cluster`] does, with parts of it said otherwise, or builds one outright.
///
/// ```
/// # fn main() -> Result<(), inpod::ConfigError> {
/// let config = inpod::Config::builder()
///     .server("http://localhost:8001".parse().unwrap())
///     .namespace("team")
///     .build()?;
/// assert_eq!(config.namespace(), "team");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ConfigBuilder {
    directory: Option<PathBuf>,
    dns: bool,
    system_roots: bool,
    server: Option<Uri>,
    ca: Option<Vec<u8>>,
    token: Option<Token>,
    client_certificate: Option<ClientCertificate>,
    tls_server_name: Option<String>,
    namespace: Option<String>,
    provider: Option<Arc<CryptoProvider>>,
}

impl ConfigBuilder {
    /// Where the files `token`, `ca.crt` and `namespace` are; `INPOD_SERVICE_ACCOUNT_DIR` and the well-known directory otherwise.
    #[must_use]
    pub fn service_account_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Some(directory.into()),
            ..self
        }
    }

    /// Reaches the server by its name, `kubernetes.default.svc`, whatever the environment says.
    #[must_use]
    pub fn cluster_dns(self) -> Self {
        Self { dns: true, ..self }
    }

    /// Trusts the system's roots where there is no `ca.crt`. Never the default, and never beside a `ca.crt` or
    /// [`ConfigBuilder::ca_pem`].
    #[must_use]
    pub fn system_roots(self) -> Self {
        Self {
            system_roots: true,
            ..self
        }
    }

    /// The API server, outright; where its URL has a path, as behind Rancher, that is put in front of each request's.
    ///
    /// `http://` is for a proxy on this machine that has the credentials itself: the ones configured here are not sent over it.
    #[must_use]
    pub fn server(self, server: Uri) -> Self {
        Self {
            server: Some(server),
            ..self
        }
    }

    /// The only trust anchors: PEM, one certificate or several.
    #[must_use]
    pub fn ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        Self {
            ca: Some(pem.into()),
            ..self
        }
    }

    /// A bearer token that does not change.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self {
            token: Some(Token::Fixed(Secret(token.into()))),
            ..self
        }
    }

    /// A bearer token that is re-read from a file.
    #[must_use]
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        Self {
            token: Some(Token::File(path.into())),
            ..self
        }
    }

    /// A bearer token that the caller replaces.
    #[must_use]
    pub fn renewable_token(self, token: &RenewableToken) -> Self {
        Self {
            token: Some(Token::Renewable(token.clone())),
            ..self
        }
    }

    /// A client certificate with its chain, and its key, PEM.
    #[must_use]
    pub fn client_certificate_pem(
        self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            client_certificate: Some(ClientCertificate {
                chain: certificates.into(),
                key: Secret(key.into()),
            }),
            ..self
        }
    }

    /// The name that the server's certificate must have, where it is not the host of the address.
    #[must_use]
    pub fn tls_server_name(self, name: impl Into<String>) -> Self {
        Self {
            tls_server_name: Some(name.into()),
            ..self
        }
    }

    /// The namespace to use where none is said.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self {
            namespace: Some(namespace.into()),
            ..self
        }
    }

    /// The cryptography behind TLS, where it is not to be the one of the crate's features. The process-wide default of rustls is
    /// never looked at.
    #[must_use]
    pub fn crypto_provider(self, provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider: Some(provider),
            ..self
        }
    }

    /// Finds it as a Pod does; what was said outright wins.
    ///
    /// # Errors
    /// [`ConfigError`] says what was looked for, where, and the likely cause.
    pub fn in_cluster(self) -> Result<Config, ConfigError> {
        let variable = |name: &str| std::env::var_os(name);
        let directory = environment::directory(self.directory.clone(), variable);
        let server = match self.server.clone() {
            Some(server) => server,
            None => environment::server(self.dns, &directory, variable)?,
        };
        let token = self
            .token
            .clone()
            .unwrap_or_else(|| Token::File(directory.join("token")));
        // First of the files, because its absence has the likelier cause; now, because later it would be a failed request.
        Authorization::new(&token)?;
        let trust = self.pod_trust(&directory)?;
        let namespace = self
            .namespace
            .clone()
            .or_else(|| environment::namespace(&directory))
            .unwrap_or_else(|| "default".to_owned());
        if server.scheme_str() == Some("http") {
            return Err(ConfigError::NotEncrypted(server.to_string()));
        }
        self.finish(server, trust, token, namespace)
    }

    /// What was said outright, and nothing from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] where the server or its trust anchors are missing.
    pub fn build(self) -> Result<Config, ConfigError> {
        let server = self.server.clone().ok_or(ConfigError::NoServer)?;
        let trust = match &self.ca {
            Some(pem) => Trust::Pem(pem.clone()),
            None if server.scheme_str() == Some("http") => Trust::Nobody,
            None if self.system_roots => Trust::SystemRoots,
            None => return Err(ConfigError::NoTrust(server.to_string())),
        };
        let token = self.token.clone().unwrap_or(Token::None);
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        self.finish(server, trust, token, namespace)
    }

    /// The Pod's `ca.crt` is the only anchor where it is there.
    fn pod_trust(&self, directory: &Path) -> Result<Trust, ConfigError> {
        if let Some(pem) = &self.ca {
            return Ok(Trust::Pem(pem.clone()));
        }
        let path = directory.join("ca.crt");
        match std::fs::metadata(&path) {
            Ok(_) => Ok(Trust::File(path)),
            Err(error) if self.system_roots && error.kind() == ErrorKind::NotFound => {
                Ok(Trust::SystemRoots)
            }
            Err(source) => Err(ConfigError::Ca { path, source }),
        }
    }

    fn finish(
        self,
        server: Uri,
        trust: Trust,
        token: Token,
        namespace: String,
    ) -> Result<Config, ConfigError> {
        if server
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(ConfigError::UserInfo);
        }
        let has_host = server.host().is_some_and(|host| !host.is_empty());
        if !has_host || !matches!(server.scheme_str(), Some("https" | "http")) {
            return Err(ConfigError::ServerAddress(server.to_string()));
        }
        Ok(Config {
            server,
            namespace,
            trust,
            token,
            client_certificate: self.client_certificate,
            tls_server_name: self.tls_server_name,
            provider: self.provider,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(files: &[(&str, &str)]) -> (tempfile::TempDir, ConfigBuilder) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let builder = Config::builder()
            .service_account_dir(folder.path())
            .cluster_dns();
        (folder, builder)
    }

    #[test]
    fn a_pods_files_are_its_configuration() {
        let (folder, builder) = pod(&[("token", "t"), ("ca.crt", "c"), ("namespace", "team\n")]);
        let config = builder.in_cluster().unwrap();
        assert_eq!(config.namespace(), "team");
        assert_eq!(config.server(), "https://kubernetes.default.svc/");
        assert!(matches!(config.trust, Trust::File(path) if path == folder.path().join("ca.crt")));
    }

    #[test]
    fn without_a_namespace_file_it_is_default() {
        let (_folder, builder) = pod(&[("token", "t"), ("ca.crt", "c")]);
        assert_eq!(builder.in_cluster().unwrap().namespace(), "default");
    }

    #[test]
    fn without_a_ca_there_is_an_error_unless_system_roots_are_asked_for() {
        let (_folder, builder) = pod(&[("token", "t")]);
        let error = builder.clone().in_cluster().unwrap_err().to_string();
        assert!(error.contains("ca.crt"), "{error}");
        assert!(matches!(
            builder.system_roots().in_cluster().unwrap().trust,
            Trust::SystemRoots
        ));
    }

    #[test]
    fn system_roots_never_stand_in_for_a_ca_that_is_there() {
        let (_folder, builder) = pod(&[("token", "t"), ("ca.crt", "c")]);
        assert!(matches!(
            builder.system_roots().in_cluster().unwrap().trust,
            Trust::File(_)
        ));
    }

    #[test]
    fn a_missing_token_is_an_error_that_names_the_file_and_the_likely_cause() {
        for files in [&[][..], &[("ca.crt", "c")]] {
            let (folder, builder) = pod(files);
            let error = builder.in_cluster().unwrap_err().to_string();
            let file = folder.path().join("token");
            assert!(error.contains(file.to_str().unwrap()), "{error}");
            assert!(error.contains("automountServiceAccountToken"), "{error}");
        }
    }

    #[test]
    fn a_server_needs_a_scheme_a_host_and_trust() {
        let build = |server: &str| Config::builder().server(server.parse().unwrap()).build();
        assert!(matches!(
            build("https://a.example"),
            Err(ConfigError::NoTrust(_))
        ));
        assert!(matches!(build("/path"), Err(ConfigError::NoTrust(_))));
        assert!(matches!(
            Config::builder()
                .server("ftp://a".parse().unwrap())
                .ca_pem("c")
                .build(),
            Err(ConfigError::ServerAddress(_))
        ));
        assert!(build("http://localhost:8001").is_ok());
    }

    #[test]
    fn a_pod_sends_its_token_to_no_unencrypted_address() {
        let (_folder, builder) = pod(&[("token", "t"), ("ca.crt", "c")]);
        let builder = builder.server("http://10.96.0.1".parse().unwrap());
        assert!(matches!(
            builder.in_cluster(),
            Err(ConfigError::NotEncrypted(_))
        ));
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        let server = "https://me:sesame@a.example".parse().unwrap();
        let error = Config::builder().server(server).ca_pem("c").build();
        let error = error.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
    }

    #[test]
    fn the_parts_of_a_pods_configuration_can_be_asked_for() {
        let (folder, builder) = pod(&[("token", "t"), ("ca.crt", "c")]);
        let config = builder.in_cluster().unwrap();
        assert_eq!(config.token_file(), Some(&*folder.path().join("token")));
        assert_eq!(config.ca_pem().unwrap(), Some(b"c".to_vec()));
        std::fs::write(folder.path().join("ca.crt"), "new").unwrap();
        assert_eq!(config.ca_pem().unwrap(), Some(b"new".to_vec()));
        std::fs::remove_file(folder.path().join("ca.crt")).unwrap();
        assert!(matches!(config.ca_pem(), Err(ConfigError::Ca { .. })));
    }

    #[test]
    fn outside_a_pod_the_error_says_what_was_looked_for_and_what_mends_it() {
        let directory = Path::new("/nonexistent");
        let error = environment::server(false, directory, |_| None).unwrap_err();
        let text = error.to_string();
        for part in [
            "KUBERNETES_SERVICE_HOST",
            "/nonexistent/token",
            "automountServiceAccountToken",
            "inpod run",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn no_credential_is_in_the_debug_output() {
        let config = Config::builder()
            .server("https://a".parse().unwrap())
            .ca_pem("c")
            .token("sesame")
            .client_certificate_pem("chain", "sesame-key")
            .build()
            .unwrap();
        let text = format!("{config:?}");
        let key = format!("{:?}", b"sesame-key");
        assert!(
            !text.contains("sesame") && !text.contains(key.trim_matches(['[', ']'])),
            "{text}"
        );
    }
}
