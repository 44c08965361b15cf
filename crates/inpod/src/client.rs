use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, UPGRADE, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::credentials::Authorization;
use crate::transport::{self, InUse, Transport};
use crate::watch::{self, WatchStream};
use crate::{ApiStatus, Body, Config, Error};

/// The largest answer that is collected in memory: [`Client::send`] streams and has no such bound.
const LARGEST: usize = 1024 * 1024 * 1024;

/// How much of the body of an error is read.
const LARGEST_ERROR: usize = 4 * 1024 * 1024;

/// A client of one API server; cheap to clone, and connected when it is first asked.
///
/// Requests share an HTTP/2 connection. A token that changed is used for the next request; a 401 makes it be read again and the
/// request be sent once more where its body is whole. Certificates are verified against the cluster's CA alone, and that is
/// re-read too. A request that was not sent is sent on a new connection; one that may have been carried out never is, unless it
/// only reads.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    authorization: Authorization,
    transport: Transport,
    user_agent: HeaderValue,
}

/// A collection.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct List<T> {
    /// `resourceVersion`, `continue`, `remainingItemCount`.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<T>,
}

/// What a collection says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListMeta {
    /// The revision the collection was read at: where a watch goes on from.
    pub resource_version: String,
    /// What to ask the next page with, empty on the last.
    #[serde(rename = "continue")]
    pub continue_: String,
    /// How many objects come after this page, where the server knows.
    pub remaining_item_count: Option<u64>,
}

