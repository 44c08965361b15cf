//! Which connection a request goes over, and what becomes of it when that breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join, join_all};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use inpod::{Body, Client, Config, Error};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::{
    Account, Authority, Control, Protocol, Reply, Server, body, client, reply, stream,
};
use crate::{in_time, over_both};

over_both! {
    async fn a_connection_is_used_for_the_next_request(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (_account, client) = server.client();
        for _ in 0..5 {
            let _: Value = client.get("/api").await.unwrap();
        }
        assert_eq!(server.connections(), 1);
    }

    async fn when_the_server_has_gone_away_the_next_request_goes_over_a_new_connection(protocol) {
        let server = Server::start(protocol, |_, _| async { reply(200, "{}") }).await;
        let (_account, client) = server.client();
        for _ in 0..3 {
            let _: Value = client.create("/api/v1/pods", &json!({})).await.unwrap();
            server.control.drain();
            server.closed().await;
            let _: Value = client.get("/api").await.unwrap();
        }
        assert_eq!(server.seen().len(), 6);
    }

    async fn a_read_whose_connection_dies_is_sent_once_more(protocol) {
        let server = Server::start(protocol, dies_at_first()).await;
        let (_account, client) = server.client();
        let _: Value = client.get("/api").await.unwrap();
        assert_eq!(server.seen().len(), 2);
    }

    async fn a_read_whose_connection_dies_again_is_an_error(protocol) {
        let server = Server::start(protocol, dies).await;
        let (_account, client) = server.client();
        let error = client.get::<Value>("/api").await.unwrap_err();
        assert!(matches!(error, Error::Connection(_)), "{error:?}");
        assert_eq!(server.seen().len(), 2);
    }

    async fn a_write_whose_connection_dies_may_have_been_carried_out_and_is_an_error(protocol) {
        let server = Server::start(protocol, dies_at_first()).await;
        let (_account, client) = server.client();
        let created = client.create::<_, Value>("/api/v1/pods", &json!({})).await;
        assert!(matches!(created, Err(Error::Connection(_))), "{created:?}");
        assert_eq!(server.seen().len(), 1);
    }

    async fn methods_paths_and_bodies_arrive_as_they_were_said(protocol) {
        let server = Server::start(protocol, |request, _| async { reply(200, body(request).await) }).await;
        let (_account, client) = server.client();
        let object = json!({"a": 1});
        let path = "/api/v1/namespaces/a/configmaps/b?dryRun=All";
        assert_eq!(client.replace::<_, Value>(path, &object).await.unwrap(), object);
        assert_eq!(client.merge_patch::<_, Value>(path, &object).await.unwrap(), object);
        client.delete(path, &Value::Null).await.unwrap();
        client.delete(path, &object).await.unwrap();
        let seen = server.seen();
        let methods: Vec<_> = seen.iter().map(|seen| seen.method.clone()).collect();
        assert_eq!(methods, [Method::PUT, Method::PATCH, Method::DELETE, Method::DELETE]);
        assert!(seen.iter().all(|seen| seen.uri.path_and_query().unwrap() == path));
        let types: Vec<_> = seen.iter().map(|seen| seen.header("content-type")).collect();
        assert_eq!(types, ["application/json", "application/merge-patch+json", "", "application/json"]);
    }

    async fn an_error_of_the_server_is_its_status(protocol) {
        let status = r#"{"kind":"Status","code":404,"reason":"NotFound","message":"pods \"a\" not found"}"#;
        let server = Server::start(protocol, move |_, _| async move { reply(404, status) }).await;
        let (_account, client) = server.client();
        let error = client.get::<Value>("/api/v1/pods/a").await.unwrap_err();
        assert_eq!(error.to_string(), r#"pods "a" not found"#);
        assert!(matches!(error, Error::Api(status) if status.code == 404 && status.reason == "NotFound"));
    }
}

#[tokio::test]
async fn requests_that_start_together_share_one_http2_connection() {
    let server = Server::start(Protocol::Http2, |_, _| async { reply(200, "{}") }).await;
    let (_account, client) = server.client();
    let answers = join_all((0..50).map(|_| client.get::<Value>("/api"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_request_does_not_wait_behind_watches_that_take_all_streams() {
    let (held, _holding) = mpsc::unbounded_channel();
    let answer = move |request: Request<_>, _| {
        let held = held.clone();
        async move {
            if request.uri().path() != "/watch" {
                return reply(200, "{}");
            }
            let (sender, reply) = stream();
            held.send(sender).unwrap();
            reply
        }
    };
    let authority = Authority::new();
    let tls = authority.tls("127.0.0.1", &["h2"]);
    let server = Server::custom(Protocol::Http2, authority, Some(tls), 2, answer).await;
    let (_account, client) = server.client();
    in_time(async {
        let _: Value = client.get("/api").await.unwrap();
        let mut watches = Vec::new();
        for _ in 0..2 {
            let request = Request::get("/watch").body(Body::empty()).unwrap();
            watches.push(client.send(request).await.unwrap());
        }
        let _: Value = client.get("/api").await.unwrap();
        assert_eq!(server.connections(), 2);
        drop(watches);
        let _: Value = client.get("/api").await.unwrap();
        assert_eq!(server.connections(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_on_over_a_connection_that_takes_no_more_requests() {
    let (held, mut holding) = mpsc::unbounded_channel();
    let answer = move |request: Request<_>, _| {
        let held = held.clone();
        async move {
            if request.uri().path() != "/watch" {
                return reply(200, "{}");
            }
            let (sender, reply) = stream();
            held.send(sender).unwrap();
            reply
        }
    };
    let server = Server::start(Protocol::Http2, answer).await;
    let (_account, client) = server.client();
    in_time(async {
        let request = Request::get("/watch").body(Body::empty()).unwrap();
        let mut watch = client.send(request).await.unwrap().into_body();
        let sender = holding.recv().await.unwrap();
        server.control.drain();
        while server.connections() < 2 {
            let _: Value = client.get("/api").await.unwrap();
        }
        sender.send("event".into()).unwrap();
        let frame = watch.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "event");
    })
    .await;
}

#[tokio::test]
async fn a_connection_to_a_machine_that_is_gone_is_left_within_45_seconds() {
    let server = Server::start(Protocol::Http2, |_, _| async { reply(200, "{}") }).await;
    let (_account, client) = server.client();
    let _: Value = client.get("/api").await.unwrap();
    server.control.freeze();
    tokio::task::yield_now().await;
    // From here on, time passes as soon as everybody waits for it.
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let created = client.create::<_, Value>("/api/v1/pods", &json!({})).await;
    assert!(matches!(created, Err(Error::Connection(_))), "{created:?}");
    assert!(
        start.elapsed() <= Duration::from_secs(46),
        "{:?}",
        start.elapsed()
    );
    tokio::time::resume();
    let _: Value = client.get("/api").await.unwrap();
    assert_eq!(server.connections(), 2);

    // Also where nobody asks: the next request finds the connection gone.
    server.control.freeze();
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(46)).await;
    tokio::time::resume();
    let _: Value = client.create("/api/v1/pods", &json!({})).await.unwrap();
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_write_on_a_refused_stream_is_sent_once_more() {
    const RST_STREAM_REFUSED: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    let (frames, client) = Frames::bind().await;
    let server = async {
        let mut connection = frames.accept().await;
        assert_eq!(connection.request().await, 1);
        connection.write(&RST_STREAM_REFUSED).await;
        let stream = connection.request().await;
        connection.answer(stream).await;
        connection
    };
    let object = json!({});
    let created = client.create::<_, Value>("/api/v1/pods", &object);
    let (_connection, created) = in_time(Box::pin(join(server, created))).await;
    created.unwrap();
}

#[tokio::test]
async fn a_write_that_a_goaway_leaves_out_is_sent_over_a_new_connection() {
    const GOAWAY_AFTER_0: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (frames, client) = Frames::bind().await;
    let server = async {
        let mut first = frames.accept().await;
        first.request().await;
        first.write(&GOAWAY_AFTER_0).await;
        let mut second = frames.accept().await;
        let stream = second.request().await;
        second.answer(stream).await;
        (first, second)
    };
    let object = json!({});
    let created = client.create::<_, Value>("/api/v1/pods", &object);
    let (_connections, created) = in_time(Box::pin(join(server, created))).await;
    created.unwrap();
}

/// A server that speaks HTTP/2 frame by frame.
struct Frames {
    listener: TcpListener,
    authority: Authority,
    _account: Account,
}

struct FramesConnection(TlsStream<TcpStream>);

impl Frames {
    async fn bind() -> (Self, Client) {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let account = Account::new("one", &authority.pem);
        let address = format!("https://{}", listener.local_addr().unwrap());
        let config = Config::builder()
            .service_account_dir(account.path())
            .server(address.parse().unwrap());
        let frames = Self {
            listener,
            authority,
            _account: account,
        };
        (frames, client(config))
    }

    async fn accept(&self) -> FramesConnection {
        const PREFACE: usize = 24;
        const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let (tcp, _) = self.listener.accept().await.unwrap();
        let tls = Arc::new(self.authority.tls("127.0.0.1", &["h2"]));
        let stream = TlsAcceptor::from(tls).accept(tcp).await.unwrap();
        let mut connection = FramesConnection(stream);
        connection.write(&EMPTY_SETTINGS).await;
        connection.0.read_exact(&mut [0; PREFACE]).await.unwrap();
        connection
    }
}

impl FramesConnection {
    /// Reads up to the head of a request, and says which stream it is on.
    async fn request(&mut self) -> u8 {
        const HEADERS: u8 = 1;
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[3] == HEADERS {
                return head[8];
            }
        }
    }

    /// `200` with an empty object.
    async fn answer(&mut self, stream: u8) {
        const STATUS_200: u8 = 0x88;
        self.write(&[0, 0, 1, 1, 4, 0, 0, 0, stream, STATUS_200])
            .await;
        self.write(&[0, 0, 2, 0, 1, 0, 0, 0, stream, b'{', b'}'])
            .await;
    }

    async fn write(&mut self, frame: &[u8]) {
        self.0.write_all(frame).await.unwrap();
        self.0.flush().await.unwrap();
    }
}

/// Breaks its connection in the middle of each request.
async fn dies(_: Request<Incoming>, control: Control) -> Reply {
    control.kill();
    std::future::pending().await
}

/// Breaks its connection in the middle of the first request only.
fn dies_at_first() -> impl Fn(Request<Incoming>, Control) -> BoxFuture<'static, Reply> {
    let requests = AtomicUsize::new(0);
    move |request, control| {
        let is_first = requests.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if is_first {
                dies(request, control).await
            } else {
                reply(200, "{}")
            }
        })
    }
}
