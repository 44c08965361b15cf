//! Clients that nobody here wrote, each in its idiomatic use, against the embedded server and again through `inpod proxy`.
//!
//! A client is a small program in a folder of this package and an entry of [`CLIENTS`]. The program prints one line for each
//! operation, `ok NAME` or `failed NAME: reason`. What passes is held against `REPORT.md`, in both directions.

mod cache;
mod clients;
mod error;
mod output;
mod report;
mod run;
mod scratch;
mod tool;

pub use cache::Cache;
pub use clients::{CLIENTS, Client, PROMISED};
pub use error::Error;
pub use report::{Mode, Outcome, Report};
pub use run::{Form, Program, Ran, run};
pub use scratch::Scratch;

use std::path::Path;

/// The folder of this package, with the clients' programs and the report.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