impl Client {
    /// A client that reaches the API server of `config`; connects when first asked, in the runtime it is asked in.
    ///
    /// # Errors
    /// Where TLS cannot be set up from the configuration, or the token cannot be read.
    pub fn new(config: Config) -> Result<Self, Error> {
        // Credentials are for whoever shows the cluster's certificate, and nobody else.
        let authorization = if config.server().scheme_str() == Some("https") {
            Authorization::new(&config.token)?
        } else {
            Authorization::None
        };
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(&config)?,
            authorization,
            user_agent: user_agent(),
            config,
        })))
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Sends `request`, whose URI is a path and query, and answers as soon as the response's head is here.
    ///
    /// Address, Host and, where the request brings none, Authorization and User-Agent are put in here; an answer that is not
    /// 2xx is an answer. A request with an `Upgrade` header goes over an HTTP/1.1 connection of its own, and
    /// [`hyper::upgrade::on`](https://docs.rs/hyper/1/hyper/upgrade/fn.on.html) takes a 101 over.
    ///
    /// ```no_run
    /// # async fn example(client: inpod::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = http::Request::get("/api/v1/namespaces/default/pods/web/log").body(inpod::Body::empty())?;
    /// let response = client.send(request).await?;
    /// println!("{}", response.status());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let target = self.target(request.uri())?;
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        headers.remove(http::header::HOST);
        headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.0.user_agent.clone());
        let ours = if headers.contains_key(AUTHORIZATION) {
            None
        } else {
            self.0.authorization.current()
        };
        if let Some(header) = &ours {
            headers.insert(AUTHORIZATION, header.clone());
        }
        if request.headers().contains_key(UPGRADE) {
            return Ok(respond(self.0.transport.upgrade(request).await?));
        }
        let again = ours.as_ref().and_then(|_| transport::clone(&request));
        let answer = self.0.transport.send(request).await?;
        if answer.0.status() == StatusCode::UNAUTHORIZED
            && let (Some(refused), Some(mut again)) = (ours, again)
            && let Some(fresh) = self.0.authorization.after_refusal(&refused)
        {
            again.headers_mut().insert(AUTHORIZATION, fresh);
            return Ok(respond(self.0.transport.send(again).await?));
        }
        Ok(respond(answer))
    }

    /// [`Client::send`], with an answer that is not 2xx as [`Error::Api`].
    ///
    /// # Errors
    /// As said, and where there is no answer.
    pub async fn request(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let response = self.send(request).await?;
        let code = response.status();
        if code.is_success() {
            return Ok(response);
        }
        let body = collect(response.into_body(), LARGEST_ERROR).await?;
        Err(Error::Api(Box::new(ApiStatus::read(code, &body))))
    }

    /// Reads one object, or anything else that is JSON.
    ///
    /// ```no_run
    /// # async fn example(client: inpod::Client) -> Result<(), inpod::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct ConfigMap {
    ///     data: std::collections::BTreeMap<String, String>,
    /// }
    ///
    /// let map: ConfigMap = client.get("/api/v1/namespaces/default/configmaps/settings").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.json(Method::GET, path, "", Bytes::new()).await
    }

    /// Reads a collection.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<List<T>, Error> {
        self.get(path).await
    }

    /// Creates an object in the collection at `path`, and answers with what the server made of it.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn create<B: Serialize + Sync + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        object: &B,
    ) -> Result<T, Error> {
        self.json(Method::POST, path, JSON, encode(object)?).await
    }

    /// Replaces the object at `path`.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx; a conflict where the object's resourceVersion is not the newest.
    pub async fn replace<B: Serialize + Sync + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        object: &B,
    ) -> Result<T, Error> {
        self.json(Method::PUT, path, JSON, encode(object)?).await
    }

    /// Merges `changes` into the object at `path` (`application/merge-patch+json`, RFC 7386).
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn merge_patch<B: Serialize + Sync + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        changes: &B,
    ) -> Result<T, Error> {
        self.json(
            Method::PATCH,
            path,
            "application/merge-patch+json",
            encode(changes)?,
        )
        .await
    }

    /// Deletes the object at `path`; `options` are `DeleteOptions`, or null.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn delete(&self, path: &str, options: &serde_json::Value) -> Result<(), Error> {
        let body = if options.is_null() {
            Bytes::new()
        } else {
            encode(options)?
        };
        let _gone: serde::de::IgnoredAny = self.json(Method::DELETE, path, JSON, body).await?;
        Ok(())
    }

    /// Watches what `path` with its query says (`watch=1` is put in).
    ///
    /// ```no_run
    /// # async fn example(client: inpod::Client) -> Result<(), inpod::Error> {
    /// use futures_util::StreamExt as _;
    ///
    /// let mut events = client.watch::<serde_json::Value>("/api/v1/namespaces/default/pods?allowWatchBookmarks=true").await?;
    /// while let Some(event) = events.next().await {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Api`] where the watch is refused; in the stream, for an ERROR event, which is the last.
    pub async fn watch<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
    ) -> Result<WatchStream<T>, Error> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}watch=1");
        let response = self
            .request(build(Method::GET, &path, "", Bytes::new())?)
            .await?;
        Ok(watch::events(response.into_body()))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<T, Error> {
        let response = self
            .request(build(method, path, content_type, body)?)
            .await?;
        let body = collect(response.into_body(), LARGEST).await?;
        serde_json::from_slice(&body).map_err(Error::Decode)
    }

    /// The path and query of a request under the server's address, and its path prefix where it has one.
    fn target(&self, uri: &Uri) -> Result<Uri, Error> {
        let server = self.0.config.server();
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let prefix = server.path().trim_end_matches('/');
        Uri::builder()
            .scheme(server.scheme_str().unwrap_or("https"))
            .authority(
                server
                    .authority()
                    .map_or("", |authority| authority.as_str()),
            )
            .path_and_query(format!("{prefix}{path}"))
            .build()
            .map_err(Error::Request)
    }
}

const JSON: &str = "application/json";

fn build(
    method: Method,
    path: &str,
    content_type: &'static str,
    body: Bytes,
) -> Result<Request<Body>, Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body))
        .map_err(Error::Request)?;
    let headers: &mut HeaderMap = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(JSON));
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(request)
}

fn encode<B: Serialize + ?Sized>(object: &B) -> Result<Bytes, Error> {
    serde_json::to_vec(object)
        .map(Bytes::from)
        .map_err(Error::Encode)
}

/// `program/version (system/machine) inpod`, as client-go names the program first.
fn user_agent() -> HeaderValue {
    let program = std::env::args_os()
        .next()
        .and_then(|path| {
            Some(
                std::path::Path::new(&path)
                    .file_name()?
                    .to_str()?
                    .to_owned(),
            )
        })
        .filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        });
    let program = program.as_deref().unwrap_or("unknown");
    let text = format!(
        "{program} ({}/{}) inpod/{}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION")
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("inpod"))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Error> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(Error::Body)?.into_data() {
            if all.len() + data.len() > limit {
                return Err(Error::TooLarge { limit });
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

fn respond((response, in_use): (Response<Incoming>, InUse)) -> Response<Body> {
    response.map(|body| {
        Body::new(Counted {
            body,
            _in_use: in_use,
        })
    })
}

/// A response's body that holds its place on the connection.
struct Counted {
    body: Incoming,
    _in_use: InUse,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
