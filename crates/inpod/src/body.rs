use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use crate::Error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or a response: whole bytes, or a stream that is never collected on the way.
///
/// ```
/// use inpod::Body;
///
/// let whole = Body::from(r#"{"kind":"ConfigMap"}"#.to_owned());
/// let nothing = Body::empty();
/// ```
pub struct Body(Kind);

enum Kind {
    /// Whole bytes: a request with them can be sent again.
    Whole(Option<Bytes>),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    /// A body that is passed on as it comes.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Stream(UnsyncBoxBody::new(body.map_err(Into::into))))
    }

    /// The same body once more, where it is whole.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Kind::Whole(bytes) => Some(Self(Kind::Whole(bytes.clone()))),
            Kind::Stream(_) => None,
        }
    }

    /// What is left of it, up to `limit` bytes, and whether that is all.
    pub(crate) async fn read_up_to(mut self, limit: usize) -> (Bytes, Result<(), Error>) {
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) if all.len() + data.len() > limit => {
                    all.extend_from_slice(&data[..limit - all.len()]);
                    return (all.freeze(), Err(Error::TooLarge { limit }));
                }
                Ok(Ok(data)) => all.extend_from_slice(&data),
                Ok(Err(_trailers)) => {}
                Err(error) => return (all.freeze(), Err(Error::Body(error))),
            }
        }
        (all.freeze(), Ok(()))
    }
}

/// Without its bytes: they may be a Secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                write!(f, "Body({length} bytes)")
            }
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole((!bytes.is_empty()).then_some(bytes)))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[test]
    fn only_a_whole_body_can_be_sent_again() {
        assert!(Body::empty().try_clone().is_some());
        assert!(Body::from("x".to_owned()).try_clone().is_some());
        let stream = Body::new(Full::new(Bytes::from("x")));
        assert!(stream.try_clone().is_none());
    }

    #[test]
    fn its_bytes_are_not_in_the_debug_output() {
        let body = Body::from(b"sesame".to_vec());
        assert_eq!(format!("{body:?}"), "Body(6 bytes)");
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit_and_says_so() {
        let (bytes, whole) = Body::from(b"abcdef".to_vec()).read_up_to(4).await;
        assert_eq!(bytes, "abcd");
        assert!(matches!(whole, Err(Error::TooLarge { limit: 4 })));
        let (bytes, whole) = Body::from(b"abcd".to_vec()).read_up_to(4).await;
        assert_eq!(bytes, "abcd");
        assert!(whole.is_ok());
    }
}
