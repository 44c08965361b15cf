//! What every stage of a request shares.

use std::sync::{Arc, Mutex};

use crate::Source;
use crate::auth::{Rbac, Tokens};
use crate::storage::Store;

/// The parts of one server that a request meets on its way, and its settings.
#[derive(Debug)]
pub(crate) struct Core {
    /// Time, randomness and uids.
    pub(crate) source: Arc<dyn Source>,
    /// The one store.
    pub(crate) store: Arc<Store>,
    /// Mints and verifies service-account tokens.
    pub(crate) tokens: Tokens,
    /// Decides who may do what.
    pub(crate) rbac: Rbac,
    /// The CA that signed the serving certificate, PEM: what `kube-root-ca.crt` publishes.
    pub(crate) ca_pem: String,
    /// Held from reading what is taken of a pool that objects share (cluster IPs, node ports) to storing what was taken of it.
    pub(crate) allocation: Mutex<()>,
}
