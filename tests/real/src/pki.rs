//! The certificates of the control plane, with the names that the embedded server's have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::Error;
use crate::plane::write;

/// The names and addresses that the API server is reached by.
const NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];
const ADDRESSES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Writes `ca.crt`, `apiserver.{crt,key}`, `admin.{crt,key}`, `controller-manager.{crt,key}`, and the key of service-account
/// tokens `sa.key` with its public half `sa.pub`.
pub(crate) fn write_all(folder: &Path) -> Result<(), Error> {
    let ca = CertifiedIssuer::self_signed(authority()?, KeyPair::generate()?)?;
    write(&folder.join("ca.crt"), ca.pem())?;

    let mut server = leaf("kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth);
    for name in NAMES {
        server
            .subject_alt_names
            .push(SanType::DnsName(name.try_into()?));
    }
    server
        .subject_alt_names
        .extend(ADDRESSES.map(SanType::IpAddress));
    let client = |name, group| leaf(name, group, ExtendedKeyUsagePurpose::ClientAuth);
    let pairs = [
        ("apiserver", server),
        ("admin", client("kubernetes-admin", Some("system:masters"))),
        (
            "controller-manager",
            client("system:kube-controller-manager", None),
        ),
    ];
    for (name, params) in pairs {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &ca)?;
        write(&folder.join(format!("{name}.crt")), certificate.pem())?;
        write(&folder.join(format!("{name}.key")), key.serialize_pem())?;
    }

    let key = KeyPair::generate()?;
    write(&folder.join("sa.key"), key.serialize_pem())?;
    write(&folder.join("sa.pub"), key.public_key_pem())
}

fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(["kubernetes".to_owned()])?;
    params.distinguished_name = named("kubernetes", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    Ok(params)
}

fn leaf(name: &str, group: Option<&str>, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name, group);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    if let Some(group) = group {
        distinguished.push(DnType::OrganizationName, group);
    }
    distinguished
}
