//! Socket addresses as a process hands them to `connect`.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::libc;

/// The kernel reads no more of an address.
pub(super) const MAX_LENGTH: usize = 128;

/// The internet address in a `sockaddr`, IPv4 where IPv6 only maps it. `None` for other families, and for what is too short, which the
/// kernel refuses itself.
pub(super) fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let port = u16::from_be_bytes(*port);
    let address = match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET if bytes.len() >= size_of::<libc::sockaddr_in>() => {
            IpAddr::V4(Ipv4Addr::from(*rest.first_chunk::<4>()?))
        }
        // Behind the flow label; the kernel lets the scope at the end be left out (SIN6_LEN_RFC2133).
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

/// The path in a `sockaddr` of a unix socket; `None` for other families and for sockets without one.
pub(super) fn parse_path(bytes: &[u8]) -> Option<&Path> {
    let (family, rest) = bytes.split_first_chunk()?;
    let is_unix = i32::from(u16::from_ne_bytes(*family)) == libc::AF_UNIX;
    let path = rest.split(|byte| *byte == 0).next()?;
    (is_unix && !path.is_empty()).then(|| Path::new(OsStr::from_bytes(path)))
}

/// The same address for a socket of the other family, if it has a form there.
pub(super) fn for_ipv6(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sockaddr_in(ip: Ipv4Addr, port: u16) -> Vec<u8> {
        let mut bytes = u16::try_from(libc::AF_INET).unwrap().to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend(ip.octets());
        bytes.extend([0; 8]);
        bytes
    }

    fn sockaddr_in6(ip: Ipv6Addr, port: u16) -> Vec<u8> {
        let mut bytes = u16::try_from(libc::AF_INET6)
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(ip.octets());
        bytes.extend([0; 4]);
        bytes
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_address_or_none(bytes in prop::collection::vec(any::<u8>(), 0..MAX_LENGTH)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn ipv4_is_the_same_plain_and_mapped(ip: Ipv4Addr, port: u16) {
            let expected = Some(SocketAddr::new(ip.into(), port));
            prop_assert_eq!(parse(&sockaddr_in(ip, port)), expected);
            prop_assert_eq!(parse(&sockaddr_in6(ip.to_ipv6_mapped(), port)), expected);
        }

        #[test]
        fn ipv6_is_itself(ip: Ipv6Addr, port: u16) {
            prop_assert_eq!(parse(&sockaddr_in6(ip, port)), Some(SocketAddr::new(IpAddr::V6(ip).to_canonical(), port)));
        }

        #[test]
        fn a_cut_address_is_none(ip: Ipv4Addr, port: u16, length in 0..16usize) {
            prop_assert_eq!(parse(&sockaddr_in(ip, port)[..length]), None);
        }
    }

    #[test]
    fn other_families_are_none() {
        assert_eq!(
            parse(&[
                1, 0, b'/', b'r', b'u', b'n', b'/', b'x', 0, 0, 0, 0, 0, 0, 0, 0
            ]),
            None
        );
        assert_eq!(parse(&[0; 28]), None);
    }

    #[test]
    fn a_unix_socket_has_a_path_or_none() {
        let unix = |path: &[u8]| [&[1, 0], path].concat();
        assert_eq!(
            parse_path(&unix(b"/run/nscd/socket\0junk")),
            Some(Path::new("/run/nscd/socket"))
        );
        assert_eq!(parse_path(&unix(b"\0abstract")), None);
        assert_eq!(parse_path(&unix(b"")), None);
        assert_eq!(parse_path(&[2, 0, b'/', 0]), None);
    }
}
