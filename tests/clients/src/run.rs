use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Error, Mode, Outcome, Scratch, folder, output, tool};

/// The longest a program may take for all its operations.
const DEADLINE: Duration = Duration::from_secs(180);

/// A client's program, built.
#[derive(Debug)]
pub struct Program {
    /// The command line; behind the sidecar, the address is added to it.
    pub command: Vec<OsString>,
    /// Further environment variables.
    pub environment: Vec<(&'static str, OsString)>,
    /// The `ClusterRole` of its account.
    pub role: &'static str,
    /// What it prints.
    pub form: Form,
}

/// What a program prints.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// `ok NAME` and `failed NAME: reason`.
    Lines,
    /// What the tests of this crate print.
    Libtest(&'static str),
}

/// What became of a program.
#[derive(Debug)]
pub struct Ran {
    /// Its operations, in its order.
    pub operations: Vec<(String, Outcome)>,
    /// Why some may be missing, where it did not end as it should.
    pub trouble: Option<String>,
}

/// Runs a program as if in a Pod of a cluster of its own: by itself, or beside a sidecar.
///
/// # Errors
/// Where it cannot be started at all.
pub fn run(inpod: &Path, scratch: &Scratch, program: &Program, mode: Mode) -> Result<Ran, Error> {
    // Killed, `inpod run` takes all that is in its sandbox with it.
    let mut command = tool::mortal("KILL", inpod);
    command.args(["run", "--cluster-role", program.role, "--"]);
    if mode == Mode::Proxied {
        command
            .arg("sh")
            .arg(folder().join("behind-proxy.sh"))
            .arg(inpod);
    }
    command
        .args(&program.command)
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .env("TMPDIR", scratch.path())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| tool::started(&command, error))?;
    let (stdout, done) = drain(child.stdout.take());
    let (stderr, _) = drain(child.stderr.take());
    let late = done.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
    if late {
        child
            .kill()
            .map_err(|error| tool::started(&command, error))?;
    }
    let status = child
        .wait()
        .map_err(|error| tool::started(&command, error))?;
    let (stdout, stderr) = (text(stdout), text(stderr));

    let (operations, fine) = match program.form {
        Form::Lines => (output::lines(&stdout), status.success()),
        // It fails with its tests.
        Form::Libtest(name) => {
            let operations = output::libtest(name, &stdout);
            let fine = !operations.is_empty();
            (operations, fine)
        }
    };
    let trouble = if late {
        Some(format!("not done within {} s", DEADLINE.as_secs()))
    } else {
        (!fine).then(|| {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            output::short(&format!("{status}: {}", last.unwrap_or_default()))
        })
    };
    Ok(Ran {
        operations,
        trouble,
    })
}

/// Reads a pipe to its end; the channel closes there.
fn drain(
    pipe: Option<impl std::io::Read + Send + 'static>,
) -> (JoinHandle<Vec<u8>>, mpsc::Receiver<()>) {
    let (sender, done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until then is all there is.
            let _ = pipe.read_to_end(&mut all);
        }
        drop(sender);
        all
    });
    (thread, done)
}

fn text(thread: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
}
