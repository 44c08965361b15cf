//! Connections that become something else.

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use inpod::Body;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::in_time;
use crate::server::{Account, Authority, Protocol, Server, client, replace, reply};

#[tokio::test]
async fn an_upgrade_is_a_tunnel_and_loses_no_byte_that_follows_the_head() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let account = Account::new("one", &authority.pem);
    let config = inpod::Config::builder()
        .service_account_dir(account.path())
        .server(
            format!("https://{}", listener.local_addr().unwrap())
                .parse()
                .unwrap(),
        );
    let client = client(config);

    let server = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = Arc::new(authority.tls("127.0.0.1", &["h2", "http/1.1"]));
        let stream = TlsAcceptor::from(tls).accept(tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).await.unwrap();
        }
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\nearly";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
        stream.shutdown().await.unwrap();
        head
    };
    let user = async {
        let response = client.send(upgrade("/exec?command=sh")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut tunnel = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        tunnel.write_all(b"hello").await.unwrap();
        tunnel.shutdown().await.unwrap();
        let mut heard = String::new();
        tunnel.read_to_string(&mut heard).await.unwrap();
        heard
    };
    let (head, echoed) = in_time(futures_util::future::join(server, user)).await;
    assert!(
        head.starts_with("GET /exec?command=sh HTTP/1.1\r\n"),
        "{head}"
    );
    let head = head.to_lowercase();
    assert!(head.contains("\r\nauthorization: bearer one\r\n"), "{head}");
    assert!(head.contains("\r\nupgrade: echo\r\n"), "{head}");
    assert_eq!(echoed, "earlyhello");
}

#[tokio::test]
async fn a_refused_upgrade_is_an_answer_like_any_other() {
    let server = Server::start(Protocol::Http1, |_, _| async { reply(403, "no") }).await;
    let (_account, client) = server.client();
    let response = in_time(client.send(upgrade("/exec"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "no");
}

#[tokio::test]
async fn an_upgrade_is_asked_for_once_more_with_the_files_new_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let answer = move |request: Request<_>, _| {
        let path = path.clone();
        async move {
            if request.headers()["authorization"] == "Bearer two" {
                return reply(200, "");
            }
            replace(&path, "token", "two");
            reply(401, "")
        }
    };
    let server = Server::start(Protocol::Http1, answer).await;
    replace(directory.path(), "token", "one");
    let config = inpod::Config::builder()
        .token_file(directory.path().join("token"))
        .ca_pem(&*server.authority.pem)
        .server(format!("https://{}", server.address).parse().unwrap());
    let client = inpod::Client::new(config.build().unwrap()).unwrap();
    let response = in_time(client.send(upgrade("/exec"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

fn upgrade(path: &str) -> Request<Body> {
    Request::get(path)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "echo")
        .body(Body::empty())
        .unwrap()
}
