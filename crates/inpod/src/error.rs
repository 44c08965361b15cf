use std::fmt;

use serde::Deserialize;

use crate::ConfigError;
use crate::tls::TlsError;

/// Why a request has no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with something else than 2xx.
    #[error("{0}")]
    Api(Box<ApiStatus>),
    /// No connection: the server is not there, or the network is not.
    #[error("cannot connect to the API server at {server}: {source}")]
    Connect {
        /// Host and port.
        server: String,
        /// What the system or TLS said.
        source: std::io::Error,
    },
    /// Whoever answers is not the cluster's API server, as far as its certificate tells: a wrong address, a wrong CA, or somebody
    /// in between.
    #[error(
        "{server} answers with a certificate that {anchors} does not vouch for ({source}): is it the API server of this cluster?"
    )]
    Untrusted {
        /// Host and port.
        server: String,
        /// What the certificate was verified against.
        anchors: String,
        /// What TLS said.
        source: rustls::Error,
    },
    /// The connection broke before there was an answer, and the request could not be sent again without doubt.
    #[error("the connection to the API server broke: {}", Chain(.0))]
    Connection(#[source] hyper::Error),
    /// The answer broke off.
    #[error("the API server's answer broke off: {}", Chain(.0.as_ref()))]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not the JSON that the caller's type wants.
    #[error("the API server's answer is not what was expected: {0}")]
    Decode(#[source] serde_json::Error),
    /// The caller's object cannot be JSON.
    #[error("the object cannot be sent: {0}")]
    Encode(#[source] serde_json::Error),
    /// The caller's path is relative; below which path of the API it is meant cannot be known.
    #[error("the path of a request begins with /, and {0:?} does not")]
    Path(String),
    /// The caller's path or headers are no request.
    #[error("this is no request: {0}")]
    Request(#[source] http::Error),
    /// An event of a watch, or a whole answer, is larger than a client should hold in memory.
    #[error("the API server's answer is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// TLS cannot be set up from the configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The credentials cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The `Status` object of an answer that is not 2xx; where the body is none, one made from the code and the body's beginning.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, thiserror::Error)]
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

/// An error with its causes, each said once: hyper's errors alone do not say what the matter is.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
}

/// How much of a body that is no Status is quoted.
const QUOTED: usize = 200;

impl ApiStatus {
    /// Reads the body of an answer with this code.
    pub(crate) fn read(code: http::StatusCode, body: &[u8]) -> Self {
        let mut status = match serde_json::from_slice::<Self>(body) {
            Ok(status) if !status.message.is_empty() || !status.reason.is_empty() => status,
            _ => Self {
                message: quoted(code, body),
                ..Self::default()
            },
        };
        if status.code == 0 {
            status.code = code.as_u16();
        }
        if status.message.is_empty() {
            status.message.clone_from(&status.reason);
        }
        status
    }
}

fn quoted(code: http::StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let first = text.lines().next().unwrap_or_default().trim();
    let first: String = first
        .chars()
        .filter(|c| !c.is_control())
        .take(QUOTED)
        .collect();
    if first.is_empty() {
        code.to_string()
    } else {
        format!("{code}: {first}")
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_broken_answer_says_why_it_broke() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read")]
        struct Outer(#[source] std::io::Error);

        let cause = std::io::Error::other("reset by peer");
        let error = Error::Body(Box::new(Outer(cause)));
        assert_eq!(
            error.to_string(),
            "the API server's answer broke off: cannot read: reset by peer"
        );
    }

    #[test]
    fn a_status_is_read_and_anything_else_is_quoted() {
        let read = |code, body: &str| ApiStatus::read(code, body.as_bytes());
        let status = read(
            StatusCode::NOT_FOUND,
            "{\n \"kind\": \"Status\",\n \"message\": \"pods \\\"a\\\" not found\", \"reason\": \"NotFound\", \"code\": 404}",
        );
        assert_eq!(
            (status.code, status.reason.as_str(), status.message.as_str()),
            (404, "NotFound", "pods \"a\" not found")
        );
        assert_eq!(
            read(StatusCode::BAD_GATEWAY, "<html>\nx").message,
            "502 Bad Gateway: <html>"
        );
        assert_eq!(read(StatusCode::BAD_GATEWAY, "").message, "502 Bad Gateway");
        assert_eq!(read(StatusCode::FORBIDDEN, "{}").code, 403);
        assert!(
            read(StatusCode::BAD_GATEWAY, &"x".repeat(10_000))
                .message
                .len()
                < 300
        );
    }
}
