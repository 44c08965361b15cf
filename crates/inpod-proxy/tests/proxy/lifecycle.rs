use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use inpod_proxy::{ListenError, Listener, Proxy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;

use super::support::{End, Setup, client, soon};

const WATCH: &str = "GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn draining_ends_watches_properly_and_lets_requests_finish() {
    let mut proxy = Setup::new().await;
    let (mut watcher, mut upstream, _) = proxy.exchange(WATCH).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        .await;
    watcher.head().await;
    watcher.until("{}\r\n").await;
    let (mut slow, mut server, _) = proxy
        .exchange("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let mut idle = proxy.connect().await;

    proxy.stop.take().unwrap().send(()).unwrap();
    assert_eq!(idle.rest().await, "");
    assert!(TcpStream::connect(proxy.address).await.is_err());
    // Not within an event: that ends with its line.
    upstream.send("1\r\n\n\r\n").await;
    assert_eq!(watcher.rest().await, "1\r\n\n\r\n0\r\n\r\n");
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert!(slow.rest().await.ends_with("\r\n\r\nok"));
    soon("the end of the proxy", proxy.serving).await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_ended() {
    let mut proxy = Setup::with_grace(Duration::from_millis(50)).await;
    let (mut slow, mut server, _) = proxy
        .exchange("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    proxy.stop.take().unwrap().send(()).unwrap();
    soon("the end of the proxy", proxy.serving).await.unwrap();
    assert_eq!(slow.rest().await, "");
    assert_eq!(server.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let proxy = Setup::new().await;
    let mut silent = proxy.connect().await;
    let mut slow = proxy.connect().await;
    slow.send("GET /api HTTP/1.1\r\nHost: loc").await;
    // Time is virtual: it moves on when nobody has anything to do.
    assert_eq!(silent.whatever_comes().await, "");
    assert_eq!(slow.whatever_comes().await, "");
}

#[tokio::test]
async fn a_unix_socket_is_private_and_gone_afterwards() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = Listener::unix(&path).unwrap();
    assert_eq!(listener.address().to_string(), path.display().to_string());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (stop, stopped) = oneshot::channel::<()>();
    let proxy = Proxy::builder(client(upstream.local_addr().unwrap())).build();
    let serving = tokio::spawn(proxy.serve(listener, async {
        let _ = stopped.await;
    }));

    // No browser comes this way, so that any host will do.
    let mut asking = End::new(UnixStream::connect(&path).await.unwrap());
    asking
        .send("GET /api HTTP/1.1\r\nHost: unused\r\nOrigin: http://evil.com\r\n\r\n")
        .await;
    let mut server = End::new(upstream.accept().await.unwrap().0);
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    asking.head().await;
    assert_eq!(asking.exactly(2).await, "ok");

    let taken = Listener::unix(&path);
    assert!(
        matches!(taken, Err(ListenError::SocketInUse(_))),
        "{taken:?}"
    );
    assert!(path.exists());
    stop.send(()).unwrap();
    soon("the end of the proxy", serving).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::unix(&path).unwrap();
    drop(listener);
    assert!(!path.exists());

    std::fs::write(&path, "mine").unwrap();
    let refused = Listener::unix(&path);
    assert!(
        matches!(refused, Err(ListenError::NotASocket(_))),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[tokio::test]
async fn a_socket_of_somebody_else_is_not_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = Listener::unix(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(other);
}

#[tokio::test]
async fn ipv6_is_written_with_or_without_brackets() {
    for address in ["::1", "[::1]"] {
        let Ok(listener) = Listener::tcp(address, 0).await else {
            // A machine without IPv6 cannot show it.
            return;
        };
        assert!(listener.address().to_string().starts_with("[::1]:"));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Listener::tcp("127.0.0.1", port)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.contains("--port 0"), "{error}");
}
