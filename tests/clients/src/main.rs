//! `cargo xtask clients`: runs the clients, prints the table, and holds it against the report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use inpod_clients::{CLIENTS, Cache, Client, Error, Mode, Report, Scratch};

/// Run clients that nobody here wrote against the embedded server, directly and through `inpod proxy`
///
/// Prints client × operation × passed or failed. Fails where that differs from tests/clients/REPORT.md, or a promise is broken.
#[derive(Parser)]
#[command(name = "cargo xtask clients")]
struct Arguments {
    /// This client alone
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CLIENTS.iter().map(|client| client.name)))]
    name: Option<String>,
    /// Write what was found to tests/clients/REPORT.md
    #[arg(long)]
    record: bool,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run for what it prints"
)]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok((report, problems)) => {
            print!("{}", report.table());
            for problem in &problems {
                eprintln!("error: {problem}");
            }
            if problems.is_empty() {
                println!("What fails is what tests/clients/REPORT.md has as failing.");
            }
            println!("{}", report.summary());
            if problems.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What was found, and what is wrong with it.
fn run(arguments: &Arguments) -> Result<(Report, Vec<String>), Error> {
    let clients: Vec<&Client> = CLIENTS
        .iter()
        .filter(|client| {
            arguments
                .name
                .as_ref()
                .is_none_or(|name| name == client.name)
        })
        .collect();
    let names: Vec<&str> = clients.iter().map(|client| client.name).collect();
    let path = inpod_clients::folder().join("REPORT.md");
    let mut recorded = match std::fs::read_to_string(&path) {
        Ok(text) => Report::parse(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Report::default(),
        Err(error) => return Err(Error::File { path, error }),
    };

    let scratch = Scratch::new()?;
    let (mut report, mut problems) = (Report::default(), Vec::new());
    for client in clients {
        match measure(client, &scratch, &mut report) {
            Ok(troubles) => problems.extend(troubles),
            Err(error) => problems.push(format!("{}: {error}", client.name)),
        }
    }

    // A client that could not be run, or not to its end, has not changed what is known of it.
    if arguments.record && problems.is_empty() {
        for name in &names {
            recorded = recorded.with(name, &report);
        }
        if arguments.name.is_none() {
            recorded = recorded.only(&names);
        }
        std::fs::write(&path, recorded.render()).map_err(|error| Error::File { path, error })?;
    }
    problems.extend(report.differences(&recorded.only(&names)));
    problems.extend(report.broken_promises(&names));
    Ok((report, problems))
}

/// Runs a client in both modes; answers with what kept it from its end.
fn measure(client: &Client, scratch: &Scratch, report: &mut Report) -> Result<Vec<String>, Error> {
    let programs = (client.prepare)(&Cache::open()?)?;
    let mut troubles = Vec::new();
    for mode in Mode::ALL {
        for program in &programs {
            let ran = inpod_clients::run(&inpod(), scratch, program, mode)?;
            for (operation, outcome) in ran.operations {
                report.add(client.name, operation, mode, outcome);
            }
            if let Some(trouble) = ran.trouble {
                troubles.push(format!("{}, {}: {trouble}", client.name, mode.name()));
            }
        }
    }
    Ok(troubles)
}

/// The binary beside this one.
fn inpod() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned))
        .unwrap_or_default()
        .join("inpod")
}
