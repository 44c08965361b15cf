//! What the process sees.

use std::io::Write;
use std::process::Stdio;

use libtest_mimic::{Failed, Trial};

use crate::harness::{UPDATES, User, binary, expect, run, script, stdout, trial};

pub(crate) fn trials(user: User) -> Vec<Trial> {
    let mut trials = vec![
        trial(user, "the_files_are_at_the_path_and_read_only", files),
        trial(user, "the_layout_is_the_kubelets", layout),
        trial(user, "the_rest_of_run_is_there", rest_of_run),
        trial(user, "names_resolve_beside_the_machines", hosts),
        trial(user, "variables_are_set_and_removed", environment),
        trial(user, "a_kube_directory_is_empty_and_private", hidden),
        trial(user, "user_directory_and_umask_are_the_callers", identity),
        trial(user, "standard_input_passes", stdin),
        trial(user, "no_descriptor_leaks", descriptors),
        trial(
            user,
            "signal_mask_and_dispositions_are_the_callers",
            signals,
        ),
        trial(user, "new_files_arrive_and_none_is_ever_missing", updates),
        trial(user, "two_stand_side_by_side", side_by_side),
        trial(user, "one_in_another_is_refused_clearly", nested),
    ];
    if rustix::process::geteuid().is_root() {
        // Only root can make such a machine.
        let name = "directories_on_the_way_may_be_closed_and_have_odd_names";
        trials.push(trial(user, name, closed));
    }
    trials
}

fn files(user: User) -> Result<(), Failed> {
    let output = script(
        user,
        "cd /var/run/secrets/kubernetes.io/serviceaccount && cat token namespace /run/secrets/kubernetes.io/serviceaccount/token
         (echo x > token) 2>/dev/null || echo ' kept'",
    );
    expect(stdout(&output), "token-0defaulttoken-0 kept\n")
}

fn layout(user: User) -> Result<(), Failed> {
    let output = script(
        user,
        "cd /var/run/secrets/kubernetes.io/serviceaccount && stat -c '%A %N' . token ..data/token \"$(readlink ..data)\" | sed 's/[0-9]/0/g'",
    );
    expect(
        stdout(&output),
        "drwxrwxrwt '.'\nlrwxrwxrwx 'token' -> '..data/token'\n-rw-r--r-- '..data/token'\ndrwxr-xr-x '..0000_00_00_00_00_00.000000000'\n",
    )
}

fn rest_of_run(user: User) -> Result<(), Failed> {
    let list = "ls -A1 /run; stat -c %a /run";
    let here = std::process::Command::new("sh")
        .args(["-c", list])
        .output()?;
    let inside = stdout(&script(user, list));
    let inside: Vec<_> = inside.lines().filter(|line| *line != "secrets").collect();
    let here = stdout(&here);
    expect(
        inside,
        here.lines()
            .filter(|line| *line != "secrets")
            .collect::<Vec<_>>(),
    )
}

/// A `/run/secrets` that only root may enter, and, for root, a name in it that is not UTF-8.
fn closed(user: User) -> Result<(), Failed> {
    let machine = r#"mount -t tmpfs none /run && mkdir -m 700 /run/secrets && touch "/run/secrets/$(printf '\377')" && exec "$@""#;
    let inside = run(
        user,
        &[
            "sh",
            "-c",
            "cat /var/run/secrets/kubernetes.io/serviceaccount/token; ls -A /run/secrets | wc -l",
        ],
    );
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", machine, "sh"])
        .arg(inside.get_program())
        .args(inside.get_args())
        .output()?;
    let names = if user == User::Nobody { 1 } else { 2 };
    expect(stdout(&output), format!("token-0{names}\n"))
}

fn hosts(user: User) -> Result<(), Failed> {
    let output = stdout(&script(user, "cat /etc/hosts"));
    let machine = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    expect(
        output,
        format!("10.96.0.1\tkubernetes.default.svc kubernetes\n{machine}"),
    )
}

fn environment(user: User) -> Result<(), Failed> {
    let mut command = run(
        user,
        &[
            "sh",
            "-c",
            "echo $KUBERNETES_SERVICE_HOST ${POD_NAMESPACE-unset} $OTHER",
        ],
    );
    let output = command
        .env("POD_NAMESPACE", "mine")
        .env("OTHER", "kept")
        .output()?;
    expect(stdout(&output), "10.96.0.1 unset kept\n")
}

