//! Whose certificate is believed.

use std::sync::Arc;

use inpod::{Client, Config, Error, TlsError};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::over_both;
use crate::server::{Account, Authority, Protocol, Server, client, provider, reply};

over_both! {
    async fn only_the_pods_ca_is_trusted(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let account = Account::new("one", &Authority::new().pem);
        let client = client(server.config(&account));
        let error = client.get::<Value>("/api").await.unwrap_err();
        assert!(matches!(error, Error::Untrusted { .. }), "{error:?}");
        let text = error.to_string();
        let file = account.path().join("ca.crt");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert!(text.contains(&server.address.to_string()), "{text}");
        assert!(server.seen().is_empty());
    }

    async fn a_new_ca_costs_no_request(protocol) {
        let mut server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (account, client) = server.client();
        let _: Value = client.get("/api").await.unwrap();
        server.change_authority(Authority::new());
        account.write("ca.crt", &server.authority.pem);
        server.control.kill();
        let _: Value = client.get("/api").await.unwrap();
        assert_eq!(server.connections(), 2);
    }

    async fn each_certificate_of_a_bundle_is_an_anchor(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let bundle = format!("{}\n{}", Authority::new().pem, server.authority.pem);
        let account = Account::new("one", &bundle);
        let _: Value = client(server.config(&account)).get("/api").await.unwrap();
    }
}

#[tokio::test]
async fn the_certificate_must_have_the_servers_name_or_the_one_that_was_configured() {
    let authority = Authority::new();
    let tls = authority.tls("kubernetes", &["h2"]);
    let answer = |_, _| async { reply(200, "{}") };
    let server = Server::custom(Protocol::Http2, authority, Some(tls), 9, answer).await;
    let account = Account::new("one", &server.authority.pem);
    let error = client(server.config(&account)).get::<Value>("/api").await;
    assert!(matches!(error, Err(Error::Untrusted { .. })), "{error:?}");
    let config = server.config(&account).tls_server_name("kubernetes");
    let _: Value = client(config).get("/api").await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .unwrap();
    let (certificate, key) = authority.sign("127.0.0.1");
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let answer = |_, _| async { reply(200, "{}") };
    let server = Server::custom(Protocol::Http2, authority, Some(tls), 9, answer).await;
    let config = || {
        Config::builder()
            .server(format!("https://{}", server.address).parse().unwrap())
            .ca_pem(&*server.authority.pem)
    };
    let nobody = Client::new(config().build().unwrap()).unwrap();
    assert!(nobody.get::<Value>("/api").await.is_err());
    let (certificate, key) = server.authority.sign("admin");
    let config = config().client_certificate_pem(certificate, key);
    let admin = Client::new(config.build().unwrap()).unwrap();
    let _: Value = admin.get("/api").await.unwrap();
}

#[test]
fn a_ca_file_without_a_certificate_is_an_error_that_names_it() {
    let account = Account::new("one", "nothing");
    let config = Config::builder()
        .service_account_dir(account.path())
        .cluster_dns()
        .in_cluster()
        .unwrap();
    let error = Client::new(config).unwrap_err();
    assert!(
        matches!(error, Error::Tls(TlsError::Ca { .. })),
        "{error:?}"
    );
    let file = account.path().join("ca.crt");
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
}
