//! `cargo xtask real`: the checkout's own real control plane.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inpod_real::{Binaries, Error, Instance};

#[derive(Parser)]
#[command(
    name = "cargo xtask real",
    about = "A real Kubernetes control plane on loopback, one a checkout"
)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Builds it (once, eight minutes), starts it, and prints how to use it.
    Up,
    /// Ends it and removes all of it.
    Down,
    /// Prints the path of the administrator's kubeconfig.
    Kubeconfig,
    /// Starts one of this process's own, prints its directory, and waits for the end of standard input.
    #[command(hide = true)]
    Hold,
    /// Builds it, and prints the path of a program: etcd, kube-apiserver, kube-controller-manager or kubectl.
    Program {
        /// Which.
        name: String,
    },
}

fn main() -> ExitCode {
    inpod_real::become_guard_if_asked();
    match run(&Arguments::parse().action) {
        Ok(line) => {
            #[expect(clippy::print_stdout, reason = "it is what the caller asked for")]
            if !line.is_empty() {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a chore talks to its caller")]
            {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(action: &Action) -> Result<String, Error> {
    match action {
        Action::Up => {
            let kubeconfig = inpod_real::up()?;
            Ok(format!("export KUBECONFIG={}", kubeconfig.display()))
        }
        Action::Down => inpod_real::down().map(|()| String::new()),
        Action::Kubeconfig => Ok(inpod_real::kubeconfig()?.display().to_string()),
        Action::Hold => hold(),
        Action::Program { name } => Ok(Binaries::build()?.program(name).display().to_string()),
    }
}

/// What any runner of tests does, for the tests of its sudden end. It ends with its standard input, so that it does not outlive
/// a test that is killed.
fn hold() -> Result<String, Error> {
    let instance = Instance::start()?;
    #[expect(clippy::print_stdout, reason = "it is what the caller waits for")]
    {
        println!("{}", instance.folder().display());
    }
    // Nothing is ever written to it; a failure to read is its end too.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    Ok(String::new())
}
