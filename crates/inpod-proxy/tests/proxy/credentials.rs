use std::sync::Arc;

use inpod::{Client, Config};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::support::{End, Setup, soon, value};

/// An API server with TLS, which gets the token that the proxy was given.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: String,
}

impl Server {
    async fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: made.cert.pem(),
        }
    }

    fn client(&self) -> Client {
        let server = format!("https://{}", self.listener.local_addr().unwrap());
        let config = Config::builder()
            .server(server.parse().unwrap())
            .ca_pem(self.certificate.as_bytes())
            .token("ours")
            .build();
        Client::new(config.unwrap()).unwrap()
    }

    async fn accept(&self) -> End<TlsStream<TcpStream>> {
        let accepted = soon("a connection upstream", self.listener.accept()).await;
        let accepted = self.acceptor.accept(accepted.unwrap().0);
        End::new(soon("the handshake", accepted).await.unwrap())
    }
}

#[tokio::test]
async fn the_server_gets_the_proxys_token_and_never_the_clients() {
    let server = Server::new().await;
    let proxy = Setup::before(server.client()).await;
    for upgrade in ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"] {
        let mut client = proxy.connect().await;
        client
            .send(format!(
                "GET /api HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer theirs\r\n{upgrade}\r\n"
            ))
            .await;
        let mut asked = server.accept().await;
        let head = asked.head().await;
        assert_eq!(value(&head, "authorization"), Some("Bearer ours"), "{head}");
        assert!(!head.contains("theirs"), "{head}");
        asked
            .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        assert!(!head.contains("ours"), "{head}");
    }
}

#[tokio::test]
async fn a_server_that_is_an_impostor_is_not_asked() {
    let server = Server::new().await;
    let other = Server::new().await;
    let trusted = Config::builder()
        .server(
            format!("https://{}", server.listener.local_addr().unwrap())
                .parse()
                .unwrap(),
        )
        .ca_pem(other.certificate.as_bytes())
        .token("ours")
        .build();
    let proxy = Setup::before(Client::new(trusted.unwrap()).unwrap()).await;
    let mut client = proxy.connect().await;
    client
        .send("GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    let accepted = soon("a connection upstream", server.listener.accept()).await;
    assert!(server.acceptor.accept(accepted.unwrap().0).await.is_err());
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("certificate"), "{answer}");
    assert!(!answer.contains("ours"), "{answer}");
}
