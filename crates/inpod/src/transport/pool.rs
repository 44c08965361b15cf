//! The connections that are there, and who may send on them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::sync::Notify;

use super::repeat::{http2_form, origin_form};
use crate::Body;

/// Streams on a connection before another is opened, where the server does not say less: API servers allow 100 to 250, none
/// should allow less than 100 (RFC 9113, 6.5.2), and a request that waits behind watches may wait for ever.
const MOST_STREAMS: usize = 100;

/// HTTP/1.1 connections kept for the next request.
const MOST_IDLE: usize = 16;

/// The longest one is kept. Nothing asks an idle HTTP/1.1 connection whether it is still there, and load balancers forget them.
const LONGEST_IDLE: Duration = Duration::from_secs(90);

/// A response whose body is not read yet.
pub(super) type Answer = Response<Body>;

/// The connections that are there.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Told when a connection came back.
    returned: Notify,
}

#[derive(Debug, Default)]
struct State {
    shared: Vec<Shared>,
    idle: Vec<(http1::SendRequest<Body>, Instant)>,
    http1_only: bool,
}

/// An HTTP/2 connection.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    sender: http2::SendRequest<Body>,
    /// As many clones as there are streams, and one more.
    streams: Arc<()>,
    allowed: Allowed,
}

/// How many streams the server allows on a connection (`SETTINGS_MAX_CONCURRENT_STREAMS`), as far as it has said.
#[derive(Debug, Clone)]
pub(super) struct Allowed(Arc<AtomicUsize>);

/// A connection that a request may be sent on.
pub(super) enum Connection {
    Shared(Shared),
    Own(http1::SendRequest<Body>),
}

impl Pool {
    /// A connection with room.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut state = self.state();
        state.shared.retain(|shared| !shared.sender.is_closed());
        if let Some(first) = state.shared.iter().position(Shared::has_room) {
            let connection = Connection::Shared(state.shared[first].clone());
            // Those behind it that a burst of requests left over are let go.
            let mut at = 0;
            state.shared.retain(|shared| {
                at += 1;
                at - 1 <= first || shared.is_busy()
            });
            return Some(connection);
        }
        while let Some((sender, since)) = state.idle.pop() {
            if sender.is_ready() && since.elapsed() < LONGEST_IDLE {
                return Some(Connection::Own(sender));
            }
        }
        None
    }

    /// A connection that somebody is done with, when that is so: often sooner than a new one is made.
    pub(super) async fn returned(&self) -> Connection {
        loop {
            self.returned.notified().await;
            if let Some(connection) = self.take() {
                return connection;
            }
        }
    }

    /// Whether the server spoke only HTTP/1.1 when last asked.
    pub(super) fn is_http1_only(&self) -> bool {
        self.state().http1_only
    }

    pub(super) fn share(&self, shared: Shared) -> Connection {
        let mut state = self.state();
        state.http1_only = false;
        state.shared.push(shared.clone());
        Connection::Shared(shared)
    }

    pub(super) fn own(&self, sender: http1::SendRequest<Body>) -> Connection {
        self.state().http1_only = true;
        Connection::Own(sender)
    }

    fn keep(&self, sender: http1::SendRequest<Body>) {
        let mut state = self.state();
        state
            .idle
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < LONGEST_IDLE);
        if state.idle.len() < MOST_IDLE {
            state.idle.push((sender, Instant::now()));
            self.returned.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(super) fn new(sender: http2::SendRequest<Body>) -> (Self, Allowed) {
        let allowed = Allowed(Arc::new(AtomicUsize::new(MOST_STREAMS)));
        let shared = Self {
            sender,
            streams: Arc::default(),
            allowed: allowed.clone(),
        };
        (shared, allowed)
    }

    fn is_busy(&self) -> bool {
        Arc::strong_count(&self.streams) > 1
    }

    fn has_room(&self) -> bool {
        let most = self
            .allowed
            .0
            .load(Ordering::Relaxed)
            .clamp(1, MOST_STREAMS);
        // One clone is the connection's own.
        Arc::strong_count(&self.streams) <= most
    }
}

impl Allowed {
    pub(super) fn set(&self, streams: usize) {
        self.0.store(streams, Ordering::Relaxed);
    }
}

impl Connection {
    /// Gives the request back where nothing of it was sent.
    pub(super) async fn send(
        self,
        request: Request<Body>,
        pool: &Arc<Pool>,
    ) -> Result<Answer, (Option<Request<Body>>, hyper::Error)> {
        match self {
            Self::Shared(mut shared) => {
                let sent = shared.sender.try_send_request(http2_form(request)).await;
                let stream = shared.streams;
                sent.map(|response| {
                    response.map(|body| {
                        Body::new(Counted {
                            body,
                            _stream: stream,
                        })
                    })
                })
                .map_err(|mut error| (error.take_message(), error.into_error()))
            }
            Self::Own(mut sender) => {
                if let Err(error) = sender.ready().await {
                    return Err((Some(request), error));
                }
                let absolute = request.uri().clone();
                match sender.try_send_request(origin_form(request)).await {
                    Ok(response) => {
                        keep_when_done(sender, Arc::clone(pool));
                        Ok(response.map(Body::new))
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
fn keep_when_done(mut sender: http1::SendRequest<Body>, pool: Arc<Pool>) {
    tokio::spawn(async move {
        if sender.ready().await.is_ok() {
            pool.keep(sender);
        }
    });
}

/// A response's body that holds its place on the connection until it is read or dropped.
struct Counted {
    body: Incoming,
    _stream: Arc<()>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
