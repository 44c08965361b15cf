//! TCP and TLS, with limits on how long either may take.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{Tls, TlsError};
use crate::{Config, Error};

/// As client-go's dialer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a name has several addresses, the next is tried after this long: one that answers to nobody must not use up the whole
/// time.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Connector {
    host: String,
    port: u16,
    /// How the server is named in errors.
    shown: String,
    tls: Option<(Tls, ServerName<'static>)>,
}

/// A connection to the API server, encrypted or, by explicit configuration, not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
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
            let name = ServerName::try_from(name).map_err(|_not_a_name| {
                rustls::Error::General(format!("{host} is neither a DNS name nor an address"))
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
        let tcp = timeout(CONNECT_TIMEOUT, self.tcp())
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
        .map_err(failed)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::Tls(Box::new(stream)), http2))
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
