use std::io::ErrorKind;

use http::StatusCode;
use inpod::Error;

use crate::status::Failure;

/// What a client is told where the API server gave no answer. The library's errors hold no credential.
///
/// 503 says that nothing was sent, so that any request may be repeated; 502 that the request may have been carried out.
pub(super) fn failure(error: &Error) -> Failure {
    let code = match error {
        Error::Connect { source, .. } => match source.kind() {
            ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            // Somebody answers, and is not the API server: it does not get better by asking again.
            ErrorKind::InvalidData => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        Error::Config(_) | Error::Tls(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Request(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    };
    Failure::new(code, error.to_string())
}
