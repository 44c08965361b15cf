use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::Failure;

/// The longest a case waits for one event.
const PATIENCE: Duration = Duration::from_secs(30);

/// A watch that is open, in JSON: one event a line.
#[derive(Debug)]
pub struct Watch {
    /// The step of the transcript that its events belong to.
    pub(crate) step: usize,
    body: Incoming,
    buffer: BytesMut,
}

impl Watch {
    pub(crate) fn new(step: usize, body: Incoming) -> Self {
        Self {
            step,
            body,
            buffer: BytesMut::new(),
        }
    }

    /// The next event; none where the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        tokio::time::timeout(PATIENCE, self.line())
            .await
            .map_err(|_| Failure::new(format!("no event within {PATIENCE:?}")))?
    }

    async fn line(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => return Ok(Some(serde_json::from_slice(&self.buffer.split())?)),
            }
        }
    }
}
