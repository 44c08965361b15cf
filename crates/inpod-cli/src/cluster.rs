//! `inpod cluster`: the embedded API server in the foreground.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inpod_apiserver::Server;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::manifests::Manifest;
use crate::{embedded, manifests, secrecy};
use admin_kubeconfig::Kubeconfig;

mod admin_kubeconfig;
#[cfg(target_os = "linux")]
pub(crate) mod holder;

/// Run the embedded API server, for machines without a cluster
///
/// Prints one line when it is ready, and serves until it is interrupted. With a command after `--`, runs that with KUBECONFIG set,
/// and ends with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port to listen on, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Write an admin kubeconfig here
    ///
    /// It is readable by you alone, and removed when the cluster ends. A file that inpod did not write is never replaced, nor is that of a
    /// cluster that runs.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Load these manifests first: a file, a folder, or - for standard input (repeatable)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    #[command(flatten)]
    embedded: embedded::Embedded,
    /// A command to run with KUBECONFIG set
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    secrecy::keep();
    let manifests = manifests::read_all(&args.filenames)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(args, manifests))
}

async fn serve(args: Args, manifests: Vec<Manifest>) -> Result<ExitCode, Failure> {
    let server = embedded::start(&args.embedded, args.port, None).await?;
    manifests::load(&embedded::admin(&server)?, manifests, "default").await?;
    let kubeconfig = Kubeconfig::write(args.kubeconfig.as_deref(), &server.kubeconfig())?;

    let code = match args.command.split_first() {
        None => foreground(&server, kubeconfig.path()).await?,
        Some((program, arguments)) => command(program, arguments, kubeconfig.path()).await?,
    };
    drop(kubeconfig);
    server.shutdown().await;
    Ok(code)
}

/// Serves until an interrupt, a hang-up or a polite request to end.
async fn foreground(server: &Server, kubeconfig: &Path) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    writeln!(
        std::io::stdout(),
        "The cluster is ready at {}; use it with: export KUBECONFIG={}",
        server.url(),
        kubeconfig.display()
    )?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the command to its end. It shares our process group, so the terminal's signals reach it without us.
async fn command(
    program: &OsString,
    arguments: &[OsString],
    kubeconfig: &Path,
) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| crate::exit::not_started(program, &error))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(crate::exit::like(status?)),
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => hand_on(&child, Signal::SIGTERM),
            _ = hangup.recv() => hand_on(&child, Signal::SIGHUP),
        }
    }
}

fn hand_on(child: &tokio::process::Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended this moment; `wait` tells.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}
