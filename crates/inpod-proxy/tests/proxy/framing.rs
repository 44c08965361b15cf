use super::support::Setup;

/// What a server must make of a request's bytes.
enum Outcome {
    /// One request of this body goes out.
    One(&'static str),
    /// The answer has this code, and nothing goes out.
    Refused(u16),
    /// Whatever goes out is not a whole request, and the connection ends.
    NotWhole,
}
use Outcome::{NotWhole, One, Refused};

const CORPUS: &[(&str, Outcome)] = &[
    // Well-formed.
    ("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n", One("")),
    (
        "\r\n\r\nGET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        One(""),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        One("abc"),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: \t 3 \r\n\r\nabc",
        One("abc"),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 003\r\n\r\nabc",
        One("abc"),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        One("abc"),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\ntransfer-encoding: CHUNKED\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        One("abc"),
    ),
    (
        "POST /a HTTP/1.0\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        One("abc"),
    ),
    // A second request behind a chunked one is not read: the connection ends.
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        One(""),
    ),
    // Where HTTP/1.0 has no body, what follows is not one.
    (
        "GET /a HTTP/1.0\r\nHost: localhost\r\n\r\nGET /b HTTP/1.0\r\nHost: localhost\r\n\r\n",
        One(""),
    ),
    // Two lengths.
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3, 3\r\n\r\nabc",
        Refused(400),
    ),
    // Lengths that are none.
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x3\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1 2\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\nabc",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        Refused(400),
    ),
    // Encodings that are none, or that another server may not see.
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refused(501),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        Refused(501),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n",
        Refused(501),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(501),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        Refused(501),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "POST /a HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    // Lines.
    ("GET /a HTTP/1.1\nHost: localhost\n\n", Refused(400)),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nX: y\n\r\n",
        Refused(400),
    ),
    ("GET /a HTTP/1.1\r\nHost: localhost\r\n\n", Refused(400)),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\rContent-Length: 9\r\n\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        Refused(400),
    ),
    ("GET /a HTTP/1.1\r\n Host: localhost\r\n\r\n", Refused(400)),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n",
        Refused(400),
    ),
    (
        "GET /a HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\n\r\n",
        Refused(400),
    ),
    // Request lines.
    ("GET  /a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    ("GET\t/a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    (
        "GET /\u{e4} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Refused(400),
    ),
    ("GET /a\r\n\r\n", Refused(400)),
    ("GET /a HTTP/1.2\r\nHost: localhost\r\n\r\n", Refused(505)),
    ("GET /a HTTP/2.0\r\nHost: localhost\r\n\r\n", Refused(505)),
    ("GET /a http/1.1\r\nHost: localhost\r\n\r\n", Refused(505)),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(505)),
    ("G(T /a HTTP/1.1\r\nHost: localhost\r\n\r\n", Refused(400)),
    (
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\x03\x03",
        Refused(400),
    ),
    // Chunks: some of the body may have gone out by then, but never the end of it.
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        NotWhole,
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        NotWhole,
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        NotWhole,
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nabc",
        NotWhole,
    ),
    (
        "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        NotWhole,
    ),
];

#[tokio::test]
async fn one_accepted_request_is_one_request_and_a_refused_one_is_none() {
    let mut proxy = Setup::new().await.record();
    for (bytes, outcome) in CORPUS {
        let (answer, asked) = proxy.ask(bytes.as_bytes()).await;
        let code = answer.split(' ').nth(1).unwrap_or_default();
        match outcome {
            One(body) => {
                assert_eq!(code, "200", "{bytes:?}\n{answer}");
                let bodies: Vec<_> = asked.iter().map(|(_, body)| body.as_str()).collect();
                assert_eq!(bodies, [*body], "{bytes:?}\n{asked:?}");
            }
            Refused(expected) => {
                assert_eq!(code, expected.to_string(), "{bytes:?}\n{answer}");
                assert!(
                    answer.contains("\"kind\":\"Status\""),
                    "{bytes:?}\n{answer}"
                );
                assert_eq!(asked, [], "{bytes:?}");
            }
            NotWhole => {
                assert!(code.is_empty() || code == "400", "{bytes:?}\n{answer}");
                assert_eq!(asked, [], "{bytes:?}");
            }
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let proxy = Setup::new().await;
    let mut client = proxy.connect().await;
    client
        .send(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n\
             GET /c HTTP/1.1\r\nHost: evil.com\r\n\r\nGET /d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        )
        .await;
    let mut server = proxy.accept().await;
    assert!(server.head().await.starts_with("POST /a "));
    assert_eq!(server.exactly(3).await, "abc");
    server
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1")
        .await;
    client.head().await;
    assert_eq!(client.exactly(1).await, "1");
    let mut server = proxy.accept().await;
    let head = server.head().await;
    assert!(head.starts_with("GET /b "), "{head}");
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2")
        .await;
    client.head().await;
    assert_eq!(client.exactly(1).await, "2");
    let rest = client.rest().await;
    let codes: Vec<_> = rest.matches("HTTP/1.1 4").collect();
    assert_eq!(codes.len(), 2, "{rest}");
    assert!(
        rest.find("403 Forbidden") < rest.find("400 Bad Request"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_read() {
    let mut proxy = Setup::new().await.record();
    let long = "x".repeat(60_000);
    let request = format!("GET /a HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n");
    let (answer, asked) = proxy.ask(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(asked.len(), 1);
    let (answer, asked) = proxy
        .ask(format!("GET /a HTTP/1.1\r\nHost: localhost\r\nX: {long}{long}\r\n\r\n").as_bytes())
        .await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(asked, []);
}
