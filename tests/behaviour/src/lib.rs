//! One suite of behaviour, two servers: each case is written once and run against the real API server and the embedded one, and
//! what both did must be the same.
//!
//! ```text
//! case ──► session ──► target (real | embedded)
//!             │ what was asked and answered
//!             ▼
//!         transcript ──► recording: uids, names, versions and times replaced by numbers
//!                            │
//!              compare (real, embedded) ──► differences ──► less those accepted, each with its reason
//! ```
//!
//! `cargo xtask conform` runs both; the real server's recordings are committed, so that `cargo test` holds the embedded server
//! against them without one.

pub mod accepted;
mod answer;
pub mod cases;
pub mod compare;
mod failure;
pub mod generated;
mod judge;
mod normal;
pub mod recording;
pub mod report;
mod request;
mod session;
mod target;
mod watch;

pub use answer::Answer;
pub use failure::Failure;
pub use judge::against_recording;
pub use request::{Request, delete, get, patch, post, put};
pub use session::Session;
pub use target::{Protocol, Target};
pub use watch::Watch;

use std::future::Future;
use std::pin::Pin;

/// What a case comes to: nothing, or why it could not go on.
pub type Outcome = Result<(), Failure>;

/// A case: a name, `area/behaviour`, and what is done.
#[derive(Clone, Copy)]
pub struct Case {
    /// Unique, and the path of its recording.
    pub name: &'static str,
    /// What is asked of a server. What comes back is for the comparison to judge: a case asserts nothing.
    pub run: fn(&mut Session) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>,
}

/// The cases of one area, from its async functions.
macro_rules! case_list {
    ($area:literal: $($case:ident),* $(,)?) => {
        /// The cases of this area.
        pub(super) const CASES: &[$crate::Case] = &[$($crate::Case {
            name: concat!($area, "/", stringify!($case)),
            run: |session| Box::pin($case(session)),
        }),*];
    };
}
pub(crate) use case_list;
