//! A server, the crate `inpod` as its client, and plain HTTP/1.1 and HTTP/2 clients, so that what goes over the wire is seen
//! as it is.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use inpod::{Client, Config, ConfigBuilder};
use inpod_apiserver::{Options, Server};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server with the usual lifetimes, on a free port.
pub(crate) async fn server() -> Server {
    Server::start(Options::default())
        .await
        .expect("the server starts")
}

/// How the crate `inpod` reaches the server, without credentials.
pub(crate) fn config(server: &Server) -> ConfigBuilder {
    Config::builder()
        .server(server.url().parse().expect("a URL"))
        .ca_pem(server.ca_pem())
}

/// The crate's client, as the administrator.
pub(crate) fn admin(server: &Server) -> Client {
    let admin = server.admin();
    let config = config(server)
        .client_certificate_pem(admin.certificate_pem(), admin.key_pem())
        .build()
        .expect("a configuration");
    Client::new(config).expect("a client")
}

/// Who sends a request.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    Admin,
    Token(&'a str),
    Nobody,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("the header is text"))
    }
}

/// A connection that speaks what `protocol` names in ALPN.
async fn connect(server: &Server, who: As<'_>, protocol: &[u8]) -> TokioIo<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).expect("the CA is PEM");
    roots.add(ca).expect("the CA is one");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots);
    let mut config = if let As::Admin = who {
        let pem = server.admin().certificate_pem().as_bytes();
        let certificate = CertificateDer::from_pem_slice(pem).expect("the certificate is PEM");
        let key = PrivateKeyDer::from_pem_slice(server.admin().key_pem().as_bytes());
        config
            .with_client_auth_cert(vec![certificate], key.expect("the key is PEM"))
            .expect("certificate and key belong together")
    } else {
        config.with_no_client_auth()
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(server.address())
        .await
        .expect("the server listens");
    let name = ServerName::try_from("kubernetes.default.svc").expect("a DNS name");
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("the certificate is good for the name");
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(protocol));
    TokioIo::new(tls)
}

/// Sends a request over a connection of its own, and hands back the answer's head and its body as it comes.
pub(crate) async fn open(
    server: &Server,
    who: As<'_>,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> http::Response<Incoming> {
    let io = connect(server, who, b"http/1.1").await;
    let (mut sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let mut request = request.header("host", "kubernetes.default.svc");
    if let As::Token(token) = who {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    sender
        .send_request(
            request
                .body(Full::new(body.into()))
                .expect("the request is well-formed"),
        )
        .await
        .expect("there is an answer")
}

/// The administrator's end of an HTTP/2 connection, and the task that ends with it.
pub(crate) async fn http2(server: &Server) -> (http2::SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let io = connect(server, As::Admin, b"h2").await;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    let ended = tokio::spawn(async move { connection.await.expect("the connection ends well") });
    (sender, ended)
}

/// [`open`], with the answer read to its end.
pub(crate) async fn send(
    server: &Server,
    who: As<'_>,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    let (parts, body) = open(server, who, request, body).await.into_parts();
    Answer {
        code: parts.status,
        headers: parts.headers,
        body: body.collect().await.expect("the body is whole").to_bytes(),
    }
}

/// A GET by the administrator.
pub(crate) async fn get(server: &Server, path: &str) -> Answer {
    send(server, As::Admin, Request::get(path), "").await
}

/// A request of the administrator with a JSON body.
pub(crate) async fn json(server: &Server, method: Method, path: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    send(server, As::Admin, request, body.to_string()).await
}

/// The events of a watch, line by line.
pub(crate) struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

/// A watch by the administrator.
pub(crate) async fn watch(server: &Server, path: &str, accept: &str) -> Lines {
    let request = Request::get(path).header("accept", accept);
    let response = open(server, As::Admin, request, "").await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json");
    Lines::of(response.into_body())
}

impl Lines {
    pub(crate) fn of(body: Incoming) -> Self {
        Self {
            body,
            rest: Vec::new(),
        }
    }

    /// The next event; none where the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event is JSON"));
            }
            let frame = self.body.frame().await?.expect("the watch does not break");
            if let Some(data) = frame.data_ref() {
                self.rest.extend_from_slice(data);
            }
        }
    }

    /// The next event, as `TYPE name`.
    pub(crate) async fn next_name(&mut self) -> String {
        let event = self.next().await.expect("the watch goes on");
        format!(
            "{} {}",
            event["type"].as_str().unwrap_or_default(),
            event["object"]["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
        )
    }
}
