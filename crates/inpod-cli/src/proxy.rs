//! `inpod proxy`: the page's sidecar.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use inpod_proxy::{Address, ListenError, Listener, Proxy};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::connect::{self, Connect};

/// Serves the API server to the Pod's other containers, with the credentials kept here.
///
/// As kubectl proxy does. Whoever reaches the address acts with this account: keep it on localhost, or use a unix socket.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Port to listen on; 0 takes a free one
    #[arg(short, long, default_value_t = 8001)]
    port: u16,

    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    address: String,

    /// Listen on a unix socket at this path instead, which only this user may connect to
    #[arg(short, long, value_name = "PATH", conflicts_with_all = ["port", "address"])]
    unix_socket: Option<PathBuf>,

    #[command(flatten)]
    connect: Connect,
}

/// Why the proxy cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot take signals: {0}")]
    Signals(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Serves until SIGTERM or SIGINT, then drains; a second signal ends it at once.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.connect.client()?;
    let mut stop = Stop::new().map_err(Error::Signals)?;
    let mut stop_at_once = Stop::new().map_err(Error::Signals)?;
    let listener = match &args.unix_socket {
        Some(path) => Listener::unix(path)?,
        None => Listener::tcp(&args.address, args.port).await?,
    };
    announce(listener.address()).map_err(Error::Output)?;

    let serve = Proxy::builder(client).build().serve(listener, async move {
        stop.next().await;
    });
    let second = async {
        stop_at_once.next().await;
        stop_at_once.next().await
    };
    Ok(tokio::select! {
        () = serve => ExitCode::SUCCESS,
        code = second => ExitCode::from(code),
    })
}

fn announce(address: &Address) -> io::Result<()> {
    if let Address::Tcp(address) = address
        && !address.ip().is_loopback()
    {
        tracing::warn!("whoever can reach {address} acts with this account");
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "Starting to serve on {address}")?;
    stdout.flush()
}

/// The signals that ask a process to end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of them, as the exit code that a shell gives a process it ended.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
        }
    }
}
