//! TCP and TLS, with limits on how long either may take.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use crate::tls::{Tls, TlsError};
use crate::{Config, Error};

/// As client-go's dialer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a name has several addresses, the next is tried beside the last after this long (RFC 8305, 8): one that answers to
/// nobody, as an IPv6 address often does, must not use up the whole time.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Connector {
    host: String,
    port: u16,
    /// How the server is named in errors.
    shown: String,
    /// What its certificate is verified against, as named in errors.
    anchors: String,
    tls: Option<(Tls, ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, TlsError> {
        let server = config.server();
        let encrypted = server.scheme_str() == Some("https");
        let host = server
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let tls = if encrypted {
            let name = config
                .tls_server_name
                .clone()
                .unwrap_or_else(|| host.clone());
            let name = ServerName::try_from(name.clone()).map_err(|_not_a_name| {
                rustls::Error::General(format!("{name:?} is neither a DNS name nor an address"))
            })?;
            Some((Tls::new(config)?, name))
        } else {
            None
        };
        Ok(Self {
            port: server
                .port_u16()
                .unwrap_or(if encrypted { 443 } else { 80 }),
            shown: server
                .authority()
                .map_or_else(|| host.clone(), ToString::to_string),
            anchors: config.trust.to_string(),
            host,
            tls,
        })
    }

    /// A new connection, and whether HTTP/2 was agreed on.
    pub(super) async fn connect(&self, http1_only: bool) -> Result<(Stream, bool), Error> {
        let failed = |source: io::Error| Error::Connect {
            server: self.shown.clone(),
            source,
        };
        let dialed =
            async { dial(tokio::net::lookup_host((self.host.as_str(), self.port)).await?).await };
        let tcp = timeout(CONNECT_TIMEOUT, dialed)
            .await
            .map_err(|_elapsed| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        // Without it the last small frame of a request waits for the peer's delayed acknowledgement, 40 ms.
        tcp.set_nodelay(true).map_err(failed)?;
        let Some((tls, name)) = &self.tls else {
            return Ok((Stream::Plain(tcp), false));
        };
        let config = if http1_only { &tls.http1 } else { &tls.any };
        let stream = timeout(
            TLS_TIMEOUT,
            TlsConnector::from(config.clone()).connect(name.clone(), tcp),
        )
        .await
        .map_err(|_elapsed| {
            failed(io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer to the TLS handshake",
            ))
        })?
        .map_err(|error| self.refused(error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::Tls(Box::new(stream)), http2))
    }

    /// A certificate that is not the cluster's is told apart from a network that does not work.
    fn refused(&self, error: io::Error) -> Error {
        let server = self.shown.clone();
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(cause)) => Error::Untrusted {
                server,
                anchors: self.anchors.clone(),
                source: rustls::Error::InvalidCertificate(cause.clone()),
            },
            _ => Error::Connect {
                server,
                source: error,
            },
        }
    }
}

/// A connection to the first address that answers.
async fn dial(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        attempts.extend(next.map(TcpStream::connect));
        let answer = if is_last {
            attempts.next().await
        } else {
            match timeout(NEXT_ADDRESS_AFTER, attempts.next()).await {
                Ok(answer) => answer,
                Err(_elapsed) => continue,
            }
        };
        match answer {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(server: &str) -> Connector {
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::default().self_signed(&key);
        let config = Config::builder()
            .server(server.parse().unwrap())
            .ca_pem(ca.unwrap().pem())
            .build()
            .unwrap();
        Connector::new(&config).unwrap()
    }

    #[test]
    fn an_ipv6_address_has_brackets_in_texts_only() {
        let connector = connector("https://[fd00::1]:6443");
        assert_eq!((connector.host.as_str(), connector.port), ("fd00::1", 6443));
        assert_eq!(connector.shown, "[fd00::1]:6443");
        let (_, name) = connector.tls.unwrap();
        assert!(matches!(name, ServerName::IpAddress(_)), "{name:?}");
    }

    #[test]
    fn the_port_is_that_of_the_scheme_where_none_is_said() {
        assert_eq!(connector("https://kubernetes.default.svc").port, 443);
        assert_eq!(connector("http://localhost").port, 80);
    }

    #[tokio::test]
    async fn the_next_address_is_tried_where_one_refuses() {
        let listener = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await };
        let (gone, there) = (listener().await.unwrap(), listener().await.unwrap());
        let refusing = gone.local_addr().unwrap();
        let answering = there.local_addr().unwrap();
        drop(gone);
        let stream = dial([refusing, answering].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answering);
        let error = dial([refusing].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(dial(std::iter::empty()).await.is_err());
    }
}
