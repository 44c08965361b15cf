//! Whom to trust, and how to show who we are, in TLS.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::{Config, Trust};

/// The longest the CA file goes unread while new connections are made.
const OLDEST: Duration = Duration::from_secs(60);

/// Why TLS cannot be set up. The fault is the configuration's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The crate was built without `aws-lc-rs` and `ring`, and no provider was given.
    #[error("there is no cryptography: enable a feature of the crate inpod, or give a provider")]
    NoProvider,
    /// The CA bundle is unreadable, or has no certificate.
    #[error("{origin} cannot be used as a CA bundle: {what}")]
    Ca {
        /// The file, or where else it comes from.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
    /// The client certificate or its key is unreadable, or they do not belong together.
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(String),
    /// rustls refuses the configuration.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The TLS configuration for ordinary requests (HTTP/2 or 1.1) and for upgrades (1.1 only). One for the life of the client, so
/// that sessions are resumed.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) any: Arc<ClientConfig>,
    pub(crate) http1: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        let provider = config
            .provider
            .clone()
            .or_else(provider_of_features)
            .ok_or(TlsError::NoProvider)?;
        let verifier = Arc::new(Verifier::new(&config.trust, Arc::clone(&provider))?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut any = match &config.client_certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let wrong = |error: rustls_pki_types::pem::Error| {
                    TlsError::ClientCertificate(error.to_string())
                };
                let chain = CertificateDer::pem_slice_iter(&pair.chain)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(wrong)?;
                let key = PrivateKeyDer::from_pem_slice(&pair.key.0).map_err(wrong)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| TlsError::ClientCertificate(error.to_string()))?
            }
        };
        let mut http1 = any.clone();
        any.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            any: Arc::new(any),
            http1: Arc::new(http1),
        })
    }
}

/// The provider of the crate's features, never the process-wide default, which panics where two crates disagree.
#[allow(clippy::unnecessary_wraps, reason = "without a feature there is none")]
fn provider_of_features() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    None
}

/// Verifies as webpki does, with roots that follow the CA file: looked at again once a minute, and at once where a certificate
/// is signed by nobody we know, so that a rotation costs no failed request.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pem: Vec<u8>,
    webpki: Arc<WebPkiServerVerifier>,
    read_at: Instant,
}

impl Verifier {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let (file, pem) = match trust {
            Trust::File(path) => {
                let pem = fs::read(path).map_err(|error| TlsError::Ca {
                    origin: trust.to_string(),
                    what: error.to_string(),
                })?;
                (Some(path.clone()), pem)
            }
            Trust::Pem(pem) => (None, pem.clone()),
            Trust::SystemRoots | Trust::Nobody => (None, Vec::new()),
        };
        let roots = match trust {
            Trust::SystemRoots => system_roots(),
            Trust::File(_) | Trust::Pem(_) | Trust::Nobody => {
                roots(&pem).map_err(|what| TlsError::Ca {
                    origin: trust.to_string(),
                    what,
                })?
            }
        };
        let webpki = webpki(roots, &provider).map_err(|what| TlsError::Ca {
            origin: trust.to_string(),
            what,
        })?;
        Ok(Self {
            provider,
            file,
            state: Mutex::new(State {
                pem,
                webpki,
                read_at: Instant::now(),
            }),
        })
    }

    /// The verifier as it is now; read again where the file was not looked at for longer than `oldest`.
    fn current(&self, oldest: Duration) -> Arc<WebPkiServerVerifier> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.file
            && state.read_at.elapsed() >= oldest
        {
            state.read_at = Instant::now();
            let read = fs::read(path).map_err(|error| error.to_string());
            match read {
                Ok(pem) if pem == state.pem => {}
                Ok(pem) => match roots(&pem).and_then(|roots| webpki(roots, &self.provider)) {
                    Ok(webpki) => {
                        tracing::info!(path = %path.display(), "the cluster's CA has changed");
                        state.pem = pem;
                        state.webpki = webpki;
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "the new CA cannot be used; the last one is");
                    }
                },
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the CA cannot be read again; the last one is used on");
                }
            }
        }
        Arc::clone(&state.webpki)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = self.current(OLDEST);
        let answer =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match answer {
            // A new CA often has the old one's name, and then it is the signature that is wrong.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => {
                let newer = self.current(Duration::ZERO);
                if Arc::ptr_eq(&newer, &verifier) {
                    return answer;
                }
                newer.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current(OLDEST)
            .verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current(OLDEST)
            .verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// All certificates of a bundle.
fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it has no certificate".to_owned());
    }
    Ok(roots)
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a part of the system's roots cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn webpki(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca() -> (String, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        (params.self_signed(&key).unwrap().pem(), key)
    }

    #[test]
    fn a_bundle_may_hold_several_certificates_and_must_hold_one() {
        let bundle = format!("{}{}", ca().0, ca().0);
        assert_eq!(roots(bundle.as_bytes()).unwrap().len(), 2);
        assert!(roots(b"").is_err());
        assert!(roots(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }

    #[test]
    fn a_changed_ca_file_is_followed_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        fs::write(&path, ca().0).unwrap();
        let provider = provider_of_features().unwrap();
        let verifier = Verifier::new(&Trust::File(path.clone()), provider).unwrap();
        let first = verifier.current(Duration::ZERO);
        fs::write(&path, "garbage").unwrap();
        assert!(Arc::ptr_eq(&first, &verifier.current(Duration::ZERO)));
        fs::write(&path, ca().0).unwrap();
        assert!(Arc::ptr_eq(&first, &verifier.current(OLDEST)));
        assert!(!Arc::ptr_eq(&first, &verifier.current(Duration::ZERO)));
    }
}
