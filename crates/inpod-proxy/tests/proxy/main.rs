//! The proxy between a client and an API server that are both written out byte by byte.

mod credentials;
mod framing;
mod guard;
mod headers;
mod lifecycle;
mod streaming;
mod support;
mod upgrade;
