//! Systems that have no way to show a process a [`View`].

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, raise};

use crate::{Checked, Command, Error, Files, Service, View, Way};

/// The signals that were blocked when the program started.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignalMask(());

/// Does nothing: only Linux hands signals on.
pub fn block_signals() -> SignalMask {
    SignalMask(())
}

/// Ends this process by a signal that it does not handle itself.
pub fn die_of(signal: i32) {
    if let Ok(signal) = Signal::try_from(signal) {
        let _ = raise(signal);
    }
}

/// Does nothing: there are no helpers.
pub fn enter_if_asked() {}

/// Always answers [`Error::NeedsLinux`].
///
/// # Errors
/// [`Error::NeedsLinux`].
pub fn spawn(_view: &View, _command: &Command) -> Result<Sandbox, Error> {
    Err(Error::NeedsLinux)
}

/// Always answers [`Error::NeedsLinux`].
///
/// # Errors
/// [`Error::NeedsLinux`].
pub fn check(_view: &View) -> Result<Checked, Error> {
    Err(Error::NeedsLinux)
}

/// Always `None`: there is no sandbox to be in.
pub fn nested_address(_port: u16) -> Option<SocketAddr> {
    None
}

/// Always `false`: there is no sandbox to be in.
pub fn is_supervised() -> bool {
    false
}

/// What everybody has: only Linux has others without being told.
pub fn own_address() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

/// Cannot exist here.
#[derive(Debug)]
pub struct Sandbox(Infallible);

impl Sandbox {
    /// Cannot be called.
    pub fn way(&self) -> Way {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn limits(&self) -> Vec<&'static str> {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn update(&self, _mount_path: &Path, _files: &Files) -> Result<(), Error> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn update_services(&self, _services: &[Service]) {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn wait(&self) -> Result<ExitStatus, Error> {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn wait_aside(&self) -> Result<ExitStatus, Error> {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn stop(&self, _grace: std::time::Duration) {
        match self.0 {}
    }

    /// Cannot be called.
    pub fn kill(&self) {
        match self.0 {}
    }
}
