//! The lines of a watch.

use std::pin::Pin;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::stream;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{ApiStatus, Body, Error};

/// The longest event: an object may have 3 MiB on its way in, and grows in JSON.
const LONGEST: usize = 64 * 1024 * 1024;

/// One event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The events of a watch, until the server ends it.
pub type WatchStream<T> = Pin<Box<dyn Stream<Item = Result<WatchEvent<T>, Error>> + Send>>;

/// Takes a body apart into events.
pub(crate) fn events<T: DeserializeOwned + Send + 'static>(body: Body) -> WatchStream<T> {
    let state = Some((body, Lines::default()));
    Box::pin(stream::unfold(state, |state| async {
        let (mut body, mut lines) = state?;
        loop {
            match lines.next(LONGEST) {
                Err(error) => return Some((Err(error), None)),
                Ok(Some(line)) => match event(&line) {
                    Ok(None) => continue,
                    Ok(Some(event)) => return Some((Ok(event), Some((body, lines)))),
                    Err(error) => return Some((Err(error), None)),
                },
                Ok(None) => {}
            }
            match body.frame().await {
                None => {
                    // Servers end each line; one cut short is a connection that broke unnoticed.
                    let line = lines.rest();
                    return Some((event(&line).transpose()?, None));
                }
                Some(Err(error)) => return Some((Err(Error::Body(error)), None)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        lines.push(&data);
                    }
                }
            }
        }
    }))
}

/// Chunks put together into lines; a chunk ends anywhere.
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    /// Up to here there is no newline.
    searched: usize,
}

impl Lines {
    fn push(&mut self, chunk: &Bytes) {
        self.buffer.extend_from_slice(chunk);
    }

    /// What no newline came after.
    fn rest(self) -> Bytes {
        self.buffer.freeze()
    }

    fn next(&mut self, longest: usize) -> Result<Option<Bytes>, Error> {
        match self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            Some(at) => {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                Ok(Some(line))
            }
            None if self.buffer.len() > longest => Err(Error::TooLarge { limit: longest }),
            None => {
                self.searched = self.buffer.len();
                Ok(None)
            }
        }
    }
}

/// One line's event; none for a blank line and for a type of a later server.
fn event<T: DeserializeOwned>(line: &[u8]) -> Result<Option<WatchEvent<T>>, Error> {
    #[derive(Deserialize)]
    struct Line<'a> {
        r#type: &'a str,
        #[serde(borrow)]
        object: &'a RawValue,
    }
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let Line { r#type, object } = serde_json::from_slice(line).map_err(Error::Decode)?;
    let decode = || serde_json::from_str::<T>(object.get()).map_err(Error::Decode);
    Ok(Some(match r#type {
        "ADDED" => WatchEvent::Added(decode()?),
        "MODIFIED" => WatchEvent::Modified(decode()?),
        "DELETED" => WatchEvent::Deleted(decode()?),
        "BOOKMARK" => bookmark(object)?,
        "ERROR" => {
            let status = ApiStatus::read(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                object.get().as_bytes(),
            );
            return Err(Error::Api(Box::new(status)));
        }
        _ => return Ok(None),
    }))
}

fn bookmark<T>(object: &RawValue) -> Result<WatchEvent<T>, Error> {
    #[derive(Deserialize)]
    struct Bookmark {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Metadata {
        resource_version: String,
        annotations: std::collections::BTreeMap<String, String>,
    }
    let Bookmark { metadata } = serde_json::from_str(object.get()).map_err(Error::Decode)?;
    Ok(WatchEvent::Bookmark {
        resource_version: metadata.resource_version,
        initial_events_end: metadata
            .annotations
            .get("k8s.io/initial-events-end")
            .is_some_and(|value| value == "true"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_type_of_event_is_read() {
        let read = |text: &str| event::<Value>(text.as_bytes());
        assert_eq!(
            read(r#"{"type":"ADDED","object":{"a":1}}"#).unwrap(),
            Some(WatchEvent::Added(json!({"a": 1})))
        );
        let end = r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        let expected = WatchEvent::Bookmark {
            resource_version: "7".to_owned(),
            initial_events_end: true,
        };
        assert_eq!(read(end).unwrap(), Some(expected));
        assert_eq!(read(r#"{"type":"LATER","object":{}}"#).unwrap(), None);
        assert_eq!(read("  ").unwrap(), None);
        let gone = read(
            r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#,
        );
        assert!(matches!(gone, Err(Error::Api(status)) if status.code == 410));
        assert!(matches!(read("{"), Err(Error::Decode(_))));
    }

    #[test]
    fn a_line_that_never_ends_is_an_error() {
        let mut lines = Lines::default();
        lines.push(&Bytes::from(vec![b'x'; 11]));
        assert!(matches!(lines.next(10), Err(Error::TooLarge { limit: 10 })));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(lines in prop::collection::vec("[a-z]{0,9}", 0..9), size in 1_usize..7) {
            let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
            let mut splitter = Lines::default();
            let mut found = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                splitter.push(&Bytes::copy_from_slice(chunk));
                while let Some(line) = splitter.next(100).unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(found, lines);
        }
    }
}
