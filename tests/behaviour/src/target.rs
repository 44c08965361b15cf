use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use inpod_apiserver::{Options, Server};
use jsonwebtoken::EncodingKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::request::Identity;
use crate::{Failure, Request};

/// The longest a server may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(75);

/// The version of HTTP that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// A server, and the client of the cases for it: hyper, with a connection of its own for each request, so that no case meets what
/// another one left.
pub struct Target {
    address: SocketAddr,
    administrator: Arc<ClientConfig>,
    anonymous: Arc<ClientConfig>,
    protocol: Protocol,
    /// What its service-account tokens are signed with.
    token_key: EncodingKey,
    /// Which is stopped when this is dropped.
    embedded: Option<Server>,
}

impl Target {
    /// A new embedded server.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn embedded(protocol: Protocol) -> Result<Self, Failure> {
        let token_key = rcgen::KeyPair::generate()?.serialize_pem();
        let server = Server::start(Options::default().token_key(&token_key)?).await?;
        let admin = server.admin();
        let (administrator, anonymous) = tls(
            server.ca_pem().as_bytes(),
            admin.certificate_pem().as_bytes(),
            admin.key_pem().as_bytes(),
            protocol,
        )?;
        Ok(Self {
            address: server.address(),
            administrator,
            anonymous,
            protocol,
            token_key: signing(token_key.as_bytes())?,
            embedded: Some(server),
        })
    }

    /// The real server that a kubeconfig of `inpod-real` leads to.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be read.
    pub fn real(kubeconfig: &Path, protocol: Protocol) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(kubeconfig)?;
        let address = text
            .split_once("https://")
            .and_then(|(_, rest)| rest.lines().next()?.parse().ok())
            .ok_or_else(|| Failure::new(format!("no address in {}", kubeconfig.display())))?;
        let read = |name| std::fs::read(kubeconfig.with_file_name(name));
        let (administrator, anonymous) = tls(
            &read("ca.crt")?,
            &read("admin.crt")?,
            &read("admin.key")?,
            protocol,
        )?;
        Ok(Self {
            address,
            administrator,
            anonymous,
            protocol,
            token_key: signing(&read("sa.key")?)?,
            embedded: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes sure that it still listens: of a server that has ended, every answer differs.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn still_there(&self) -> Result<(), Failure> {
        let address = self.address;
        let connected = TcpStream::connect(address).await;
        connected.map(drop).map_err(|error| {
            Failure::new(format!("the API server at {address} has ended: {error}"))
        })
    }

    /// Stops an embedded server; nothing happens to a real one.
    pub async fn stop(self) {
        if let Some(server) = self.embedded {
            server.shutdown().await;
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// What its service-account tokens are signed with.
    pub(crate) fn token_key(&self) -> &EncodingKey {
        &self.token_key
    }

    /// Sends a request, and answers when the head of the response is there.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response<Incoming>, Failure> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .map_err(|_| {
                Failure::new(format!(
                    "no answer within {PATIENCE:?} to {} {}",
                    request.method, request.path
                ))
            })?
    }

    async fn exchange(&self, request: &Request) -> Result<Response<Incoming>, Failure> {
        let config = match request.identity {
            Identity::Administrator => &self.administrator,
            Identity::Anonymous => &self.anonymous,
        };
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(config.clone())
            .connect(ServerName::from(self.address.ip()), stream)
            .await?;
        let io = TokioIo::new(stream);

        let uri = match self.protocol {
            Protocol::Http1 => request.path.clone(),
            Protocol::Http2 => format!("https://{}{}", self.address, request.path),
        };
        let mut built = http::Request::builder()
            .method(request.method.clone())
            .uri(uri);
        if self.protocol == Protocol::Http1 {
            built = built.header(http::header::HOST, self.address.to_string());
        }
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let built = built.body(Full::new(request.body.clone()))?;
        match self.protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
                // It ends with the response; how is seen there.
                tokio::spawn(async { drop(connection.await) });
                Ok(sender.send_request(built).await?)
            }
            Protocol::Http2 => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(async { drop(connection.await) });
                Ok(sender.send_request(built).await?)
            }
        }
    }
}

/// Without the keys.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// The head and the whole body.
pub(crate) async fn collect(
    response: Response<Incoming>,
) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await??;
    Ok((head.status, head.headers, body.to_bytes()))
}

fn signing(pem: &[u8]) -> Result<EncodingKey, Failure> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(Failure::new)?;
    Ok(EncodingKey::from_ec_der(key.secret_pkcs8_der()))
}

type Configs = (Arc<ClientConfig>, Arc<ClientConfig>);

fn tls(ca: &[u8], certificate: &[u8], key: &[u8], protocol: Protocol) -> Result<Configs, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).map_err(Failure::new)?)?;
    let builder = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots.clone()))
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate).map_err(Failure::new)?];
    let key = PrivateKeyDer::from_pem_slice(key).map_err(Failure::new)?;
    let mut administrator = builder()?.with_client_auth_cert(chain, key)?;
    let mut anonymous = builder()?.with_no_client_auth();
    for config in [&mut administrator, &mut anonymous] {
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
    }
    Ok((Arc::new(administrator), Arc::new(anonymous)))
}
