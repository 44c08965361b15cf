//! Addresses at which what a sandbox needs is met.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::supervisor;
use super::tree::PROBE;

/// The address at which a process in a sandbox inside this process's reaches `port` of this machine's loopback; `None` if this
/// process is in none. Linux allows one supervisor of connections, so the outer one leads there.
pub fn nested_address(port: u16) -> Option<SocketAddr> {
    supervisor::probe()
        .is_ok()
        .then(|| supervisor::nested_address(port))
}

/// Whether a supervisor around this process answers for it: for what it connects to, or the files it asks for. It has to look into
/// this process for that, where it has no privileges.
pub fn is_supervised() -> bool {
    supervisor::probe().is_ok() || Path::new(PROBE).symlink_metadata().is_ok()
}

/// An address of loopback for this process, which nobody else should have: for what is to be met at a port of its own.
pub fn own_address() -> IpAddr {
    address_of(OWN, std::process::id())
}

/// As [`own_address`]: a process may run two sandboxes, a sidecar's and its own, which each have a name server.
pub(super) fn own_addresses() -> [IpAddr; 2] {
    [OWN, SECOND].map(|block| address_of(block, std::process::id()))
}

/// The second byte of the addresses, at the least.
const OWN: u8 = 160;
const SECOND: u8 = 64;

/// Of the number of a process, which on Linux has no more than 22 bits.
fn address_of(block: u8, process: u32) -> IpAddr {
    // Neither 0 nor 255 at the end, which some programs take for a network's own.
    const LAST: u32 = 254;
    let [_, _, high, low] = (process / LAST).to_be_bytes();
    let last = u8::try_from(process % LAST + 1).unwrap_or(1);
    IpAddr::from([127, block.saturating_add(high), low, last])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn processes_have_addresses_from_127_160_up() {
        for (process, address) in [
            (1, "127.160.0.2"),
            (254, "127.160.1.1"),
            (32_768, "127.160.129.3"),
            ((1 << 22) - 1, "127.224.129.2"),
        ] {
            assert_eq!(address_of(OWN, process).to_string(), address);
        }
    }

    proptest! {
        #[test]
        fn no_two_processes_have_the_same(one in 1_u32..1 << 22, other in 1_u32..1 << 22) {
            prop_assert_eq!(address_of(OWN, one) == address_of(OWN, other), one == other);
            prop_assert_ne!(address_of(OWN, one), address_of(SECOND, other));
        }
    }
}
