//! `inpod`: the Kubernetes API the way a Pod gets it, for any program on any machine.

mod api;
#[cfg(feature = "cluster")]
mod cluster;
mod connect;
#[cfg(feature = "cluster")]
mod embedded;
#[cfg(feature = "cluster")]
mod exit;
mod failure;
mod kubeconfig;
#[cfg(feature = "cluster")]
mod manifests;
mod proxy;
#[cfg(feature = "cluster")]
mod run;
#[cfg(feature = "cluster")]
mod secrecy;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use failure::Failure;

/// The Kubernetes API the way a Pod gets it: found, trusted and authenticated without configuration.
#[derive(Debug, Parser)]
#[command(name = "inpod", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "cluster")]
    Run(run::Args),
    #[cfg(feature = "cluster")]
    Cluster(cluster::Args),
    Api(api::Args),
    Proxy(proxy::Args),
}

fn main() -> ExitCode {
    #[cfg(feature = "cluster")]
    inpod_sandbox::enter_if_asked();
    #[cfg(all(feature = "cluster", target_os = "linux"))]
    cluster::holder::enter_if_asked();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("INPOD_LOG").unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();

    let cli = Cli::try_parse().unwrap_or_else(|error| hinting_at_the_dashes(error).exit());
    let ended = match cli.command {
        #[cfg(feature = "cluster")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "cluster")]
        Command::Cluster(args) => cluster::run(args),
        Command::Api(args) => on_one_thread(api::run(args)),
        Command::Proxy(args) => on_one_thread(proxy::run(args)),
    };
    ended.unwrap_or_else(Failure::report)
}

/// With a word on `--` where a program was named without it.
fn hinting_at_the_dashes(mut error: clap::Error) -> clap::Error {
    let subcommand = std::env::args().nth(1).unwrap_or_default();
    if error.kind() != ErrorKind::UnknownArgument
        || !matches!(subcommand.as_str(), "run" | "cluster")
    {
        return error;
    }
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && !argument.starts_with('-')
    {
        let tip = format!("the program comes after `--`: inpod {subcommand} -- {argument}");
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

/// One connection's work is faster on one thread, and a sidecar's memory smaller.
fn on_one_thread<E: Into<Failure>>(
    task: impl Future<Output = Result<ExitCode, E>>,
) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task)
        .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
