use crate::{Body, Config};

/// A client of one API server.
#[derive(Debug, Clone)]
pub struct Client {}

/// Why a request has no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {}

impl Client {
    /// A client that reaches the API server of `config`; connects when first asked.
    pub fn new(_config: Config) -> Result<Self, Error> {
        Ok(Self {})
    }

    /// Sends `request`, whose URI is a path and query, and answers as soon as the response's head is here.
    pub async fn send(&self, _request: http::Request<Body>) -> Result<http::Response<Body>, Error> {
        std::future::pending().await
    }
}
