//! What the end-to-end tests share: the binary, the tools they need, and commands with a deadline.
//!
//! A test that lacks its tool is shown as ignored, with the reason as its kind; it never counts as passed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

/// The longest a command of a test may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// The uid and gid that stand for an ordinary user where the tests run as root: nobody's.
const NOBODY: u32 = 65534;

/// Runs the trials as libtest would.
pub fn run(trials: Vec<Trial>) -> ! {
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    if let Some(folder) = BINARY.get().and_then(|binary| binary.parent()) {
        // Nothing can be done about a folder that stays, and no test depends on it.
        let _ = std::fs::remove_dir_all(folder);
    }
    conclusion.exit()
}

/// A test that needs `needs`; ignored with the first reason why one cannot be had.
pub fn trial(
    name: &str,
    needs: &[Need],
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = needs.iter().find_map(Need::missing);
    let trial = Trial::test(name, test);
    match missing {
        None => trial,
        Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
    }
}

/// What a test cannot do without.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Need {
    /// A program on PATH.
    Program(&'static str),
    /// A file whose path an environment variable names (the variable, and what the file is).
    File(&'static str, &'static str),
    /// `inpod run` works on this kernel for this user.
    Sandbox,
    /// The tests run as root.
    Root,
    /// The tests run as an ordinary user, or as root, which can become one.
    OrdinaryUser,
}

impl Need {
    fn missing(&self) -> Option<String> {
        match self {
            Self::Program(program) => program_path(program)
                .is_none()
                .then(|| format!("needs {program}")),
            Self::File(variable, what) => file(variable)
                .is_none()
                .then(|| format!("needs {what} ({variable})")),
            Self::Sandbox => sandbox_refused(),
            Self::Root => (!is_root()).then(|| "needs root".to_owned()),
            Self::OrdinaryUser => (is_root() && program_path("setpriv").is_none())
                .then(|| "needs setpriv to become an ordinary user".to_owned()),
        }
    }
}

/// The file that an environment variable names, where it is there.
pub fn file(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.exists())
}

/// Where `program` is on PATH.
pub fn program_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The binary under test, built by the same `cargo test --workspace`.
pub fn inpod() -> &'static Path {
    BINARY.get_or_init(copy_binary)
}

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Where every user can reach it.
fn copy_binary() -> PathBuf {
    let built = std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.parent()?.parent()?.join("inpod")))
        .filter(|path| path.is_file())
        .expect("target/<profile>/inpod is built by `cargo test --workspace` or `cargo build`");
    let folder = tempfile::Builder::new()
        .prefix("inpod-tests-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a folder for the binary under test")
        .keep();
    let copy = folder.join("inpod");
    std::fs::copy(built, &copy).expect("the binary under test can be copied");
    copy
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// `inpod` with arguments.
pub fn inpod_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(inpod());
    command.args(arguments);
    command
}

/// The same command as whoever runs the tests.
pub fn as_the_caller(command: &Command) -> Command {
    copy_of(command, Command::new(command.get_program()))
}

/// The number of the user that [`as_ordinary_user`] has commands run by.
pub fn ordinary_user() -> u32 {
    if is_root() {
        NOBODY
    } else {
        nix::unistd::geteuid().as_raw()
    }
}

/// The same command as an ordinary user, where the tests run as root.
pub fn as_ordinary_user(command: &Command) -> Command {
    if !is_root() {
        return as_the_caller(command);
    }
    let mut user = Command::new("setpriv");
    let id = NOBODY.to_string();
    user.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .arg(command.get_program());
    copy_of(command, user)
}

fn copy_of(command: &Command, mut copy: Command) -> Command {
    copy.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output of a command that must have succeeded.
    ///
    /// # Errors
    /// With everything it printed, where it did not.
    pub fn success(self) -> Result<String, Failed> {
        if self.status.success() {
            Ok(self.stdout)
        } else {
            Err(format!(
                "{}\nstdout: {}\nstderr: {}",
                self.status, self.stdout, self.stderr
            )
            .into())
        }
    }
}

/// Runs a command to its end, within the deadline.
///
/// # Errors
/// Where it cannot be started, or is not done in time; it is killed then.
pub fn output(command: &mut Command) -> Result<Output, Failed> {
    output_with_input(command, "")
}

