//! Chores of the project, `cargo xtask NAME`.

mod bench;
mod cargo;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Generates the schema tables of inpod-apiserver from the published Go modules (needs Go, to download them).
    Tables {
        /// Fails if the committed tables differ from what is generated, and writes nothing.
        #[arg(long)]
        check: bool,
    },
    /// Every behaviour case against the real API server and the embedded one.
    #[command(disable_help_flag = true)]
    Conform(Rest),
    /// A real control plane on loopback, one a checkout: up, down, kubeconfig, program NAME.
    #[command(disable_help_flag = true)]
    Real(Rest),
    /// Runs clients that nobody here wrote, and holds what passes against tests/clients/REPORT.md: `[NAME] [--record]`.
    #[command(disable_help_flag = true)]
    Clients(Rest),
    /// Measures the embedded cluster and `inpod run`, built for release; takes about a minute.
    Bench,
}

/// What another program of the workspace reads.
#[derive(clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Tables { check } => tables::run(check).map_err(|error| error.to_string()),
        Chore::Conform(rest) => cargo::run("inpod-behaviour", &rest.arguments),
        Chore::Real(rest) => cargo::run("inpod-real", &rest.arguments),
        Chore::Clients(rest) => {
            cargo::build("inpod-cli").and_then(|()| cargo::run("inpod-clients", &rest.arguments))
        }
        Chore::Bench => bench::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // What the other program said is enough.
        Err(error) if error.is_empty() => ExitCode::FAILURE,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a chore talks to its caller")]
            {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
