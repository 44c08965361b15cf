//! Runs a process as if in a Pod.
//!
//! What the process must see is a [`View`], plain data; how it is made to see it is the sandbox's business.

mod view;

pub use view::{Files, Redirect, View};
