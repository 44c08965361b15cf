use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a request or a response: whole bytes, or a stream that is never collected on the way.
#[derive(Debug)]
pub struct Body(UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>);
