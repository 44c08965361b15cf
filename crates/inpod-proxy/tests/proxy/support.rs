//! Both ends of the proxy as raw sockets, and the proxy between them.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use inpod::{Client, Config};
use inpod_proxy::{Address, Listener, Proxy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Fails the test instead of letting it hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .unwrap_or_else(|_| panic!("nothing came of it: {what}"))
}

/// One end of a connection.
pub(crate) struct End<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> End<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("sending", self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Ends this direction; the other stays.
    pub(crate) async fn finish(&mut self) {
        soon("finishing", self.stream.shutdown()).await.unwrap();
    }

    async fn fill(&mut self) -> usize {
        let mut space = [0; 4096];
        // A reset is an end too: it is what a refused client may see behind its answer.
        let len = soon("reading", self.stream.read(&mut space))
            .await
            .unwrap_or(0);
        self.read.extend_from_slice(&space[..len]);
        len
    }

    /// Reads up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .read
                .windows(end.len())
                .position(|w| w == end.as_bytes());
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                let text = std::mem::replace(&mut self.read, rest);
                return String::from_utf8_lossy(&text).into_owned();
            }
            assert!(
                self.fill().await > 0,
                "{end:?} did not come: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Reads a head, with lower-case names.
    pub(crate) async fn head(&mut self) -> String {
        let head = self.until("\r\n\r\n").await;
        let mut lines = head.lines();
        let mut lower = lines.next().unwrap_or_default().to_owned();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            lower += &["\n", &name.to_lowercase(), ":", value].concat();
        }
        lower
    }

    pub(crate) async fn exactly(&mut self, len: usize) -> String {
        while self.read.len() < len {
            assert!(self.fill().await > 0, "the end came before {len} bytes");
        }
        let rest = self.read.split_off(len);
        String::from_utf8_lossy(&std::mem::replace(&mut self.read, rest)).into_owned()
    }

    /// Reads all that comes until the other side ends, without a limit on the time.
    pub(crate) async fn whatever_comes(&mut self) -> String {
        let _ = self.stream.read_to_end(&mut self.read).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads all that comes until the other side ends.
    pub(crate) async fn rest(&mut self) -> String {
        while self.fill().await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }
}

pub(crate) fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// A proxy that runs, and the API server it asks, which the test plays.
pub(crate) struct Setup {
    pub(crate) address: SocketAddr,
    upstream: TcpListener,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<()>,
}

impl Setup {
    pub(crate) async fn new() -> Self {
        Self::with_grace(Duration::from_secs(10)).await
    }

    pub(crate) async fn with_grace(grace: Duration) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(upstream.local_addr().unwrap());
        Self::start(client, upstream, grace).await
    }

    /// With a client that asks somebody else than the test.
    pub(crate) async fn before(client: Client) -> Self {
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start(client, unused, Duration::from_secs(10)).await
    }

    async fn start(client: Client, upstream: TcpListener, grace: Duration) -> Self {
        let listener = Listener::tcp("127.0.0.1", 0).await.unwrap();
        let Address::Tcp(address) = *listener.address() else {
            panic!("not TCP: {listener:?}");
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let proxy = Proxy::builder(client).grace(grace).build();
        let serving = tokio::spawn(proxy.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            upstream,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) async fn connect(&self) -> End<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        End::new(stream)
    }

    /// The next connection of the proxy to the API server.
    pub(crate) async fn accept(&self) -> End<TcpStream> {
        let accepted = soon("a connection upstream", self.upstream.accept()).await;
        End::new(accepted.unwrap().0)
    }

    /// A client that has sent `request`, and the API server that has the head of it.
    pub(crate) async fn exchange(&self, request: &str) -> (End<TcpStream>, End<TcpStream>, String) {
        let mut client = self.connect().await;
        client.send(request).await;
        let mut server = self.accept().await;
        let head = server.head().await;
        (client, server, head)
    }

    /// Plays an API server that answers everything with 200, and tells what it was asked.
    pub(crate) fn record(self) -> Recorded {
        let (sender, requests) = mpsc::unbounded_channel();
        let upstream = self.upstream;
        let answering = tokio::spawn(async move {
            while let Ok((stream, _)) = upstream.accept().await {
                tokio::spawn(answer_all(End::new(stream), sender.clone()));
            }
        });
        Recorded {
            address: self.address,
            requests,
            _stop: self.stop,
            _answering: answering,
        }
    }
}

pub(crate) fn client(server: SocketAddr) -> Client {
    let server = format!("http://{server}").parse().unwrap();
    Client::new(Config::builder().server(server).build().unwrap()).unwrap()
}

/// A proxy before an API server that answers by itself.
pub(crate) struct Recorded {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<(String, String)>,
    _stop: Option<oneshot::Sender<()>>,
    _answering: JoinHandle<()>,
}

impl Recorded {
    /// What is answered to these bytes, sent on a connection of their own (nothing, if that ends); and what the API server was asked.
    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> (String, Vec<(String, String)>) {
        let mut client = End::new(TcpStream::connect(self.address).await.unwrap());
        client.send(bytes).await;
        if client.fill().await == 0 {
            return (String::new(), self.asked().await);
        }
        let answer = client.head().await;
        let answer = match value(&answer, "content-length") {
            Some(len) => {
                let body = client.exactly(len.parse().unwrap()).await;
                format!("{answer}{body}")
            }
            None => answer,
        };
        (answer, self.asked().await)
    }

    /// What the API server was asked since the last time.
    async fn asked(&mut self) -> Vec<(String, String)> {
        // Whatever went to the API server went before this.
        let mut last = End::new(TcpStream::connect(self.address).await.unwrap());
        last.send("GET /last HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        last.head().await;
        let mut asked = Vec::new();
        loop {
            let request = soon("the last request", self.requests.recv())
                .await
                .unwrap();
            if request.0.starts_with("GET /last ") {
                return asked;
            }
            asked.push(request);
        }
    }
}

async fn answer_all(mut server: End<TcpStream>, requests: mpsc::UnboundedSender<(String, String)>) {
    loop {
        while server.read.is_empty() {
            if server.fill().await == 0 {
                return;
            }
        }
        let head = server.head().await;
        let mut body = String::new();
        if let Some(len) = value(&head, "content-length") {
            body = server.exactly(len.parse().unwrap()).await;
        } else if value(&head, "transfer-encoding").is_some() {
            loop {
                let line = server.until("\r\n").await;
                let len = usize::from_str_radix(line.trim(), 16).unwrap();
                body.push_str(&server.exactly(len).await);
                server.until("\r\n").await;
                if len == 0 {
                    break;
                }
            }
        }
        let _ = requests.send((head, body));
        server
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    }
}
