//! Which of the Pod's containers has the account, and how what CMD sees differs by it.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use inpod_proxy::Listener;
use inpod_sandbox::{Gate, Redirect, View};

use super::reach::Reach;
use super::view::MOUNT_PATH;
use crate::failure::Failure;

/// Where CMD finds the sidecar, and `kubectl proxy` listens by default.
const SIDECAR_PORT: u16 = 8001;
const LOCALHOST: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), SIDECAR_PORT),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), SIDECAR_PORT),
];

/// What a machine can have that cannot keep a sidecar's files from CMD.
pub(super) const INSTEAD: &str =
    "Or, with `--sidecar` alone: `inpod proxy` is the sidecar then, and needs no files.";

/// Which of the Pod's containers has the service account's files.
#[derive(Debug)]
pub(super) enum Arrangement<'a> {
    /// CMD, as in a Pod of one container.
    Alone,
    /// `inpod proxy`, within this program.
    Proxy(Front),
    /// A program, by its shell command line.
    Sidecar(&'a str),
    /// None of them.
    WithoutAccount,
}

impl Arrangement<'_> {
    /// Makes what CMD would see alone what it sees so.
    pub(super) fn arrange(&self, view: &mut View, reach: &Reach) -> Result<(), Failure> {
        match self {
            Self::Alone => return Ok(()),
            Self::Proxy(front) => front.show(view, reach)?,
            Self::Sidecar(_) | Self::WithoutAccount => {}
        }
        // As with `automountServiceAccountToken: false`, even where the machine itself is a Pod.
        view.volumes.remove(MOUNT_PATH.as_ref() as &Path);
        view.withheld.push(MOUNT_PATH.into());
        Ok(())
    }

    /// What is not as in a Pod.
    pub(super) fn limits(&self, reach: &Reach) -> &'static [&'static str] {
        match (self, reach) {
            (Self::Proxy(_), Reach::At(_)) => &[
                "localhost:8001 is this machine's own, where its other users reach the API with this account too",
            ],
            (Self::Sidecar(_), _) => &[
                "the sidecar listens on this machine's own addresses, and what it serves there its other users reach too",
            ],
            _ => &[],
        }
    }
}

/// The proxy's side that CMD sees: its own localhost:8001 where connections can be led, else the machine's.
#[derive(Debug)]
pub(super) struct Front {
    gate: Gate,
    open: OnceCell<TcpListener>,
}

impl Front {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            gate: Gate::new()?,
            open: OnceCell::new(),
        })
    }

    fn show(&self, view: &mut View, reach: &Reach) -> Result<(), Failure> {
        if reach.address().is_none() {
            let through = LOCALHOST.map(|from| Redirect::through(from, &self.gate));
            view.redirects.extend(through);
        } else if self.open.get().is_none() {
            let [address, _] = LOCALHOST;
            let listener = TcpListener::bind(address).map_err(|error| {
                Failure::from(error).while_(format!("the sidecar's address {address}"))
            })?;
            if !is_reached(&listener, address)? {
                return Err(Failure::new(
                    "localhost:8001 is the sidecar of the run around this one; start this one without --sidecar, or outside of it",
                ));
            }
            let _ = self.open.set(listener);
        }
        Ok(())
    }

    pub(super) fn listener(&self) -> Result<Listener, Failure> {
        if let Some(open) = self.open.get() {
            return Ok(Listener::guarded(open.try_clone()?, |_| true)?);
        }
        let gate = self.gate.clone();
        Ok(Listener::guarded(gate.listener()?, move |peer| {
            gate.admits(peer)
        })?)
    }
}

/// Whether who connects to the address comes to this listener, and is not led elsewhere.
fn is_reached(listener: &TcpListener, address: SocketAddr) -> Result<bool, Failure> {
    let connected = TcpStream::connect(address)?;
    listener.set_nonblocking(true)?;
    // A connect to loopback is in the queue before it has succeeded.
    let came = listener.accept();
    Ok(came.is_ok_and(|(_, peer)| connected.local_addr().is_ok_and(|own| own == peer)))
}
