use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Door, Drain};
use crate::pki::Pki;

/// How long a client may take to get TLS going.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may be silent between two HTTP/1.1 requests, or in the middle of a request's head.
const IDLE: Duration = Duration::from_secs(90);
/// How often an HTTP/2 connection is asked whether its client is still there, and how long the answer may take.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);
/// The most requests on one HTTP/2 connection at a time, as kube-apiserver has it.
const STREAMS: u32 = 250;
/// The largest head of a request, in bytes: Go's default.
const HEAD: u32 = 1 << 20;
/// How long to leave alone a listener that cannot accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests under way get to finish once the server drains.
const GRACE: Duration = Duration::from_secs(10);

/// Takes connections and answers what comes over them through `door` until `drain` says so, and then until they are done.
pub(crate) async fn serve(
    listener: TcpListener,
    pki: Arc<Pki>,
    tls: Arc<rustls::ServerConfig>,
    door: Arc<Door>,
    drain: Drain,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    let mut drained = std::pin::pin!(drain.clone().wait());
    loop {
        tokio::select! {
            () = &mut drained => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(connection(stream, acceptor.clone(), pki.clone(), door.clone(), drain.clone()));
                }
                // The one connection is gone, the listener is not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    pki: Arc<Pki>,
    door: Arc<Door>,
    drain: Drain,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = within_handshake(&drain, handshake(stream, acceptor)).await else {
        return;
    };
    let session = tls.get_ref().1;
    let peer = pki.peer(
        session.peer_certificates().unwrap_or_default(),
        door.core().source.now(),
    );
    let http2 = session.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |mut request: Request<Incoming>| {
        let door = door.clone();
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        async move { Ok::<_, Infallible>(door.handle(request).await) }
    });

    let builder = builder(http2);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(tls), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = drain.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD);
    // ALPN has settled it; there is nothing to guess from the first bytes.
    if http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

async fn handshake(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0_u8; 1];
    stream.peek(&mut first).await?;
    // The first byte of TLS is a record type; a letter is somebody's plain HTTP, who is told so as Go tells them.
    if first[0].is_ascii_uppercase() {
        // What is left unread when a socket closes resets it, and the answer with it.
        let mut head = [0_u8; 4096];
        let _ = stream.read(&mut head).await?;
        stream
            .write_all(
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            )
            .await?;
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "plain HTTP on the TLS port",
        ));
    }
    acceptor.accept(stream).await
}

/// What `handshake` comes to; nothing where it fails, takes too long, or the server drains meanwhile.
async fn within_handshake<T>(
    drain: &Drain,
    handshake: impl Future<Output = io::Result<T>>,
) -> Option<T> {
    tokio::select! {
        done = tokio::time::timeout(HANDSHAKE, handshake) => match done {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                tracing::debug!("TLS handshake took too long");
                None
            }
        },
        () = drain.clone().wait() => None,
    }
}
