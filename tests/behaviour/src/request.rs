use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// A request of a case. Unless told otherwise it is the administrator's.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) identity: Identity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// By client certificate.
    Administrator,
    /// None but what the headers say.
    Anonymous,
}

/// What a query cannot hold as it is, or (`&`, `+`, `;`) means something there; selectors stay readable.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// `GET path`, which may have a query.
pub fn get(path: impl Into<String>) -> Request {
    Request::new(Method::GET, path)
}

/// `DELETE path`.
pub fn delete(path: impl Into<String>) -> Request {
    Request::new(Method::DELETE, path)
}

/// `POST path` with a JSON body.
pub fn post(path: impl Into<String>, body: &Value) -> Request {
    Request::new(Method::POST, path).json(body)
}

/// `PUT path` with a JSON body.
pub fn put(path: impl Into<String>, body: &Value) -> Request {
    Request::new(Method::PUT, path).json(body)
}

/// `PATCH path`; `kind` is `json`, `merge` or `strategic-merge`.
pub fn patch(path: impl Into<String>, kind: &str, body: &Value) -> Request {
    Request::new(Method::PATCH, path)
        .body(&format!("application/{kind}-patch+json"), body.to_string())
}

impl Request {
    /// What the server is asked to begin a generated name with.
    pub(crate) fn generate_name(&self) -> Option<String> {
        let object: Value = serde_json::from_slice(&self.body).ok()?;
        Some(
            object
                .pointer("/metadata/generateName")?
                .as_str()?
                .to_owned(),
        )
    }

    /// With any method.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            // What a program sends that says nothing more: client-go's name is what it must not depend on.
            headers: vec![("user-agent".to_owned(), "inpod-behaviour/1".to_owned())],
            body: Bytes::new(),
            identity: Identity::Administrator,
        }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.path
            .push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        self.path.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// Sets a header; one that is there is replaced.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a header, beside others of its name.
    #[must_use]
    pub fn add_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets `Accept`.
    #[must_use]
    pub fn accept(self, value: &str) -> Self {
        self.header("accept", value)
    }

    /// With a body of that content type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Without the administrator's certificate.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.identity = Identity::Anonymous;
        self
    }

    /// With a bearer token instead of the administrator's certificate.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.anonymous()
            .header("authorization", format!("Bearer {token}"))
    }

    /// As another user: the administrator impersonates.
    #[must_use]
    pub fn impersonate(self, user: &str) -> Self {
        self.header("impersonate-user", user)
    }
}
