//! A server that a test says the answers of.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use inpod::{Client, Config, ConfigBuilder};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `name` and its key, PEM.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// What a server with a certificate for `name` speaks TLS with.
    pub(crate) fn tls(&self, name: &str, alpn: &[&str]) -> ServerConfig {
        let (certificate, key) = self.sign(name);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

#[cfg(feature = "aws-lc-rs")]
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The directory that a Pod is given.
pub(crate) struct Account(TempDir);

impl Account {
    pub(crate) fn new(token: &str, ca: &str) -> Self {
        let account = Self(tempfile::tempdir().unwrap());
        account.write("token", token);
        account.write("ca.crt", ca);
        account
    }

    /// Replaces a file at once, as a kubelet does.
    pub(crate) fn write(&self, name: &str, content: &str) {
        replace(self.0.path(), name, content);
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

pub(crate) fn replace(directory: &std::path::Path, name: &str, content: &str) {
    let new = directory.join("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, directory.join(name)).unwrap();
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What happens to all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// They end when their requests are answered: GOAWAY, or `Connection: close`.
    Drain,
    /// They break.
    Kill,
    /// They stay open, and nothing is read or written any more, as where a machine is gone.
    Freeze,
}

/// The server as its own answers see it.
#[derive(Clone)]
pub(crate) struct Control(broadcast::Sender<Fate>);

impl Control {
    pub(crate) fn drain(&self) {
        let _ = self.0.send(Fate::Drain);
    }

    pub(crate) fn freeze(&self) {
        let _ = self.0.send(Fate::Freeze);
    }

    pub(crate) fn kill(&self) {
        let _ = self.0.send(Fate::Kill);
    }
}

type Answer = dyn Fn(Request<Incoming>, Control) -> BoxFuture<'static, Reply> + Send + Sync;

/// Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) control: Control,
    protocol: Protocol,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    answer: Box<Answer>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// Those of them that are open.
    open: watch::Sender<usize>,
    /// None for plain HTTP.
    tls: Mutex<Option<TlsAcceptor>>,
    /// HTTP/2 streams on a connection.
    streams: u32,
}

impl Server {
    /// A server at 127.0.0.1 that answers what `answer` says.
    pub(crate) async fn start<F, A>(protocol: Protocol, answer: A) -> Self
    where
        A: Fn(Request<Incoming>, Control) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let authority = Authority::new();
        let tls = authority.tls("127.0.0.1", alpn(protocol));
        Self::custom(protocol, authority, Some(tls), 200, answer).await
    }

    pub(crate) async fn custom<F, A>(
        protocol: Protocol,
        authority: Authority,
        tls: Option<ServerConfig>,
        streams: u32,
        answer: A,
    ) -> Self
    where
        A: Fn(Request<Incoming>, Control) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(move |request, control| Box::pin(answer(request, control))),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            tls: Mutex::new(tls.map(|config| TlsAcceptor::from(Arc::new(config)))),
            streams,
        });
        let control = Control(broadcast::channel(8).0);
        Self {
            address: listener.local_addr().unwrap(),
            authority,
            protocol,
            accepting: tokio::spawn(accept(
                listener,
                protocol,
                Arc::clone(&shared),
                control.clone(),
            )),
            control,
            shared,
        }
    }

    /// A client in a Pod of this server's cluster.
    pub(crate) fn client(&self) -> (Account, Client) {
        let account = Account::new("one", &self.authority.pem);
        let client = client(self.config(&account));
        (account, client)
    }

    pub(crate) fn config(&self, account: &Account) -> ConfigBuilder {
        Config::builder()
            .service_account_dir(account.path())
            .server(format!("https://{}", self.address).parse().unwrap())
    }

    /// From the next connection on, a certificate of `authority` is shown.
    pub(crate) fn change_authority(&mut self, authority: Authority) {
        let tls = authority.tls("127.0.0.1", alpn(self.protocol));
        *self.shared.tls.lock().unwrap() = Some(TlsAcceptor::from(Arc::new(tls)));
        self.authority = authority;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The connections that were made, TLS included.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Until no connection is open.
    pub(crate) async fn closed(&self) {
        let mut open = self.shared.open.subscribe();
        open.wait_for(|open| *open == 0).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) fn client(config: ConfigBuilder) -> Client {
    Client::new(config.in_cluster().unwrap()).unwrap()
}

fn alpn(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Http1 => &["http/1.1"],
        Protocol::Http2 => &["h2", "http/1.1"],
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, shared: Arc<Shared>, control: Control) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        connections.spawn(serve(tcp, protocol, Arc::clone(&shared), control.clone()));
    }
}

async fn serve(tcp: TcpStream, protocol: Protocol, shared: Arc<Shared>, control: Control) {
    let tls = shared.tls.lock().unwrap().clone();
    let Some(tls) = tls else {
        return converse(tcp, protocol, shared, control).await;
    };
    // A client that does not trust the certificate ends it here.
    if let Ok(stream) = tls.accept(tcp).await {
        converse(stream, protocol, shared, control).await;
    }
}

async fn converse<S>(stream: S, protocol: Protocol, shared: Arc<Shared>, control: Control)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut fate = control.0.subscribe();
    shared.connections.fetch_add(1, Ordering::SeqCst);
    shared.open.send_modify(|open| *open += 1);
    let _open = Open(Arc::clone(&shared));
    let streams = shared.streams;
    let service = service_fn(move |request: Request<Incoming>| {
        shared.seen.lock().unwrap().push(Seen {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        });
        let answer = (shared.answer)(request, control.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new().serve_connection(stream, service);
            let mut connection = std::pin::pin!(connection.with_upgrades());
            loop {
                tokio::select! {
                    _ = connection.as_mut() => return,
                    fate = fate.recv() => match fate {
                        Ok(Fate::Drain) => connection.as_mut().graceful_shutdown(),
                        Ok(Fate::Freeze) => return std::future::pending().await,
                        _ => return,
                    },
                }
            }
        }
        Protocol::Http2 => {
            let mut connection = std::pin::pin!(
                http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(streams)
                    .serve_connection(stream, service)
            );
            loop {
                tokio::select! {
                    _ = connection.as_mut() => return,
                    fate = fate.recv() => match fate {
                        Ok(Fate::Drain) => connection.as_mut().graceful_shutdown(),
                        Ok(Fate::Freeze) => return std::future::pending().await,
                        _ => return,
                    },
                }
            }
        }
    }
}

/// Counts a connection out when it ends.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// An answer with these bytes.
pub(crate) fn reply(code: u16, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).boxed_unsync();
    Response::builder().status(code).body(body).unwrap()
}

/// An answer whose body is what the sender sends, until it is dropped.
pub(crate) fn stream() -> (mpsc::UnboundedSender<Bytes>, Reply) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((Ok(Frame::data(chunk)), receiver))
    });
    let body = UnsyncBoxBody::new(StreamBody::new(chunks));
    (sender, Response::new(body))
}

/// The request's body, read to its end.
pub(crate) async fn body(request: Request<Incoming>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes()
}
