use std::net::IpAddr;

/// The host that a `Host` or an `Origin` header names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Host<'a> {
    Name(&'a str),
    Ip(IpAddr),
}

impl<'a> Host<'a> {
    /// Reads `host` or `host:port`; `None` for what is neither.
    ///
    /// An IPv6 address without brackets is against RFC 9110, but is sent, and has one reading.
    pub(crate) fn of_authority(text: &'a str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::ip(ip));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, port) = rest.split_once(']')?;
            is_port_suffix(port).then_some(())?;
            return Some(Self::ip(IpAddr::V6(ip.parse().ok()?)));
        }
        let end = text.find(':').unwrap_or(text.len());
        let (name, port) = text.split_at(end);
        is_port_suffix(port).then_some(())?;
        match name.parse::<IpAddr>() {
            Ok(ip) => Some(Self::ip(ip)),
            Err(_) => is_name(name).then_some(Self::Name(name)),
        }
    }

    /// Reads `http://host[:port]` or `https://host[:port]`; `None` for every other origin, `null` included.
    pub(crate) fn of_origin(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        web.then(|| Self::of_authority(authority)).flatten()
    }

    fn ip(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(a), Self::Ip(b)) => a == b,
            _ => false,
        }
    }
}

/// Nothing, or a colon and a port.
fn is_port_suffix(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => {
            !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok()
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_the_address() {
        let four = Host::Ip(Ipv4Addr::LOCALHOST.into());
        for text in ["127.0.0.1", "127.0.0.1:8001", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(Host::of_authority(text), Some(four), "{text}");
        }
        let six = Host::Ip(Ipv6Addr::LOCALHOST.into());
        for text in ["::1", "[::1]", "[::1]:8001", "[0:0:0:0:0:0:0:1]"] {
            assert_eq!(Host::of_authority(text), Some(six), "{text}");
        }
        assert_eq!(
            Host::of_authority("LOCALHOST:8001"),
            Some(Host::Name("localhost"))
        );
    }

    #[test]
    fn what_no_client_sends_has_no_reading() {
        for text in [
            "",
            ":",
            ":8001",
            "localhost:",
            "localhost:x",
            "localhost:+1",
            "localhost:99999",
            "localhost:1:2",
            "user@localhost",
            "localhost/",
            "localhost,evil.com",
            "local host",
            "[::1",
            "[::1]x",
            "[localhost]",
            "[127.0.0.1]",
            "[fe80::1%25lo]:1",
            "löcalhost",
        ] {
            assert_eq!(Host::of_authority(text), None, "{text}");
        }
    }

    #[test]
    fn only_web_origins_have_a_host() {
        assert_eq!(
            Host::of_origin("http://localhost:3000"),
            Some(Host::Name("localhost"))
        );
        assert_eq!(
            Host::of_origin("https://[::1]"),
            Some(Host::Ip(Ipv6Addr::LOCALHOST.into()))
        );
        for text in [
            "null",
            "",
            "localhost",
            "file://",
            "chrome-extension://localhost",
            "http://localhost/",
            "http://localhost@evil.com",
            "http://a http://b",
        ] {
            assert_eq!(Host::of_origin(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_socket_address_is_read_back(ip: IpAddr, port: u16) {
            let text = std::net::SocketAddr::new(ip, port).to_string();
            prop_assert_eq!(Host::of_authority(&text), Some(Host::ip(ip)));
            let origin = format!("http://{text}");
            prop_assert_eq!(Host::of_origin(&origin), Some(Host::ip(ip)));
        }

        #[test]
        fn a_local_name_is_only_read_from_itself(text in r"[a-z@:/\[\].%0-9 ]{0,6}(localhost|127\.0\.0\.1)[a-z@:/\[\].%0-9 ]{0,6}") {
            if let Some(Host::Name(name)) = Host::of_authority(&text)
                && name.eq_ignore_ascii_case("localhost")
            {
                prop_assert!(text == "localhost" || text.strip_prefix("localhost:").is_some_and(|p| p.parse::<u16>().is_ok()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Host::of_authority(&text);
            let _ = Host::of_origin(&text);
        }
    }
}
