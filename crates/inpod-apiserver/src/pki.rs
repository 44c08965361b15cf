//! The cluster's certificate authority, and the certificates it is asked for at start.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use crate::Source;
use crate::auth::PeerCertificates;

/// The first address of kubeadm's default service range: the `ClusterIP` of the Service `kubernetes`.
const SERVICE_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// kubeadm's: a clock that is a little behind still finds a new certificate valid.
const BACKDATE: Duration = Duration::from_secs(5 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const CA_YEARS: u32 = 10;

/// The cluster's CA, its serving certificate, and its administrator's client certificate, all ECDSA P-256. No key is ever in its
/// `Debug`.
pub(crate) struct Pki {
    /// The CA's certificate, PEM: the only one that clients need to trust.
    pub(crate) ca_pem: String,
    /// The administrator's certificate and key, PEM.
    ///
    /// The group is `system:masters`, as in kubeadm's `super-admin.conf`: it works whatever the roles say. Since v1.29 kubeadm's
    /// everyday administrator is in `kubeadm:cluster-admins`, by which one can be revoked; a test cluster is thrown away instead,
    /// and an administrator who deletes a `ClusterRoleBinding` in a test should not be locked out.
    pub(crate) admin: PemPair,
    server: DerPair,
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// A certificate and its private key, PEM.
#[derive(Clone)]
pub(crate) struct PemPair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

struct DerPair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Why there is no PKI: always a fault of this crate, as nothing in it comes from outside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PkiError {
    /// A key or certificate could not be made.
    #[error("cannot make the cluster's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not take what was made.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The CA is none that client certificates can be verified against.
    #[error("cannot verify client certificates: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}

impl Pki {
    /// A new CA, and what it signs. The serving certificate is good for the names of the Service `kubernetes`, the loopback
    /// addresses, `addresses` and `hostname`.
    ///
    /// Keys come from the cryptographic library's own generator; only the time comes from `source`.
    pub(crate) fn new(
        source: &dyn Source,
        addresses: &[IpAddr],
        hostname: Option<&str>,
    ) -> Result<Self, PkiError> {
        let now = source.now();
        let ca = CertifiedIssuer::self_signed(ca(now)?, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let certificate = serving(now, addresses, hostname)?.signed_by(&key, &ca)?;
        let server = DerPair {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        };

        let key = KeyPair::generate()?;
        let certificate = administrator(now).signed_by(&key, &ca)?;
        let admin = PemPair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };

        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?;
        Ok(Self {
            ca_pem: ca.pem(),
            admin,
            server,
            provider,
            clients,
        })
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN. A client certificate is asked for and not insisted on.
    ///
    /// As with the real server, the handshake succeeds with any certificate whose key the client has; whether it is one of this
    /// cluster is what [`Pki::peer`] tells, and a wrong one is answered with a 401 that says so in Kubernetes' own terms.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, PkiError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(Ask(self.clients.clone())))
            .with_single_cert(self.server.chain.clone(), self.server.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// What a connection's client certificates (`peer_certificates()` of its TLS session) say, for the extensions of its requests;
    /// None where there are none.
    pub(crate) fn peer(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Option<PeerCertificates> {
        (!chain.is_empty()).then(|| PeerCertificates::verify(&*self.clients, chain, now))
    }
}

/// Asks for a client certificate and takes any, as Go's `tls.RequestClientCert`; that the client has the key is checked.
#[derive(Debug)]
struct Ask(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Ask {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn ca(now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(["kubernetes".to_owned()])?;
    valid(&mut params, now, CA_YEARS);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    Ok(params)
}

fn serving(
    now: SystemTime,
    addresses: &[IpAddr],
    hostname: Option<&str>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = leaf(now, "kube-apiserver", ExtendedKeyUsagePurpose::ServerAuth);
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    for name in names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.try_into()?));
    }
    // A machine may be called what no certificate can say; then it goes without.
    if let Some(name) = hostname.filter(|name| !names.contains(name)) {
        params
            .subject_alt_names
            .extend(name.try_into().ok().map(SanType::DnsName));
    }
    let own = [
        SERVICE_IP,
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for &ip in own.iter().chain(addresses) {
        let san = SanType::IpAddress(ip);
        if !ip.is_unspecified() && !params.subject_alt_names.contains(&san) {
            params.subject_alt_names.push(san);
        }
    }
    Ok(params)
}

fn administrator(now: SystemTime) -> CertificateParams {
    let mut params = leaf(now, "kubernetes-admin", ExtendedKeyUsagePurpose::ClientAuth);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    params
}

fn leaf(now: SystemTime, name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    valid(&mut params, now, 1);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![usage];
    // Python verifies strictly since 3.13, and that wants to know which key signed (RFC 5280, section 4.2.1.1).
    params.use_authority_key_identifier_extension = true;
    params
}

fn valid(params: &mut CertificateParams, now: SystemTime, years: u32) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + now.saturating_sub(BACKDATE);
    params.not_after = epoch + now + YEAR * years;
}

/// Without keys.
impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for PemPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemPair").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
