//! What the trials share.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};

pub(crate) const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
pub(crate) const CLUSTER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)), 443);
/// Where connections to [`CLUSTER`] lead.
pub(crate) const REDIRECT_TO: &str = "INPOD_TEST_REDIRECT_TO";
/// Asks for new tokens without end.
pub(crate) const UPDATES: &str = "INPOD_TEST_UPDATES";
/// Marks every process of one sandbox by its environment.
const MARK: &str = "INPOD_TEST_MARK";
/// For what happens at once on an idle machine, on a busy one.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who runs a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Who runs the tests.
    Caller,
    /// Nobody, when the tests run as root.
    Nobody,
}

pub(crate) fn users() -> Vec<User> {
    let mut users = vec![User::Caller];
    if rustix::process::geteuid().is_root() {
        users.push(User::Nobody);
    }
    users
}

/// A trial that is ignored, with the reason, where this machine has no sandbox.
pub(crate) fn trial(
    user: User,
    name: &str,
    test: impl FnOnce(User) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let who = if user == User::Nobody {
        "nobody"
    } else {
        "caller"
    };
    Trial::ignorable_test(format!("{who}::{name}"), move || {
        if let Some(reason) = missing(user) {
            return Ok(Completion::ignored_with(reason));
        }
        test(user).map(|()| Completion::Completed)
    })
}

fn missing(user: User) -> Option<&'static str> {
    static MISSING: [OnceLock<Option<String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let missing = MISSING[usize::from(user == User::Nobody)].get_or_init(|| {
        match run(user, &["true"]).output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(format!("needs setpriv: {error}")),
        }
    });
    missing.as_deref()
}

/// A directory that everybody can enter, until [`clean_up`].
fn public() -> &'static Path {
    static PUBLIC: OnceLock<PathBuf> = OnceLock::new();
    PUBLIC.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory").keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("permissions");
        directory
    })
}

/// This binary where everybody can execute it.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = public().join("runner");
        fs::copy(std::env::current_exe().expect("a path"), &path).expect("a copy");
        path
    })
}

/// After the last trial.
pub(crate) fn clean_up() {
    let _ = fs::remove_dir_all(public());
}

/// A command that runs this binary.
pub(crate) fn as_user(user: User) -> Command {
    let mut program = if user == User::Nobody {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(binary());
        setpriv
    } else {
        Command::new(binary())
    };
    program.stdin(Stdio::null());
    program
}

/// A command that runs `command` in a sandbox.
pub(crate) fn run(user: User, command: &[&str]) -> Command {
    let mut program = as_user(user);
    program.arg("--run").args(command);
    program
}

/// Runs a shell script in a sandbox to its end.
pub(crate) fn script(user: User, script: &str) -> Output {
    run(user, &["sh", "-c", script]).output().expect("to start")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fails unless the two are the same.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is mostly made on the spot"
)]
pub(crate) fn expect<A: PartialEq<B> + std::fmt::Debug, B: std::fmt::Debug>(
    actual: A,
    expected: B,
) -> Result<(), Failed> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("expected {expected:?}, got {actual:?}").into())
}

/// Waits until something is there.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Failed> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(format!("waited in vain for {what}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A sandbox whose processes can be found, whatever becomes of them.
pub(crate) struct Marked {
    pub(crate) child: Child,
    mark: Vec<u8>,
    mounts: String,
}

impl Marked {
    pub(crate) fn start(mut command: Command) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mark = format!(
            "{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mounts = mounts();
        let child = command.env(MARK, &mark).spawn().expect("to start");
        Self {
            child,
            mark: format!("{MARK}={mark}").into_bytes(),
            mounts,
        }
    }

    /// The processes that live, by number, with their arguments.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let numbers = fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let ours = numbers.filter(|number| {
            match fs::read(format!("/proc/{number}/environ")) {
                Ok(environment) => environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == self.mark),
                // A helper lets nobody but root look into it.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    self.is_ancestor_of(*number)
                }
                Err(_) => false,
            }
        });
        ours.map(|number| {
            let args = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            (number, String::from_utf8_lossy(&args).replace('\0', " "))
        })
        .collect()
    }

    fn is_ancestor_of(&self, mut number: i32) -> bool {
        while number > 1 {
            if i32::try_from(self.child.id()) == Ok(number) {
                return true;
            }
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            // Behind the name in brackets: state, parent.
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            number = parent.unwrap_or_default();
        }
        false
    }

    /// The process whose arguments begin so.
    pub(crate) fn find(&self, start: &str) -> Option<i32> {
        let mut processes = self.processes().into_iter();
        processes.find_map(|(number, args)| args.starts_with(start).then_some(number))
    }

    /// Reaps the child, and sees that no process and no mount is left.
    pub(crate) fn leaves_nothing(mut self) -> Result<(), Failed> {
        self.child.wait()?;
        until("every process to end", || {
            self.processes().is_empty().then_some(())
        })
        .map_err(|_| format!("processes are left: {:?}", self.processes()))?;
        expect(mounts(), self.mounts.as_str())
    }
}

pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("mountinfo")
}
