//! Connections to one API server: HTTP/2 shared by ordinary requests, or HTTP/1.1 kept for the next one where the server has no
//! more, and an HTTP/1.1 connection of its own for each upgrade.

mod connect;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::tls::TlsError;
use crate::{Body, Config, Error};
use connect::{Connector, Stream};

/// Dead connections are found within 45 seconds, as client-go finds them (kubernetes/client-go#374).
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Streams on a connection before another is opened, where the server does not say less: API servers allow 100 to 250, and a
/// request that waits behind watches may wait for ever.
const MOST_STREAMS: usize = 100;

/// HTTP/1.1 connections kept for the next request.
const MOST_IDLE: usize = 16;

/// How often a request is put on a new connection because the last one turned out to be closed before it was sent.
const MOST_UNSENT: usize = 3;

#[derive(Debug)]
pub(crate) struct Transport {
    connector: Connector,
    pool: Arc<Mutex<Pool>>,
    /// Held while the first connection is made, so that requests which start together share it.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Pool {
    shared: Vec<Shared>,
    idle: Vec<http1::SendRequest<Body>>,
    /// Whether the server spoke only HTTP/1.1 when last asked.
    http1_only: bool,
}

/// An HTTP/2 connection.
#[derive(Debug, Clone)]
struct Shared {
    sender: http2::SendRequest<Body>,
    /// As many clones as there are streams, and one more.
    streams: Arc<()>,
    /// How many streams the server allows (`SETTINGS_MAX_CONCURRENT_STREAMS`), as far as it has said.
    allowed: Arc<AtomicUsize>,
}

/// A connection that a request may be sent on.
enum Connection {
    Shared(Shared),
    Own(http1::SendRequest<Body>),
}

/// What keeps a stream counted until its response is read or dropped.
#[derive(Debug)]
pub(crate) struct InUse {
    _stream: Option<Arc<()>>,
}

impl Transport {
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        Ok(Self {
            connector: Connector::new(config)?,
            pool: Arc::default(),
            connecting: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a request whose URI is absolute, and answers when the response's head is here.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<(Response<Incoming>, InUse), Error> {
        let mut may_repeat = may_be_sent_twice(request.method());
        let mut unsent = 0;
        loop {
            let copy = may_repeat.then(|| clone(&request)).flatten();
            let connection = self.connection().await?;
            match connection.send(request, &self.pool).await {
                Ok(answer) => return Ok(answer),
                Err((Some(back), _)) if unsent < MOST_UNSENT => {
                    unsent += 1;
                    request = back;
                }
                // The connection died under it: what only reads is sent once more (golang/go#39750).
                Err((_, error)) => match copy {
                    Some(again) if !error.is_user() => {
                        may_repeat = false;
                        request = again;
                    }
                    _ => return Err(Error::Connection(error)),
                },
            }
        }
    }

    /// Sends a request that asks for an upgrade, on a connection of its own: HTTP/2 has no upgrades.
    pub(crate) async fn upgrade(
        &self,
        request: Request<Body>,
    ) -> Result<(Response<Incoming>, InUse), Error> {
        let (stream, _) = self.connector.connect(true).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Connection)?;
        drive(connection.with_upgrades());
        let response = sender
            .send_request(origin_form(request))
            .await
            .map_err(Error::Connection)?;
        Ok((response, InUse { _stream: None }))
    }

    /// A connection with room, made where there is none.
    async fn connection(&self) -> Result<Connection, Error> {
        if let Some(connection) = self.pool().take() {
            return Ok(connection);
        }
        // Where connections are shared, one is enough for all who wait here.
        let _turn = if self.pool().http1_only {
            None
        } else {
            Some(self.connecting.lock().await)
        };
        if let Some(connection) = self.pool().take() {
            return Ok(connection);
        }
        let (stream, http2) = self.connector.connect(false).await?;
        if http2 {
            self.share(stream).await
        } else {
            self.own(stream).await
        }
    }

    async fn share(&self, stream: Stream) -> Result<Connection, Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Connection)?;
        let shared = Shared {
            sender,
            streams: Arc::default(),
            allowed: Arc::new(AtomicUsize::new(MOST_STREAMS)),
        };
        let allowed = Arc::clone(&shared.allowed);
        let mut connection = Box::pin(connection);
        drive(std::future::poll_fn(move |cx| {
            let ended = connection.as_mut().poll(cx);
            allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
            ended
        }));
        let mut pool = self.pool();
        pool.http1_only = false;
        pool.shared.push(shared.clone());
        Ok(Connection::Shared(shared))
    }

    async fn own(&self, stream: Stream) -> Result<Connection, Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Connection)?;
        drive(connection);
        self.pool().http1_only = true;
        Ok(Connection::Own(sender))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }
}

impl Pool {
    fn take(&mut self) -> Option<Connection> {
        self.shared.retain(|shared| !shared.sender.is_closed());
        if let Some(shared) = self.shared.iter().find(|shared| shared.has_room()) {
            return Some(Connection::Shared(shared.clone()));
        }
        while let Some(sender) = self.idle.pop() {
            if sender.is_ready() {
                return Some(Connection::Own(sender));
            }
        }
        None
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let most = self.allowed.load(Ordering::Relaxed).clamp(1, MOST_STREAMS);
        // One clone is the connection's own.
        Arc::strong_count(&self.streams) <= most
    }
}

impl Connection {
    /// Gives the request back where nothing of it was sent.
    async fn send(
        self,
        request: Request<Body>,
        pool: &Arc<Mutex<Pool>>,
    ) -> Result<(Response<Incoming>, InUse), (Option<Request<Body>>, hyper::Error)> {
        match self {
            Self::Shared(mut shared) => {
                let in_use = InUse {
                    _stream: Some(shared.streams),
                };
                match shared.sender.try_send_request(http2_form(request)).await {
                    Ok(response) => Ok((response, in_use)),
                    Err(mut error) => Err((error.take_message(), error.into_error())),
                }
            }
            Self::Own(mut sender) => {
                if let Err(error) = sender.ready().await {
                    return Err((Some(request), error));
                }
                let absolute = request.uri().clone();
                match sender.try_send_request(origin_form(request)).await {
                    Ok(response) => {
                        keep_when_done(sender, Arc::clone(pool));
                        Ok((response, InUse { _stream: None }))
                    }
                    Err(mut error) => {
                        let back = error.take_message().map(|mut request| {
                            *request.uri_mut() = absolute;
                            request
                        });
                        Err((back, error.into_error()))
                    }
                }
            }
        }
    }
}

/// Puts the connection back when its response has been read to the end.
fn keep_when_done(mut sender: http1::SendRequest<Body>, pool: Arc<Mutex<Pool>>) {
    tokio::spawn(async move {
        if sender.ready().await.is_ok() {
            let mut pool = lock(&pool);
            if pool.idle.len() < MOST_IDLE {
                pool.idle.push(sender);
            }
        }
    });
}

fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the API server ended");
        }
    });
}

fn may_be_sent_twice(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The same request once more, where its body is whole.
pub(crate) fn clone(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// HTTP/2 has the authority in the URI, and no Host beside it.
fn http2_form(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_2;
    request
}

/// HTTP/1.1 has the authority in the Host header, and only path and query in the request line.
fn origin_form(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().parse())
    {
        if let Ok(host) = authority {
            request.headers_mut().insert(http::header::HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(http::Uri::default, http::Uri::from);
    }
    request
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
