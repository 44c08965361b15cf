use super::support::{Setup, value};

#[tokio::test]
async fn the_server_sees_its_own_host_and_no_identity_of_the_clients() {
    let proxy = Setup::new().await;
    let (mut client, mut server, head) = proxy
        .exchange(
            "GET /api HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer mine\r\nImpersonate-User: root\r\n\
             Impersonate-Extra-Scopes: all\r\nX-Remote-Group: system:masters\r\nCookie: a=b\r\nX-Forwarded-For: 9.9.9.9\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nTE: trailers\r\nAccept-Encoding: br\r\n\
             User-Agent: curl/8\r\nX-Kept: yes\r\n\r\n",
        )
        .await;
    assert_ne!(value(&head, "host"), Some("localhost"), "{head}");
    for gone in [
        "authorization",
        "impersonate-user",
        "impersonate-extra-scopes",
        "x-remote-group",
        "cookie",
        "x-forwarded-for",
        "x-hop",
        "keep-alive",
    ] {
        assert_eq!(value(&head, gone), None, "{head}");
    }
    assert_eq!(value(&head, "accept-encoding"), Some("br"));
    assert_eq!(value(&head, "user-agent"), Some("curl/8"));
    assert_eq!(value(&head, "x-kept"), Some("yes"));

    server
        .send(
            "HTTP/1.1 404 Not Found\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nServer: apiserver\r\n\
             Set-Cookie: a=b\r\nWarning: 299 - \"old\"\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 404 Not Found\n"), "{head}");
    assert_eq!(value(&head, "x-hop"), None);
    assert_eq!(value(&head, "keep-alive"), None);
    assert_eq!(value(&head, "content-type"), None);
    assert_eq!(value(&head, "server"), Some("apiserver"));
    assert_eq!(value(&head, "set-cookie"), Some("a=b"));
    assert_eq!(value(&head, "warning"), Some("299 - \"old\""));
    assert_eq!(client.exactly(2).await, "no");
}

#[tokio::test]
async fn head_keeps_the_length_and_has_no_body() {
    let proxy = Setup::new().await;
    let (mut client, mut server, head) = proxy
        .exchange("HEAD /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert!(head.starts_with("HEAD /api "), "{head}");
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
        .await;
    let answer = client.rest().await;
    assert_eq!(value(&answer, "content-length"), Some("12345"));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection() {
    let proxy = Setup::new().await;
    let (mut client, mut server, head) = proxy
        .exchange("GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(head.starts_with("GET /api HTTP/1.1"), "{head}");
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert_eq!(value(&answer, "transfer-encoding"), None);
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
}

#[tokio::test]
async fn trailers_are_passed_on() {
    let proxy = Setup::new().await;
    let (mut client, mut server, _) = proxy
        .exchange("GET /api HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
        .await;
    client.head().await;
    let body = client.until("\r\n\r\n").await;
    assert!(body.to_lowercase().contains("x-sum: 6"), "{body}");
}
