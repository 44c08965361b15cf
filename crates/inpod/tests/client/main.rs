//! The client against servers of its own process: real TLS, HTTP/1.1 and HTTP/2, and certificates made on the spot.

mod auth;
mod server;
mod streaming;
mod transport;
mod trust;
mod upgrade;
mod watch;

use std::time::Duration;

/// Makes one test for each protocol, both limited in time: a request that waits for ever is a failure, too.
macro_rules! over_both {
    ($($(#[$meta:meta])* async fn $name:ident($protocol:ident) $body:block)*) => { $(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn run($protocol: Protocol) $body

            #[tokio::test]
            async fn http1() {
                crate::in_time(run(Protocol::Http1)).await;
            }

            #[tokio::test]
            async fn http2() {
                crate::in_time(run(Protocol::Http2)).await;
            }
        }
    )* };
}
pub(crate) use over_both;

async fn in_time<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test)
        .await
        .expect("the test ends in time")
}
