//! A real control plane for tests: etcd, kube-apiserver and kube-controller-manager, built from their Go modules and run on
//! loopback, set up as the embedded server is.
//!
//! ```text
//! runner ──pipe──► guard ──► etcd, kube-apiserver, kube-controller-manager     all in one temporary directory
//! ```
//!
//! The guard is the runner's own binary, started again. It ends everything and removes the directory when its pipe to the runner
//! closes, which happens whatever ends the runner; and the three die with the guard.

mod binaries;
mod checkout;
mod error;
mod guard;
mod instance;
mod pki;
mod plane;

pub use binaries::{Binaries, cache, version};
pub use checkout::{down, kubeconfig, up};
pub use error::Error;
pub use guard::become_guard_if_asked;
pub use instance::Instance;
