use super::support::{Setup, value};

const REQUEST: &str = "GET /api/v1/namespaces/d/pods/p/exec?command=sh HTTP/1.1\r\nHost: localhost\r\n\
    Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.aHVzaA\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: a\r\n\r\n";

#[tokio::test]
async fn what_either_side_sends_right_behind_its_head_arrives() {
    let proxy = Setup::new().await;
    let (mut client, mut server, head) = proxy.exchange(&format!("{REQUEST}early")).await;
    assert_eq!(value(&head, "connection"), Some("Upgrade"));
    assert_eq!(value(&head, "upgrade"), Some("websocket"));
    assert_eq!(value(&head, "sec-websocket-key"), Some("k"));
    assert_eq!(
        value(&head, "sec-websocket-protocol"),
        Some("v5.channel.k8s.io")
    );
    server.send(format!("{SWITCHED}first")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(value(&head, "upgrade"), Some("websocket"));
    assert_eq!(value(&head, "sec-websocket-accept"), Some("a"));
    assert_eq!(client.exactly(5).await, "first");
    assert_eq!(server.exactly(5).await, "early");
    client.send("ping").await;
    assert_eq!(server.exactly(4).await, "ping");
    server.send("pong").await;
    assert_eq!(client.exactly(4).await, "pong");
}

#[tokio::test]
async fn a_side_that_is_done_sending_still_receives() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange(&REQUEST.replace("websocket", "SPDY/3.1"))
        .await;
    server.send(SWITCHED.replace("websocket", "SPDY/3.1")).await;
    client.head().await;
    client.send("last").await;
    client.finish().await;
    assert_eq!(server.rest().await, "last");
    server.send("answer").await;
    assert_eq!(client.exactly(6).await, "answer");
    drop(server);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn the_101_is_not_said_before_the_server_has_said_it() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy.exchange(REQUEST).await;
    server
        .send(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        )
        .await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(value(&head, "connection"), Some("close"));
    // CVE-2018-1002105: a second request on it must not reach the server.
    client
        .send("GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(client.rest().await, "{}");
    assert_eq!(server.rest().await, "");
}

#[tokio::test]
async fn a_redirect_in_answer_to_an_upgrade_is_not_followed() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy.exchange(REQUEST).await;
    server
        .send("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 302 "));
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn another_protocol_than_asked_for_is_refused() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy.exchange(REQUEST).await;
    server.send(SWITCHED.replace("websocket", "h2c")).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}
