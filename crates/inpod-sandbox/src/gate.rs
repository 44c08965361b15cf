use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// A listener on loopback that serves one sandbox: its port is for every user of the machine to connect to, but who is not led there
/// by the sandbox is not [admitted](Self::admits).
///
/// ```
/// # fn example() -> std::io::Result<()> {
/// use inpod_sandbox::{Gate, Redirect, View};
///
/// let gate = Gate::new()?;
/// let listener = gate.listener()?; // to accept from
/// let mut view = View::default();
/// view.redirects.push(Redirect::through("127.0.0.1:8001".parse().unwrap(), &gate));
/// # Ok(()) }
/// # example().unwrap();
/// ```
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    listener: TcpListener,
    address: SocketAddr,
    expected: Mutex<HashSet<SocketAddr>>,
}

impl Gate {
    /// On a free port.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(Self(Arc::new(Inner {
            listener,
            address,
            expected: Mutex::default(),
        })))
    }

    /// The socket that listens.
    ///
    /// # Errors
    /// Where the process has no descriptor left.
    pub fn listener(&self) -> io::Result<TcpListener> {
        self.0.listener.try_clone()
    }

    /// Whether the connection from that address was led here. It is asked once for each: the address may be another's later.
    pub fn admits(&self, peer: SocketAddr) -> bool {
        self.expected().remove(&canonical(peer))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nobody is led there")
    )]
    pub(crate) fn expect(&self, peer: SocketAddr) {
        self.expected().insert(canonical(peer));
    }

    fn expected(&self) -> std::sync::MutexGuard<'_, HashSet<SocketAddr>> {
        self.0
            .expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}

/// As the listener's side sees it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_led_is_admitted_once_and_nobody_else() {
        let gate = Gate::new().unwrap();
        gate.expect("[::ffff:127.0.0.1]:4000".parse().unwrap());
        assert!(!gate.admits("127.0.0.1:4001".parse().unwrap()));
        assert!(gate.admits("127.0.0.1:4000".parse().unwrap()));
        assert!(!gate.admits("127.0.0.1:4000".parse().unwrap()));
    }
}
