use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::forward::Tunnel;
use crate::guard::framing::After;
use crate::status::Failure;

/// What the three parts of a connection tell each other: the reading of its bytes, hyper's calls for its requests, and the
/// tunnel that it may become.
#[derive(Default)]
pub(crate) struct Exchange(Mutex<State>);

#[derive(Default)]
struct State {
    heads: VecDeque<Result<After, Failure>>,
    lingers: bool,
    tunnel: Option<Tunnel>,
}

impl Exchange {
    /// Says how the next head that hyper will read was read.
    pub(crate) fn push_head(&self, head: Result<After, Failure>) {
        self.state().heads.push_back(head);
    }

    /// How the head of the request that hyper calls for was read: each is pushed before hyper sees its bytes.
    pub(crate) fn pop_head(&self) -> Result<After, Failure> {
        self.state().heads.pop_front().unwrap_or_else(|| {
            Err(Failure::bad_request(
                "a request began inside the body of another",
            ))
        })
    }

    /// Lets the client finish sending before its connection is closed.
    pub(crate) fn linger(&self) {
        self.state().lingers = true;
    }

    pub(crate) fn lingers(&self) -> bool {
        self.state().lingers
    }

    /// What the connection becomes once hyper has written the 101.
    pub(crate) fn set_tunnel(&self, tunnel: Tunnel) {
        self.state().tunnel = Some(tunnel);
    }

    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.state().tunnel.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
