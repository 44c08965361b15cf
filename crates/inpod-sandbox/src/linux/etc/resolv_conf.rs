//! The contents of `/etc/resolv.conf` (resolv.conf(5)).

use std::net::IpAddr;

/// Where it is.
pub(super) const PATH: &str = "/etc/resolv.conf";

/// The machine's, with one more name server, the first: some resolvers (c-ares, musl) heed no answer from another address than they
/// asked, so that it does not do to lead what they ask the machine's.
pub(super) fn contents(resolver: IpAddr, machine: &[u8]) -> Vec<u8> {
    let mut contents = format!("nameserver {resolver}\n").into_bytes();
    contents.extend(machine);
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_lines_stay() {
        let seen = contents(
            [127, 96, 0, 1].into(),
            b"search corp\nnameserver 10.0.0.2\n",
        );
        assert_eq!(
            String::from_utf8(seen).unwrap(),
            "nameserver 127.96.0.1\nsearch corp\nnameserver 10.0.0.2\n"
        );
    }
}
