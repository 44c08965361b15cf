use super::support::{Setup, soon, value};

#[tokio::test]
async fn the_head_and_each_event_of_a_watch_come_at_once() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange("GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
    for event in ["{\"n\":1}\n", "{\"n\":2}\n"] {
        server.send(format!("8\r\n{event}\r\n")).await;
        assert_eq!(client.until("\n\r\n").await, format!("8\r\n{event}\r\n"));
    }
    server.send("0\r\n\r\n").await;
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn a_body_with_a_length_is_not_held_back_either() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange("GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    assert_eq!(value(&client.head().await, "content-length"), Some("6"));
    assert_eq!(client.exactly(3).await, "abc");
    server.send("def").await;
    assert_eq!(client.exactly(3).await, "def");
}

#[tokio::test]
async fn a_request_body_reaches_the_server_as_it_is_sent() {
    let proxy = Setup::new().await;
    let (mut client, mut server, head) = proxy
        .exchange("POST /api HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
        .await;
    assert_eq!(value(&head, "content-length"), Some("6"));
    assert!(client.head().await.starts_with("HTTP/1.1 100"));
    client.send("abc").await;
    assert_eq!(server.exactly(3).await, "abc");
    client.send("def").await;
    assert_eq!(server.exactly(3).await, "def");
    server
        .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_watch() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange("GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.head().await;
    drop(client);
    assert_eq!(server.rest().await, "");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_its_request() {
    let proxy = Setup::new().await;
    let (client, mut server, _) = proxy
        .exchange("GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    drop(client);
    assert_eq!(server.rest().await, "");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_back() {
    let proxy = Setup::new().await;
    let (client, mut server, _) = proxy
        .exchange("GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        .await;
    let piece = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    // All that is in flight is in socket buffers, which Linux lets grow to 36 MiB a connection.
    let stalled = async {
        loop {
            server.send(&piece).await;
            sent += 1;
            assert!(sent < 256, "{sent} MiB went into a proxy nobody reads from");
        }
    };
    let stalled = tokio::time::timeout(std::time::Duration::from_millis(500), stalled).await;
    assert!(stalled.is_err());
    drop(client);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_ended_as_if_whole() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange("GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    client.head().await;
    assert_eq!(client.until("abc\r\n").await, "3\r\nabc\r\n");
    drop(server);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_503_that_may_be_repeated() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let proxy = Setup::before(super::support::client(address)).await;
    let mut client = proxy.connect().await;
    client
        .send("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
        .await;
    let answer = soon("the answer", client.rest()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(value(&answer, "retry-after"), Some("1"));
    assert!(answer.contains("\"kind\":\"Status\""), "{answer}");
    assert!(answer.contains("cannot connect"), "{answer}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_properly_is_a_502() {
    for nonsense in ["", "nonsense\r\n\r\n"] {
        let proxy = Setup::new().await;
        let (mut client, mut server, _) = proxy
            .exchange("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        server.send(nonsense).await;
        drop(server);
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{nonsense:?}: {answer}");
        assert!(answer.contains("\"kind\":\"Status\""), "{answer}");
    }
}
