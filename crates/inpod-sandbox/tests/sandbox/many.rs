//! Many sandboxes of one program, one after the other: nothing is left of one when the next begins.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;

use inpod_sandbox::{Command, Redirect, Service, View, spawn};
use libtest_mimic::{Failed, Trial};

use crate::harness::{self, CLUSTER, MOUNT_PATH, User, expect, trial};

pub(crate) fn trials(user: User) -> Vec<Trial> {
    let mut trials = vec![trial(user, "many_in_a_row_leak_nothing", |user| {
        many(user, "")
    })];
    trials.push(trial(
        user,
        "many_in_a_row_leak_nothing_without_namespaces",
        |user| many(user, "user-namespaces,mounts"),
    ));
    trials
}

/// 1,000 in CI; fewer by default, so that the everyday tests stay short.
fn count() -> String {
    std::env::var("INPOD_TEST_RUNS").unwrap_or_else(|_| "40".into())
}

fn many(user: User, refusals: &str) -> Result<(), Failed> {
    let mut command = harness::as_user(user);
    let output = command.args(["--many", &count(), refusals]).output()?;
    expect(
        (
            harness::stdout(&output).as_str(),
            String::from_utf8_lossy(&output.stderr).as_ref(),
        ),
        ("nothing\n", ""),
    )
}

/// What a process has, or its user.
#[derive(Debug)]
struct Possessions {
    descriptors: usize,
    threads: usize,
    children: usize,
    keys: usize,
    /// A namespace is kept by a process, a descriptor or a mount.
    mounts: usize,
}

impl Possessions {
    fn count() -> Self {
        let entries = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let lines = |path: &str| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        Self {
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            children: children.split_whitespace().count(),
            keys: lines("/proc/keys"),
            mounts: lines("/proc/self/mountinfo"),
        }
    }
}

impl Possessions {
    /// Of a thread that was about to end there may be less.
    fn exceeds(&self, before: &Self) -> bool {
        self.descriptors > before.descriptors
            || self.threads > before.threads
            || self.children > before.children
            || self.keys > before.keys
            || self.mounts > before.mounts
    }
}

/// Kilobytes.
fn memory() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    line.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Says what has become more, or `nothing`.
#[expect(clippy::print_stdout, reason = "this is a program")]
pub(crate) fn run(count: &OsStr, refusals: &OsStr) {
    let refusals = refusals.to_string_lossy();
    let refusals: Vec<_> = refusals
        .split(',')
        .filter(|refusal| !refusal.is_empty())
        .map(|refusal| refusal.parse().expect("a refusal"))
        .collect();
    inpod_refuse::refuse(&refusals).expect("to refuse");
    let count: u32 = count.to_string_lossy().parse().expect("a number");

    // What is made once (a subreaper, what the allocator keeps) is there after the first ones.
    for _ in 0..10 {
        one();
    }
    let (before, memory_before) = (Possessions::count(), memory());
    for _ in 0..count {
        one();
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    // Threads take a moment to end.
    let mut after = Possessions::count();
    while after.exceeds(&before) && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
        after = Possessions::count();
    }
    let grown = memory() - memory_before;
    if after.exceeds(&before) {
        println!("{before:?} became {after:?}");
    } else if grown > 2048 {
        println!("{grown} kB of memory");
    } else {
        println!("nothing");
    }
}

fn one() {
    let mut view = View::default();
    view.volumes.insert(
        MOUNT_PATH.into(),
        [("token".to_owned(), b"secret".to_vec())].into(),
    );
    let names = vec!["kubernetes.default.svc".into()];
    view.hosts.push((CLUSTER.ip(), names));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    view.redirects.push(Redirect::new(CLUSTER, nowhere));
    view.services.push(Service {
        namespace: "default".into(),
        name: "kubernetes".into(),
        addresses: vec![CLUSTER.ip()],
        ..Service::default()
    });
    let script = format!("read -r token < {MOUNT_PATH}/token; [ \"$token\" = secret ]");
    let command = Command::new("sh").args(["-c", &script]);
    let sandbox = spawn(&view, &command).expect("to start");
    // The token has no end of line, at which `read` fails, and is read all the same.
    assert!(sandbox.wait().expect("to end").success());
}
