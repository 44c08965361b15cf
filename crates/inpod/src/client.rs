use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Body, Config};

/// A client of one API server; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {}

/// Why a request has no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with something else than 2xx.
    #[error("{0}")]
    Api(Box<ApiStatus>),
}

/// The `Status` object of an answer that is not 2xx; where the body is none, one made from the code and the body's first line.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(default)]
#[non_exhaustive]
pub struct ApiStatus {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, for example `NotFound`.
    pub reason: String,
    /// The sentence people read.
    pub message: String,
    /// What the error is about.
    pub details: serde_json::Value,
}

/// A collection.
#[derive(Debug, Clone, serde::Deserialize)]
#[non_exhaustive]
pub struct List<T> {
    /// `resourceVersion`, `continue`, `remainingItemCount`.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<T>,
}

/// What a collection says of itself.
#[derive(Debug, Clone, Default, serde::Deserialize)]
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

/// One event of a watch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WatchEvent<T> {
    /// The object is new, or was there when the watch began.
    Added(T),
    /// The object changed.
    Modified(T),
    /// The object is gone; this is what it was.
    Deleted(T),
    /// Nothing happened up to this resourceVersion.
    Bookmark {
        /// Where a watch goes on from.
        resource_version: String,
        /// Whether all that was there at the beginning has been sent.
        initial_events_end: bool,
    },
}

impl Client {
    /// A client that reaches the API server of `config`; connects when first asked.
    ///
    /// # Errors
    /// Where TLS cannot be set up from the configuration.
    pub fn new(_config: Config) -> Result<Self, Error> {
        Ok(Self {})
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        unimplemented!()
    }

    /// Sends `request`, whose URI is a path and query, and answers as soon as the response's head is here.
    ///
    /// Credentials, Host and address are put in here; an answer that is not 2xx is an answer. A request with an `Upgrade`
    /// header goes over a connection of its own, HTTP/1.1, and `hyper::upgrade::on` takes the answer over.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn send(&self, _request: http::Request<Body>) -> Result<http::Response<Body>, Error> {
        std::future::pending().await
    }

    /// [`Client::send`], with an answer that is not 2xx as [`Error::Api`].
    ///
    /// # Errors
    /// As said.
    pub async fn request(
        &self,
        _request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Error> {
        std::future::pending().await
    }

    /// Reads one object, or anything else that is JSON.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn get<T: DeserializeOwned>(&self, _path: &str) -> Result<T, Error> {
        std::future::pending().await
    }

    /// Creates an object in the collection at `path`, and answers with what the server made of it.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn create<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        _path: &str,
        _object: &B,
    ) -> Result<T, Error> {
        std::future::pending().await
    }

    /// Replaces the object at `path`.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn replace<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        _path: &str,
        _object: &B,
    ) -> Result<T, Error> {
        std::future::pending().await
    }

    /// Merges `patch` into the object at `path` (`application/merge-patch+json`, RFC 7386).
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn merge_patch<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        _path: &str,
        _patch: &B,
    ) -> Result<T, Error> {
        std::future::pending().await
    }

    /// Deletes the object at `path`; `options` are `DeleteOptions`.
    ///
    /// # Errors
    /// [`Error::Api`] for an answer that is not 2xx.
    pub async fn delete(&self, _path: &str, _options: &serde_json::Value) -> Result<(), Error> {
        std::future::pending().await
    }

    /// Watches what `path` with its query says (`watch=1` is put in).
    ///
    /// # Errors
    /// [`Error::Api`] where the watch is refused; in the stream, for an ERROR event.
    pub async fn watch<T: DeserializeOwned + Send + 'static>(
        &self,
        _path: &str,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<WatchEvent<T>, Error>> + Send>>, Error> {
        std::future::pending().await
    }
}

impl From<Bytes> for Body {
    fn from(_bytes: Bytes) -> Self {
        unimplemented!()
    }
}
