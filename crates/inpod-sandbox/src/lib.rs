//! Runs a process as if in a Pod.
//!
//! What the process must see is a [`View`], plain data; how it is made to see it is the sandbox's business.
//!
//! ```no_run
//! use inpod_sandbox::{Command, View, block_signals, enter_if_asked, spawn};
//!
//! fn main() -> Result<(), inpod_sandbox::Error> {
//!     enter_if_asked(); // the sandbox starts this very program again as its helpers
//!     let mask = block_signals(); // before any thread is there
//!
//!     let command = Command::new("sh").args(["-c", "cat /etc/hosts"]).signal_mask(mask);
//!     let sandbox = spawn(&View::default(), &command)?;
//!     let status = sandbox.wait()?;
//!     std::process::exit(status.code().unwrap_or(1));
//! }
//! ```
//!
//! On other systems than Linux everything is there, and [`spawn`] answers [`Error::NeedsLinux`].

mod error;
mod gate;
mod view;
mod way;

#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nothing is run there")
)]
mod command;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod linux;

pub use command::Command;
pub use error::{Attempt, Error};
pub use gate::Gate;
pub use linux::{
    Sandbox, SignalMask, block_signals, check, die_of, enter_if_asked, is_supervised,
    nested_address, own_address, spawn,
};
pub use view::{Endpoint, Files, Redirect, Service, ServicePort, View};
pub use way::{Checked, Way};
