use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::claims::Claims;

/// The claims of tokens whose signature was verified, by the token's SHA-256: a signature does not change, and verifying one is
/// most of what authenticating a request costs. Expiry and liveness are none of the cache's business.
#[derive(Default)]
pub(super) struct Verified(Mutex<HashMap<[u8; 32], Arc<Claims>>>);

/// More tokens than one machine's Pods have; past it the cache starts anew.
const CAPACITY: usize = 4096;

impl Verified {
    /// The claims of `token`, verified by `verify` unless they were before. Failures are not kept.
    pub(super) fn get_or<E>(
        &self,
        token: &str,
        verify: impl FnOnce() -> Result<Claims, E>,
    ) -> Result<Arc<Claims>, E> {
        let key: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.lock().get(&key) {
            return Ok(claims.clone());
        }
        let claims = Arc::new(verify()?);
        let mut verified = self.lock();
        if verified.len() >= CAPACITY {
            verified.clear();
        }
        verified.insert(key, claims.clone());
        Ok(claims)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Claims>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}
