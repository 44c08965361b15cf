//! Chores of the project, `cargo xtask NAME`.

mod bench;
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
    /// Measures the embedded cluster and `inpod run`, built for release; takes about a minute.
    Bench,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Tables { check } => tables::run(check).map_err(|error| error.to_string()),
        Chore::Bench => bench::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a chore talks to its caller")]
            {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
