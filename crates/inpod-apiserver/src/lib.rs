//! An embedded Kubernetes API server with its Pod side complete: service accounts, bound tokens, CA and RBAC.
//!
//! [`Server::start`] starts one, for development and tests; any Kubernetes client can use it.
//!
//! The way of a request: `wire` (TLS, HTTP, [`inpod::RequestInfo`]) → `auth` (who, and may they) → `admission`
//! → `registry` (what the verb does to which kind) → [`storage`] (one revision counter, one event log) → watches.

mod admission;
mod auth;
#[cfg(feature = "breaks")]
pub mod breaks;
#[cfg(not(feature = "breaks"))]
#[expect(unreachable_pub, reason = "it is public with the feature")]
mod breaks;
mod controllers;
mod core;
mod managed_fields;
mod pki;
mod quote;
mod registry;
pub mod schema;
mod server;
mod source;
mod status;
pub mod storage;
mod user;
mod wire;

pub use server::{AdminCredentials, Options, Server, StartError};
pub use source::{Source, SystemSource};
pub use status::{Cause, Details, Reason, Status};
pub use user::UserInfo;
