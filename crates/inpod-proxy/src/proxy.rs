use std::future::Future;
use std::io;
use std::time::Duration;

use inpod::Client;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection;
use crate::lifecycle::Drain;
use crate::listener::Listener;

/// Serves an API server to whoever can reach its [`Listener`], with the credentials of its [`Client`] and no others.
///
/// Requests and answers are passed on as they come. What a client says of its own identity (`Authorization`, `Impersonate-*`,
/// `X-Remote-*`, cookies, a token among the WebSocket subprotocols) or of where it came from (`X-Forwarded-For`, `X-Real-Ip`,
/// `Forwarded`) is taken out. What can be read in more than one way, or comes from a web page of another host, is refused with a
/// `Status`, and nothing of it reaches the API server.
#[derive(Debug)]
pub struct Proxy {
    client: Client,
    grace: Duration,
    max_connections: usize,
}

/// Sets up a [`Proxy`].
#[derive(Debug)]
#[must_use]
pub struct ProxyBuilder(Proxy);

impl Proxy {
    /// A proxy that asks the API server of `client`.
    pub fn builder(client: Client) -> ProxyBuilder {
        ProxyBuilder(Self {
            client,
            grace: Duration::from_secs(10),
            max_connections: 4096,
        })
    }

    /// Serves until `shutdown` comes, then drains: no new connection is taken, idle ones are closed, watches are ended, and what
    /// else is running may finish within the grace. Dropping the future ends everything at once.
    pub async fn serve(self, listener: Listener, shutdown: impl Future<Output = ()>) {
        let (drain, draining) = Drain::new();
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < self.max_connections => match accepted {
                    Ok((stream, via)) => {
                        let connection =
                            connection::serve(self.client.clone(), stream, via, draining.clone());
                        connections.spawn(connection);
                    }
                    Err(error) => rest_after(&error).await,
                },
                Some(_) = connections.join_next() => {}
                () = &mut shutdown => break,
            }
        }
        drop(listener);
        drain.begin();
        let finished = timeout(self.grace, async {
            while connections.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the grace is over: ending what still runs"
            );
            connections.shutdown().await;
        }
    }
}

impl ProxyBuilder {
    /// How long running requests may go on after the shutdown; 10 s unless said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.0.grace = grace;
        self
    }

    /// How many connections are held at a time, 4096 unless said; further ones wait to be accepted.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.0.max_connections = max;
        self
    }

    /// The proxy.
    #[must_use]
    pub fn build(self) -> Proxy {
        self.0
    }
}

/// Waits where accepting again at once would only fail again, as without free file descriptors.
async fn rest_after(error: &io::Error) {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
    );
    if !of_one_connection {
        tracing::warn!(%error, "cannot accept connections");
        sleep(Duration::from_millis(100)).await;
    }
}
