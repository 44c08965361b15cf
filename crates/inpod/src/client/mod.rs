mod list;
mod user_agent;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::list::{List, ListMeta};
use crate::credentials::Authorization;
use crate::transport::{self, Transport};
use crate::watch::{self, WatchStream};
use crate::{ApiStatus, Body, Config, Error};

/// The largest answer that is collected in memory: [`Client::send`] streams and has no such bound.
const LARGEST: usize = 1024 * 1024 * 1024;

/// How much of the body of an error is read.
const LARGEST_ERROR: usize = 4 * 1024 * 1024;

/// A client of one API server; cheap to clone, and connected when it is first asked.
///
/// - Requests share an HTTP/2 connection, and a second one when the server allows no more streams on the first. A connection
///   that is dead is noticed within 45 seconds. With a server that speaks HTTP/1.1 only, connections are kept for the next request.
/// - A token that changed is used for the next request; a 401 makes it be read again, and the request be sent once more where
///   the token is another and the request's body is whole.
/// - Certificates are verified against the cluster's CA alone. Its file is re-read when a new connection is made and a minute has
///   passed, and at once where a certificate is signed by nobody known.
/// - A request that the server did not begin with is sent on a new connection. One that may have been carried out is sent again
///   only if it only reads, and once.
/// - There is no limit on how long an answer may take (`tokio::time::timeout` around a call sets one), and no throttling: 429 is
///   an answer like any other.
///
/// It needs a tokio runtime with time and I/O enabled; one thread is enough.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    authorization: Authorization,
    transport: Transport,
    user_agent: HeaderValue,
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
            user_agent: user_agent::of_this_process(),
            config,
        })))
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Sends `request`, whose URI is a path and query, and answers as soon as the response's head is here.
    ///
    /// Address, Host and, where the request brings none, Authorization and User-Agent are put in here: an Authorization of the
    /// caller's own is left as it is, and its 401 too. An answer that is not 2xx is an answer, and its body a stream. A request with an `Upgrade` header goes over an HTTP/1.1 connection of its own, and
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
        headers.remove(HOST);
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
        let again = ours.as_ref().and_then(|_| transport::copy(&request));
        let answer = self.0.transport.send(request).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let (Some(refused), Some(mut again)) = (ours, again)
            && let Some(fresh) = self.0.authorization.after_refusal(&refused)
        {
            again.headers_mut().insert(AUTHORIZATION, fresh);
            return self.0.transport.send(again).await;
        }
        Ok(answer)
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
        // Whatever becomes of its body: the answer is known.
        let (body, _) = response.into_body().read_up_to(LARGEST_ERROR).await;
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
        let (content_type, body) = if options.is_null() {
            ("", Bytes::new())
        } else {
            (JSON, encode(options)?)
        };
        let request = build(Method::DELETE, path, content_type, body)?;
        // Read to its end, so that the connection is free for the next request.
        let (_object, whole) = self
            .request(request)
            .await?
            .into_body()
            .read_up_to(LARGEST)
            .await;
        whole
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
        let (body, whole) = response.into_body().read_up_to(LARGEST).await;
        whole?;
        serde_json::from_slice(&body).map_err(Error::Decode)
    }

    /// The path and query of a request under the server's address, and its path prefix where it has one.
    fn target(&self, uri: &Uri) -> Result<Uri, Error> {
        let server = self.0.config.server();
        let path = uri
            .path_and_query()
            .map(PathAndQuery::as_str)
            .filter(|path| path.starts_with('/'))
            .ok_or_else(|| Error::Path(uri.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target(server: &str, path: &str) -> Result<String, Error> {
        let config = Config::builder()
            .server(server.parse().unwrap())
            .build()
            .unwrap();
        let target = Client::new(config)?.target(&path.parse().unwrap())?;
        Ok(target.to_string())
    }

    #[test]
    fn a_path_is_put_under_the_servers_address_and_prefix() {
        assert_eq!(target("http://a", "/api?x=1").unwrap(), "http://a/api?x=1");
        assert_eq!(
            target("http://[::1]:80/k8s/c/", "/api").unwrap(),
            "http://[::1]:80/k8s/c/api"
        );
        assert_eq!(
            target("http://a", "http://b/api").unwrap(),
            "http://a/api",
            "no request goes to another server"
        );
        assert!(matches!(target("http://a", "api"), Err(Error::Path(_))));
    }
}
