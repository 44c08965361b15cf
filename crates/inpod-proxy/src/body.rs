use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::lifecycle::Drained;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response, passed on frame by frame.
pub(crate) enum ResponseBody {
    /// The proxy's own answer.
    Own(Option<Bytes>),
    /// The API server's.
    Upstream(inpod::Body),
    /// A watch of the API server's.
    Watch(Watch),
}

/// The body of a watch: it has no end of its own, and is ended properly when the proxy stops.
pub(crate) struct Watch {
    body: inpod::Body,
    /// Whether it is JSON, an event a line.
    is_lines: bool,
    /// Whether what was passed on so far ends with an event's end.
    is_whole: bool,
    drained: Drained,
}

impl ResponseBody {
    pub(crate) fn watch(body: inpod::Body, is_lines: bool, drained: Drained) -> Self {
        Self::Watch(Watch {
            body,
            is_lines,
            is_whole: true,
            drained,
        })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Watch(watch) => watch.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Watch(watch) => watch.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Upstream(body) => body.size_hint(),
            // Not the upstream's: a watch may end before it.
            Self::Watch(_) => SizeHint::default(),
        }
    }
}

impl Watch {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending if self.is_whole => self.drained.as_mut().poll(cx).map(|()| None),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.is_whole = !self.is_lines || data.ends_with(b"\n");
                }
                Poll::Ready(Some(Ok(frame)))
            }
            other => other.map_err(Into::into),
        }
    }
}
