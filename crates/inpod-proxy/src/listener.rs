use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::socket_file::SocketFile;

/// Where the proxy listens.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    _file: Option<SocketFile>,
}

/// Where a [`Listener`] listens, written as `kubectl proxy` writes it: `127.0.0.1:8001`, `[::1]:8001` or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

/// Why a [`Listener`] could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is not one of this machine, or its port is taken.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Tcp {
        /// What was asked for.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server answers on the socket at this path; it is left alone.
    #[error("another server listens on {}: stop it first, or choose another path", .0.display())]
    SocketInUse(PathBuf),
    /// Something that is not a socket is at this path; it is left alone.
    #[error("{} is there and is not a socket: remove it, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The socket could not be made.
    #[error("cannot make the socket {}: {source}", path.display())]
    Unix {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Listener {
    /// Listens on an address, IPv6 with or without brackets, or on that of a name. Port 0 lets the system choose.
    ///
    /// Whoever can reach the address acts with the proxy's credentials: the Pod's network for `127.0.0.1`.
    ///
    /// # Errors
    /// [`ListenError::Tcp`] where the system refuses.
    pub async fn tcp(address: &str, port: u16) -> Result<Self, ListenError> {
        let host = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        let bound = async {
            let listener = TcpListener::bind((host, port)).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, bound) = bound.await.map_err(|source| ListenError::Tcp {
            address: if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            },
            source,
        })?;
        let name = host.parse::<IpAddr>().is_err().then(|| host.into());
        Ok(Self {
            socket: Socket::Tcp(listener, name),
            address: Address::Tcp(bound),
            _file: None,
        })
    }

    /// Listens on a unix stream socket that only this user may connect to (mode 0600); it is removed with the listener.
    ///
    /// A socket that nobody listens on is replaced. The process's umask is changed for a moment.
    ///
    /// # Errors
    /// [`ListenError::SocketInUse`] and [`ListenError::NotASocket`] for what is in the way, [`ListenError::Unix`] where the system refuses.
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, ListenError> {
        let path = path.into();
        let (listener, file) = SocketFile::bind(&path)?;
        Ok(Self {
            socket: Socket::Unix(listener),
            address: Address::Unix(path),
            _file: Some(file),
        })
    }

    /// Serves on a socket that listens already, to the peers that `admits` lets in; others are hung up on.
    ///
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError::Tcp`] where the socket cannot be used.
    pub fn guarded(
        listener: std::net::TcpListener,
        admits: impl Fn(SocketAddr) -> bool + Send + Sync + 'static,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Tcp {
            address: "a socket that was given".into(),
            source,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = Address::Tcp(listener.local_addr().map_err(failed)?);
        Ok(Self {
            socket: Socket::Guarded(listener, Box::new(admits)),
            address,
            _file: None,
        })
    }

    /// The address it is bound to, with the port the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection and how it came.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Via)> {
        match &self.socket {
            Socket::Tcp(listener, name) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let via = Via::Tcp {
                    local: stream.local_addr()?.ip().to_canonical(),
                    name: name.clone(),
                };
                Ok((Stream::Tcp(stream), via))
            }
            Socket::Guarded(listener, admits) => loop {
                let (stream, peer) = listener.accept().await?;
                if !admits(peer) {
                    continue;
                }
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?.ip().to_canonical();
                return Ok((Stream::Tcp(stream), Via::Tcp { local, name: None }));
            },
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Via::Unix))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

enum Socket {
    /// With the name that was asked for, where it was not an address.
    Tcp(TcpListener, Option<Arc<str>>),
    /// With who may come.
    Guarded(TcpListener, Box<dyn Fn(SocketAddr) -> bool + Send + Sync>),
    Unix(UnixListener),
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(..) => "Tcp",
            Self::Guarded(..) => "Guarded",
            Self::Unix(_) => "Unix",
        })
    }
}

/// How a connection came in: what the guard holds its `Host` and `Origin` against.
#[derive(Debug, Clone)]
pub(crate) enum Via {
    Tcp {
        /// The address that the client connected to.
        local: IpAddr,
        /// The name that the proxy was told to listen on.
        name: Option<Arc<str>>,
    },
    /// No browser and no other Pod reaches a unix socket.
    Unix,
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Calls the method of whichever stream it is.
macro_rules! either {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write, cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown, cx)
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": choose another with --port, or --port 0 for a free one",
        _ => "",
    }
}
