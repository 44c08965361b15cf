//! Where the process meets the API server.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use inpod_sandbox::{Error, View, own_address};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Where the process meets the API server.
#[derive(Debug)]
pub(super) enum Reach {
    /// At the Service's own address: the sandbox leads connections from there.
    Led,
    /// At an address at which this program takes them and hands them on.
    At(Meeting),
}

/// An address that stands in for the Service's.
#[derive(Debug)]
pub(super) struct Meeting {
    listener: TcpListener,
    address: SocketAddr,
}

const HTTPS: u16 = 443;

const ELSEWHERE: &str = "the API server is not at the address that its Service has, but at one of this machine's, for every program to reach";
const BY_NAME: &str =
    "KUBERNETES_SERVICE_HOST is a name, since the cluster's certificate is not for the address";

impl Reach {
    /// In a sandbox the outer one leads to a port of ours, because Linux allows no second one to lead. Elsewhere ours leads.
    pub(super) fn first() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Ok(match inpod_sandbox::nested_address(port) {
            Some(address) => Self::At(Meeting { listener, address }),
            None => Self::Led,
        })
    }

    /// Where nobody can lead.
    pub(super) fn own() -> io::Result<Self> {
        let address = SocketAddr::new(own_address(), HTTPS);
        let listener = TcpListener::bind(address)?;
        Ok(Self::At(Meeting { listener, address }))
    }

    /// The address that stands in for the Service's, or might have to.
    pub(super) fn possible_address(&self) -> IpAddr {
        self.address()
            .map_or_else(own_address, |address| address.ip())
    }

    /// The address that stands in for the Service's.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Led => None,
            Self::At(meeting) => Some(meeting.address),
        }
    }

    /// What an attempt comes to with what is seen from here; where the machine refuses to lead connections, with what is seen from
    /// an address of our own.
    pub(super) fn until_one_works<T>(
        self,
        view: impl Fn(&Self) -> Result<View, Failure>,
        attempt: impl Fn(&View) -> Result<T, Error>,
    ) -> Result<(T, Self), Failure> {
        let refused = match (attempt(&view(&self)?), &self) {
            (Ok(done), _) => return Ok((done, self)),
            (Err(refused @ Error::Refused { .. }), Self::Led) => refused,
            (Err(error), _) => return Err(super::not_started(error)),
        };
        let own = match Self::own() {
            Ok(own) => own,
            Err(error) => return Err(super::not_started(without_own(refused, &error))),
        };
        let done = attempt(&view(&own)?).map_err(super::not_started)?;
        Ok((done, own))
    }

    /// What is not as in a Pod.
    pub(super) fn limits(&self, embedded: bool) -> &'static [&'static str] {
        match self {
            Self::Led => &[],
            Self::At(meeting) => match (meeting.is_own(), embedded) {
                (true, true) => &[ELSEWHERE],
                (true, false) => &[ELSEWHERE, BY_NAME],
                (false, true) => &[],
                (false, false) => &[BY_NAME],
            },
        }
    }

    /// Hands connections on to the API server, from within a runtime and until that ends.
    pub(super) fn serve(self, server: SocketAddr) -> io::Result<()> {
        let Self::At(Meeting { listener, .. }) = self else {
            return Ok(());
        };
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((client, _)) => drop(tokio::spawn(hand_on(client, server))),
                    // Out of descriptors most likely: some connection has to end first.
                    Err(error) => {
                        tracing::warn!("cannot take a connection to the API server: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(())
    }
}

/// The refusal to lead connections, where no address can stand in for the API server's either.
fn without_own(mut refused: Error, error: &io::Error) -> Error {
    if let Error::Refused { remedy, .. } = &mut refused {
        let mends = if error.kind() == io::ErrorKind::PermissionDenied {
            format!("; `sudo sysctl net.ipv4.ip_unprivileged_port_start={HTTPS}` allows it")
        } else {
            String::new()
        };
        *remedy = format!(
            "{remedy}; also, where connections cannot be led, {}:{HTTPS} could stand in for the API server's address, and cannot: {error}{mends}",
            own_address()
        );
    }
    refused
}

/// The TLS is the client's and the server's: nothing here looks into it.
async fn hand_on(mut client: TcpStream, server: SocketAddr) {
    let handed = async {
        let mut server = TcpStream::connect(server).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await
    };
    if let Err(error) = handed.await {
        tracing::debug!(%error, "a connection to the API server broke off");
    }
}

impl Meeting {
    /// Whether anybody on this machine can come there.
    fn is_own(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Led => f.write_str("at its Service's address, from which connections are led"),
            Self::At(meeting) if meeting.is_own() => {
                write!(f, "at {}, an address of this machine", meeting.address)
            }
            Self::At(meeting) => write!(
                f,
                "at {}, from which the sandbox around this one leads",
                meeting.address
            ),
        }
    }
}
