/// Why a case could not be carried on: the server did not answer, or not with what the next step needs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// With a sentence for whoever reads the report.
    pub fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

macro_rules! from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error)
            }
        })*
    };
}
from!(
    std::io::Error,
    hyper::Error,
    http::Error,
    serde_json::Error,
    jsonwebtoken::errors::Error,
    rcgen::Error,
    rustls::Error,
    tokio::time::error::Elapsed,
    inpod_apiserver::StartError,
    inpod_real::Error
);