/// As [`output`], with `input` on its standard input.
///
/// # Errors
/// As [`output`].
pub fn output_with_input(command: &mut Command, input: &str) -> Result<Output, Failed> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input closes it early; that is its own business.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    }
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child)?;
    let text = |thread: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    Ok(Output {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

/// Waits for a child within the deadline; kills it where it takes longer.
///
/// # Errors
/// Where it was not done in time.
pub fn wait(child: &mut Child) -> Result<ExitStatus, Failed> {
    if let Some(status) = eventually(|| child.try_wait().ok().flatten()) {
        return Ok(status);
    }
    child.kill()?;
    child.wait()?;
    Err(format!("not done within {DEADLINE:?}").into())
}

/// Asks until there is an answer, within the deadline.
pub fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > DEADLINE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut all);
        }
        all
    })
}

/// Why `inpod run` cannot work here, where it cannot.
fn sandbox_refused() -> Option<String> {
    static REFUSED: LazyLock<Option<String>> = LazyLock::new(|| {
        let output = output(&mut inpod_command(&["run", "--", "true"])).ok()?;
        let refused = output.stderr.contains("this machine refuses");
        refused.then(|| format!("needs namespaces: {}", output.stderr.trim()))
    });
    REFUSED.clone()
}

/// Fails unless both are equal, showing both.
///
/// # Errors
/// Where they are not.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is mostly made for it"
)]
pub fn equal<A: std::fmt::Debug + PartialEq<B>, B: std::fmt::Debug>(
    is: A,
    should: B,
) -> Result<(), Failed> {
    if is == should {
        Ok(())
    } else {
        Err(format!("is:     {is:?}\nshould: {should:?}").into())
    }
}

/// Fails unless `text` has `part` in it, showing both.
///
/// # Errors
/// Where it has not.
pub fn contains(text: &str, part: &str) -> Result<(), Failed> {
    if text.contains(part) {
        Ok(())
    } else {
        Err(format!("not found: {part}\nin: {text}").into())
    }
}

/// A machine that refuses some of what a sandbox is made of, and who runs a command there.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its name in the names of tests.
    pub name: &'static str,
    /// What it refuses, as `inpod-refuse` is told it.
    pub refuses: &'static str,
    /// Whether an ordinary user runs the command: with leave to read root's files, because that is where the tests' tools may be.
    pub ordinary: bool,
}

/// Each kind of machine on which `inpod run` has to do without namespaces.
pub const MACHINES: [Machine; 6] = [
    Machine {
        name: "without_user_namespaces",
        refuses: "user-namespaces",
        ordinary: true,
    },
    Machine {
        name: "without_mounts",
        refuses: "mounts",
        ordinary: true,
    },
    Machine {
        name: "with_no_namespaces_left",
        refuses: "namespaces-left",
        ordinary: true,
    },
    Machine {
        name: "in_a_container_as_root",
        refuses: "user-namespaces,mounts,sockets,administration",
        ordinary: false,
    },
    Machine {
        name: "in_a_container_in_a_sandbox_as_root",
        refuses: "user-namespaces,mounts,sockets,administration,listeners",
        ordinary: false,
    },
    Machine {
        name: "in_a_container_that_may_mount_as_root",
        refuses: "sockets",
        ordinary: false,
    },
];

impl Machine {
    /// The same command there, by the program `inpod-refuse`.
    pub fn command(&self, refuse: &str, command: &Command) -> Command {
        let mut there = Command::new(refuse);
        there.args([self.refuses, "--"]);
        if self.ordinary && is_root() {
            let id = NOBODY.to_string();
            there.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
            there.args(["--inh-caps", "+dac_read_search"]);
            there.args(["--ambient-caps", "+dac_read_search", "--"]);
        }
        there.arg(command.get_program());
        copy_of(command, there)
    }
}

/// A folder that every user can reach, until it is dropped.
///
/// # Errors
/// Where it cannot be made.
pub fn public_folder() -> Result<tempfile::TempDir, Failed> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    Ok(tempfile::Builder::new()
        .permissions(permissions)
        .tempdir()?)
}

/// A folder with the JavaScript example, `main.js`, beside the modules that it imports, which are looked for there.
///
/// # Errors
/// Where it cannot be made.
pub fn javascript_example(node_modules: &Path) -> Result<tempfile::TempDir, Failed> {
    let folder = public_folder()?;
    let example = repository().join("examples/1-official-clients/javascript");
    for name in ["main.js", "package.json"] {
        std::fs::copy(example.join(name), folder.path().join(name))?;
    }
    std::os::unix::fs::symlink(node_modules, folder.path().join("node_modules"))?;
    Ok(folder)
}
