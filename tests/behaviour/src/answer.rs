use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::Failure;

/// A whole response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// JSON as it is, other text as a string, what is neither as base64.
    pub body: Value,
    /// The bytes.
    pub raw: Bytes,
}

impl Answer {
    /// The text at a JSON pointer of the body.
    ///
    /// # Errors
    /// Where there is none, with the body.
    pub fn text(&self, pointer: &str) -> Result<String, Failure> {
        match self.body.pointer(pointer) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(Failure::new(format!(
                "no text at {pointer} of {}",
                self.body
            ))),
        }
    }

    /// The value at a JSON pointer of the body; null where there is none.
    pub fn at(&self, pointer: &str) -> Value {
        self.body.pointer(pointer).cloned().unwrap_or_default()
    }

    /// A header, where there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The object's resourceVersion.
    ///
    /// # Errors
    /// Where it has none.
    pub fn version(&self) -> Result<String, Failure> {
        self.text("/metadata/resourceVersion")
    }
}
