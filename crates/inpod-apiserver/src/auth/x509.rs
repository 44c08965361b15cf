//! Client certificates: the common name is the user, the organizations are the groups.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::UserInfo;

/// Kubernetes' attribute for a user's uid in a certificate's subject: `1.3.6.1.4.1.57683.2`.
const UID_ATTRIBUTE: &str = "1.3.6.1.4.1.57683.2";

/// What the connection's client certificate says, found out once a connection; put into each request's extensions by the wire.
///
/// There is no way to make one without verifying the chain.
#[derive(Debug, Clone)]
pub(crate) struct PeerCertificates(Result<Arc<Identity>, Refused>);

/// Why a client certificate is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refused {
    /// The cluster's CA did not sign it, or not for clients.
    #[error("the client certificate is not one of this cluster: {0}")]
    Chain(rustls::Error),
    /// It is no certificate, or its subject is no user's.
    #[error("the client certificate cannot be read: {0}")]
    Malformed(&'static str),
    /// Now is not between its `notBefore` and its `notAfter`.
    #[error("the client certificate is expired or not valid yet")]
    Expired,
}

#[derive(Debug)]
struct Identity {
    /// None where the subject has no common name: then the certificate says nothing.
    user: Option<UserInfo>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl PeerCertificates {
    /// Verifies `chain`, leaf first.
    pub(crate) fn verify(
        verifier: &dyn ClientCertVerifier,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Self {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Self(Err(Refused::Malformed("the chain is empty")));
        };
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let trusted = verifier
            .verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(since))
            .map_err(Refused::Chain);
        Self(trusted.and_then(|_| Identity::of(leaf).map(Arc::new)))
    }

    /// Who the certificate stands for at the time of a request; None where it names nobody.
    pub(crate) fn user(&self, now: SystemTime) -> Result<Option<UserInfo>, Refused> {
        let identity = self.0.as_ref().map_err(Refused::clone)?;
        if now < identity.not_before || now > identity.not_after {
            return Err(Refused::Expired);
        }
        Ok(identity.user.clone())
    }
}

impl Identity {
    fn of(leaf: &CertificateDer<'_>) -> Result<Self, Refused> {
        let (_, certificate) =
            X509Certificate::from_der(leaf).map_err(|_| Refused::Malformed("not X.509"))?;
        let subject = certificate.subject();
        let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            value
                .as_str()
                .map(str::to_owned)
                .map_err(|_| Refused::Malformed("an attribute of its subject is no text"))
        };
        // As Go's pkix.Name has it: of several common names, the last one.
        let username = subject
            .iter_common_name()
            .last()
            .map(text)
            .transpose()?
            .unwrap_or_default();
        let groups: Vec<String> = subject
            .iter_organization()
            .map(text)
            .collect::<Result<_, _>>()?;
        let uids: Vec<String> = subject
            .iter_attributes()
            .filter(|attribute| attribute.attr_type().to_id_string() == UID_ATTRIBUTE)
            .map(text)
            .collect::<Result<_, _>>()?;
        let uid = match uids.as_slice() {
            [] => String::new(),
            [uid] if !uid.is_empty() => uid.clone(),
            _ => return Err(Refused::Malformed("its subject has no single uid")),
        };
        let mut credential = "X509SHA256=".to_owned();
        for byte in Sha256::digest(leaf) {
            let _ = write!(credential, "{byte:02x}");
        }
        let validity = certificate.validity();
        Ok(Self {
            user: (!username.is_empty()).then(|| UserInfo {
                username,
                uid,
                groups,
                extra: [(
                    "authentication.kubernetes.io/credential-id".to_owned(),
                    vec![credential],
                )]
                .into(),
            }),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }
}

/// Seconds since 1970; what is before counts as 1970.
fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
