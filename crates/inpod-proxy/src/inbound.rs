use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::exchange::Exchange;
use crate::guard::framing::{self, After};
use crate::listener::Stream;
use crate::status::Failure;

/// How long a client may take to send a request's head, from its first byte, or from connecting for the first one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a refused request is still read, and for how long, so that the client gets to read the answer: a socket that is
/// closed with unread bytes is reset, and the reset overtakes the answer (RFC 9112, section 9.6).
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// What hyper is given to read and to be answered in place of a request that is refused for its framing: hyper itself would
/// answer an unreadable head with an empty 400.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A client's connection, of which hyper reads one request's head at a time, and none before [`framing`] has read it.
pub(crate) struct Inbound {
    stream: Stream,
    exchange: Arc<Exchange>,
    expects: Expects,
    /// What was read from the stream and not by hyper.
    buffer: BytesMut,
    /// How much of `buffer` hyper may read.
    released: usize,
    /// How much of `buffer` was searched for the end of a head.
    searched: usize,
    timeout: Option<Pin<Box<Sleep>>>,
    lingered: usize,
}

enum Expects {
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// Whatever comes, to the end.
    Anything,
    /// Nothing any more.
    Nothing,
}

impl Inbound {
    pub(crate) fn new(stream: Stream, exchange: Arc<Exchange>) -> Self {
        Self {
            stream,
            exchange,
            expects: Expects::Head,
            buffer: BytesMut::new(),
            released: 0,
            searched: 0,
            timeout: Some(Box::pin(sleep(HEAD_TIMEOUT))),
            lingered: 0,
        }
    }

    /// Reads once from the stream into `buffer`; 0 at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; 8 * 1024];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
        self.buffer.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Releases a head to hyper if it is all there; `false` if more must be read.
    fn release_head(&mut self) -> bool {
        // Some old clients end a body with a line that is not part of it (RFC 9112, section 2.2).
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
        }
        if let Some(&first) = self.buffer.first()
            && first != b'\r'
            && !framing::begins_head(first)
        {
            self.refuse(Failure::bad_request(
                "this is not HTTP/1.1: plain HTTP, not TLS or HTTP/2, is spoken here",
            ));
            return true;
        }
        match framing::head_len(&self.buffer, self.searched) {
            Some(len) if len <= framing::MAX_HEAD => {
                match framing::read(self.buffer.get(..len).unwrap_or_default()) {
                    Ok(after) => {
                        self.expects = match after {
                            After::Body(length) => Expects::Body(length),
                            After::Last => Expects::Anything,
                        };
                        self.exchange.push_head(Ok(after));
                        self.released = len;
                        self.searched = 0;
                        self.timeout = None;
                    }
                    Err(failure) => self.refuse(failure),
                }
                true
            }
            None if self.buffer.len() <= framing::MAX_HEAD => {
                self.searched = self.buffer.len();
                false
            }
            _ => {
                self.refuse(framing::too_large());
                true
            }
        }
    }

    fn refuse(&mut self, failure: Failure) {
        self.exchange.push_head(Err(failure));
        self.expects = Expects::Nothing;
        self.buffer = BytesMut::from(STAND_IN);
        self.released = STAND_IN.len();
        self.timeout = None;
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>, after: Duration) -> Poll<()> {
        let timeout = self.timeout.get_or_insert_with(|| Box::pin(sleep(after)));
        timeout.as_mut().poll(cx)
    }

    /// Reads and forgets what a refused client still sends, within limits.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.lingered < LINGER_BYTES {
            self.buffer.clear();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(read)) if read > 0 => self.lingered += read,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.poll_timeout(cx, LINGER_TIME),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Inbound {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.released > 0 {
                let len = this.released.min(out.remaining());
                out.put_slice(this.buffer.get(..len).unwrap_or_default());
                this.buffer.advance(len);
                this.released -= len;
                if this.buffer.is_empty() {
                    // An idle connection holds no buffer.
                    this.buffer = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            match &mut this.expects {
                Expects::Nothing => return Poll::Pending,
                Expects::Anything if this.buffer.is_empty() => {
                    return Pin::new(&mut this.stream).poll_read(cx, out);
                }
                Expects::Anything => this.released = this.buffer.len(),
                Expects::Body(0) => this.expects = Expects::Head,
                Expects::Body(left) if !this.buffer.is_empty() => {
                    let len = usize::try_from(*left).unwrap_or(usize::MAX);
                    this.released = len.min(this.buffer.len());
                    *left -= this.released as u64;
                }
                Expects::Body(_) => {
                    if ready!(this.poll_fill(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Expects::Head => {
                    if !this.buffer.is_empty() && this.release_head() {
                        continue;
                    }
                    match this.poll_fill(cx)? {
                        Poll::Ready(0) => return Poll::Ready(Ok(())),
                        Poll::Ready(_) => {}
                        Poll::Pending => {
                            if !this.buffer.is_empty() || this.timeout.is_some() {
                                ready!(this.poll_timeout(cx, HEAD_TIMEOUT));
                                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                            }
                            return Poll::Pending;
                        }
                    }
                }
            }
        }
    }
}

impl AsyncWrite for Inbound {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        if this.exchange.lingers() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
