//! Connections to one API server: HTTP/2 shared by ordinary requests, or HTTP/1.1 kept for the next one where the server has no
//! more, and an HTTP/1.1 connection of its own for each upgrade.

mod connect;
mod pool;
mod repeat;
mod stream;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::Request;
use http::header::UPGRADE;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::tls::TlsError;
use crate::{Body, Config, Error};
use connect::Connector;
use pool::{Answer, Connection, Pool, Shared};
pub(crate) use repeat::copy;
use stream::Stream;

/// Dead connections are found within 45 seconds, as client-go finds them (kubernetes/client-go#374).
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a request is put on a new connection because the last one turned out to be closed before it was sent.
const MOST_UNSENT: usize = 3;

/// How long a request waits for another's connection before it makes one itself: those that wait for a server which does not
/// answer must not wait one after the other.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Transport {
    connector: Connector,
    pool: Arc<Pool>,
    /// Held while a connection is made, so that requests which start together share it.
    connecting: tokio::sync::Mutex<()>,
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
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Answer, Error> {
        if request.headers().contains_key(UPGRADE) {
            return Box::pin(self.upgrade(request)).await;
        }
        let mut is_repeat = false;
        let mut unsent = 0;
        loop {
            let again = if is_repeat { None } else { copy(&request) };
            let is_safe = repeat::is_safe(request.method());
            let connection = self.connection().await?;
            match connection.send(request, &self.pool).await {
                Ok(answer) => return Ok(answer),
                Err((Some(back), _)) if unsent < MOST_UNSENT => {
                    unsent += 1;
                    request = back;
                }
                Err((_, error)) => match again {
                    Some(again) if repeat::may_follow(&error, is_safe) => {
                        is_repeat = true;
                        request = again;
                    }
                    _ => return Err(Error::Connection(error)),
                },
            }
        }
    }

    /// Sends a request that asks for an upgrade, on a connection of its own: HTTP/2 has no upgrades.
    async fn upgrade(&self, request: Request<Body>) -> Result<Answer, Error> {
        let (stream, _) = self.connector.connect(true).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Connection)?;
        drive(connection.with_upgrades());
        let response = sender
            .send_request(repeat::origin_form(request))
            .await
            .map_err(Error::Connection)?;
        Ok(response.map(Body::new))
    }

    /// A connection with room.
    async fn connection(&self) -> Result<Connection, Error> {
        match self.pool.take() {
            Some(connection) => Ok(connection),
            // On the heap: connecting is rare, and would make the future of each request large.
            None => Box::pin(self.connect()).await,
        }
    }

    /// A new connection, or one that is there after all.
    async fn connect(&self) -> Result<Connection, Error> {
        // Where connections are shared, one is enough for all who wait here.
        let _turn = if self.pool.is_http1_only() {
            None
        } else {
            tokio::time::timeout(LONGEST_WAIT, self.connecting.lock())
                .await
                .ok()
        };
        if let Some(connection) = self.pool.take() {
            return Ok(connection);
        }
        let made = pin!(self.connector.connect(false));
        let returned = pin!(self.pool.returned());
        let (stream, http2) = match select(returned, made).await {
            Either::Left((connection, _)) => return Ok(connection),
            Either::Right((made, _)) => made?,
        };
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
        let (shared, allowed) = Shared::new(sender);
        let mut connection = Box::pin(connection);
        drive(std::future::poll_fn(move |cx| {
            let ended = connection.as_mut().poll(cx);
            allowed.set(connection.current_max_send_streams());
            ended
        }));
        Ok(self.pool.share(shared))
    }

    async fn own(&self, stream: Stream) -> Result<Connection, Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Error::Connection)?;
        drive(connection);
        Ok(self.pool.own(sender))
    }
}

fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the API server ended");
        }
    });
}