fn hidden(user: User) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join(".kube"))?;
    std::fs::write(home.path().join(".kube/config"), "secret")?;
    let open =
        |path| std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755));
    open(home.path().to_owned())?;
    let mut command = run(
        user,
        &[
            "sh",
            "-c",
            "ls -A ~/.kube; stat -c %a ~/.kube; echo x > ~/.kube/cache && cat ~/.kube/cache",
        ],
    );
    let output = command.env("HOME", home.path()).output()?;
    expect(stdout(&output), "700\nx\n")?;
    expect(std::fs::read_dir(home.path().join(".kube"))?.count(), 1)
}

fn identity(user: User) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let show = "pwd; id -u; id -g; umask";
    let mut directly = match user {
        User::Caller => std::process::Command::new("sh"),
        User::Nobody => std::process::Command::new("setpriv"),
    };
    if user == User::Nobody {
        directly.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
    }
    let directly = directly
        .args(["-c", show])
        .current_dir(directory.path())
        .output()?;
    let output = run(user, &["sh", "-c", show])
        .current_dir(directory.path())
        .output()?;
    expect(stdout(&output), stdout(&directly))
}

fn stdin(user: User) -> Result<(), Failed> {
    let mut child = run(user, &["cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no stdin")?
        .write_all(b"through")?;
    expect(stdout(&child.wait_with_output()?), "through")
}

fn descriptors(user: User) -> Result<(), Failed> {
    // One that the caller hands on, and none besides what the same shell has without a sandbox.
    let list = format!("exec 7</dev/null; {} ls -1 /proc/self/fd", "\"$@\"");
    let directly = std::process::Command::new("sh")
        .args(["-c", &list, "-"])
        .stdin(Stdio::null())
        .output()?;
    let sandboxed = run(user, &[]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &list, "-"])
        .arg(sandboxed.get_program())
        .args(sandboxed.get_args());
    let output = command.stdin(Stdio::null()).output()?;
    expect(stdout(&output), stdout(&directly))?;
    expect(stdout(&directly).contains('7'), true)
}

fn signals(user: User) -> Result<(), Failed> {
    let status = "grep -E 'Sig(Blk|Ign)|ShdPnd' /proc/self/status";
    let script = format!("trap '' HUP; \"$@\" sh -c \"{status}\"");
    let directly = std::process::Command::new("sh")
        .args(["-c", &script, "-"])
        .output()?;
    let sandboxed = run(user, &[]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script, "-"])
        .arg(sandboxed.get_program())
        .args(sandboxed.get_args());
    expect(stdout(&command.output()?), stdout(&directly))
}

fn updates(user: User) -> Result<(), Failed> {
    let read = "n=0; last=; while [ $n -lt 20 ]; do read -r t < /var/run/secrets/kubernetes.io/serviceaccount/token || [ \"$t\" ] || exit 9
        [ \"$t\" = \"$last\" ] || n=$((n+1)); last=$t; done; echo done";
    let output = run(user, &["sh", "-c", read]).env(UPDATES, "1").output()?;
    expect(
        (stdout(&output).as_str(), output.status.code()),
        ("done\n", Some(0)),
    )
}

fn side_by_side(user: User) -> Result<(), Failed> {
    let wait = || {
        run(
            user,
            &[
                "sh",
                "-c",
                "read -r _; cat /run/secrets/kubernetes.io/serviceaccount/token",
            ],
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    };
    let (mut first, second) = (wait()?, wait()?);
    first.stdin.take().ok_or("no stdin")?.write_all(b"\n")?;
    expect(stdout(&first.wait_with_output()?), "token-0")?;
    expect(stdout(&second.wait_with_output()?), "token-0")
}

fn nested(user: User) -> Result<(), Failed> {
    let binary = binary().to_str().ok_or("a path in UTF-8")?;
    let output = run(user, &[binary, "--run", "true"]).output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        (
            output.status.code(),
            message.contains("an `inpod run` around this one"),
        ),
        (Some(1), true),
    )
    .map_err(|failed| format!("{}: {message}", failed.message().unwrap_or_default()).into())
}
