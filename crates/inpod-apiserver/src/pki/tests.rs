use std::io::{Read, Write};

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

use super::*;
use crate::SystemSource;

fn pki() -> Pki {
    let address = Ipv4Addr::new(192, 0, 2, 7).into();
    Pki::new(&SystemSource, &[address], Some("build-host")).expect("a PKI")
}

/// A client that trusts `server`'s CA and, with `admin`, sends that cluster's administrator's certificate.
fn client(server: &Pki, admin: Option<&Pki>, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.ca_pem.as_bytes()).expect("a certificate");
    roots.add(ca).expect("a CA");
    let builder = ClientConfig::builder_with_provider(server.provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match admin {
        None => builder.with_no_client_auth(),
        Some(pki) => {
            let pair = &pki.admin;
            let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            builder
                .with_client_auth_cert(vec![certificate.expect("a certificate")], key)
                .expect("a pair")
        }
    };
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A handshake in memory, and a message each way; the server's side of it.
fn handshake(
    server: &Pki,
    client: Arc<ClientConfig>,
    name: &str,
) -> Result<ServerConnection, rustls::Error> {
    let config = server.server_config().expect("a configuration");
    let mut server = ServerConnection::new(Arc::new(config))?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(client, name)?;
    while client.is_handshaking() || server.is_handshaking() {
        transfer(|out| client.write_tls(out), |input| server.read_tls(input));
        server.process_new_packets()?;
        transfer(|out| server.write_tls(out), |input| client.read_tls(input));
        client.process_new_packets()?;
    }
    client.writer().write_all(b"hello").expect("memory");
    transfer(|out| client.write_tls(out), |input| server.read_tls(input));
    server.process_new_packets()?;
    let mut hello = [0; 5];
    server.reader().read_exact(&mut hello).expect("the message");
    Ok(server)
}

fn transfer(
    mut from: impl FnMut(&mut dyn Write) -> std::io::Result<usize>,
    mut to: impl FnMut(&mut dyn Read) -> std::io::Result<usize>,
) {
    let mut buffer = Vec::new();
    while from(&mut buffer).expect("memory") > 0 {}
    let mut input = buffer.as_slice();
    while !input.is_empty() {
        to(&mut input).expect("memory");
    }
}

#[test]
fn every_name_of_the_server_is_in_its_certificate() {
    let pki = pki();
    for name in [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "build-host",
        "10.96.0.1",
        "127.0.0.1",
        "::1",
        "192.0.2.7",
    ] {
        let server = handshake(&pki, client(&pki, None, &["h2", "http/1.1"]), name);
        let server = server.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
        assert!(server.peer_certificates().is_none());
    }
    assert!(handshake(&pki, client(&pki, None, &[]), "example.com").is_err());
}

#[test]
fn a_client_that_knows_only_http_1_gets_it() {
    let pki = pki();
    let server = handshake(&pki, client(&pki, None, &["http/1.1"]), "localhost").expect("TLS");
    assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_client_of_another_cluster_does_not_trust_the_certificate() {
    let (pki, other) = (pki(), pki());
    assert!(handshake(&pki, client(&other, None, &[]), "localhost").is_err());
}

#[test]
fn the_administrators_certificate_is_good() {
    let pki = pki();
    let server = handshake(&pki, client(&pki, Some(&pki), &[]), "localhost").expect("TLS");
    let now = SystemTime::now();
    let chain = server.peer_certificates().expect("it was sent");
    let user = pki.peer(chain, now).expect("a peer").user(now);
    let user = user.expect("verified").expect("named");
    assert_eq!(user.username, "kubernetes-admin");
    assert_eq!(user.groups, ["system:masters"]);
}

#[test]
fn a_wrong_certificate_passes_the_handshake_and_is_refused_after_it() {
    let (pki, other) = (pki(), pki());
    let server = handshake(&pki, client(&pki, Some(&other), &[]), "localhost").expect("TLS");
    let now = SystemTime::now();
    let chain = server
        .peer_certificates()
        .expect("both CAs have one name, so it was sent");
    assert!(pki.peer(chain, now).expect("a peer").user(now).is_err());
}

#[test]
fn the_serving_certificate_is_no_clients() {
    let pki = pki();
    let now = SystemTime::now();
    let peer = pki.peer(&pki.server.chain, now).expect("a peer");
    assert!(peer.user(now).is_err());
    assert!(pki.peer(&[], now).is_none());
}

#[test]
fn a_clock_a_little_behind_finds_the_certificates_valid() {
    let pki = pki();
    for (pem, years) in [(&pki.ca_pem, 10), (&pki.admin.certificate, 1)] {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        let validity = pem.parse_x509().expect("X.509").validity().clone();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let seconds = |time: x509_parser::time::ASN1Time| {
            u64::try_from(time.timestamp()).expect("after 1970")
        };
        let behind = now.as_secs() - seconds(validity.not_before);
        assert!((300..320).contains(&behind), "{behind}");
        let ahead = seconds(validity.not_after) - now.as_secs();
        assert_eq!(ahead.div_ceil(86400), years * 365);
    }
}

#[test]
fn a_host_name_that_no_certificate_can_say_is_left_out() {
    let pki = Pki::new(
        &SystemSource,
        &[Ipv4Addr::UNSPECIFIED.into()],
        Some("größe"),
    )
    .expect("a PKI");
    assert!(handshake(&pki, client(&pki, None, &[]), "localhost").is_ok());
}

#[test]
fn no_key_is_in_debug() {
    let pki = pki();
    let text = format!("{pki:?} {:?}", pki.admin);
    assert_eq!(text, "Pki { .. } PemPair { .. }");
}
