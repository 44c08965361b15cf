//! `inpod run` and `inpod cluster` as their user meets them: options, status, input, mistakes.

use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, as_ordinary_user, contains, equal, inpod_command, is_root, output, output_with_input,
    trial,
};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

const SIGCHLD: i32 = nix::sys::signal::Signal::SIGCHLD as i32;
const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

fn main() {
    let curl = &[Sandbox, Program("curl")];
    let mut trials = vec![
        trial("the_commands_own_status_is_ours", &[Sandbox], own_status),
        trial(
            "a_command_that_is_not_there_is_127_and_one_that_cannot_run_126",
            &[Sandbox],
            not_started,
        ),
        trial(
            "we_die_of_the_signal_the_command_died_of",
            &[Sandbox],
            signal_death,
        ),
        trial(
            "ended_helpers_are_kept_where_the_caller_ignores_children",
            &[Sandbox, Program("python3")],
            ignored_children,
        ),
        trial(
            "standard_input_reaches_the_command_from_a_pipe",
            &[Sandbox],
            piped_input,
        ),
        trial(
            "user_group_folder_and_environment_are_kept",
            &[Sandbox],
            kept,
        ),
        trial(
            "the_developers_kubeconfig_is_out_of_sight",
            &[Sandbox],
            hidden_kubeconfig,
        ),
        trial(
            "the_developers_kubeconfig_is_not_entered_without_namespaces",
            &[Sandbox, OrdinaryUser],
            not_entered,
        ),
        trial("manifests_are_loaded_first", &[Sandbox], manifests),
        trial("a_role_reaches_its_namespace_only", &[Sandbox], role),
        trial(
            "a_service_account_and_a_namespace_of_ones_own",
            &[Sandbox],
            account,
        ),
        trial(
            "the_token_is_for_the_audience_asked_for",
            &[Sandbox],
            audience,
        ),
        trial(
            "a_short_token_is_renewed_and_the_old_one_refused",
            curl,
            renewal,
        ),
        trial(
            "a_token_that_expired_while_we_were_stopped_is_renewed",
            curl,
            stopped,
        ),
        trial(
            "a_full_disk_leaves_the_old_token_and_then_the_new_one",
            &[Sandbox, Root, Program("unshare")],
            full_disk,
        ),
        trial(
            "two_sandboxes_of_one_cluster_end_apart",
            curl,
            two_sandboxes,
        ),
        trial(
            "bindings_in_a_cluster_that_lives_on_end_with_the_pod",
            &[Sandbox],
            bindings,
        ),
        trial(
            "the_commands_status_is_ours_where_its_cluster_has_gone",
            &[Sandbox],
            cluster_gone,
        ),
        trial(
            "an_interrupt_ends_a_start_that_gets_no_answer",
            &[],
            interrupted_start,
        ),
        trial(
            "a_run_in_a_run_in_a_run_has_a_cluster_of_its_own",
            &[Sandbox, OrdinaryUser],
            nested,
        ),
        trial(
            "twenty_runs_stand_side_by_side",
            &[Sandbox, OrdinaryUser],
            side_by_side,
        ),
        trial("each_mistake_gets_one_clear_message", &[Sandbox], mistakes),
    ];
    trials.extend(clusters());
    inpod_tests::run(trials);
}

/// Of `inpod cluster`.
fn clusters() -> Vec<Trial> {
    vec![
        trial("a_cluster_says_how_to_use_it", &[], cluster),
        trial(
            "a_clusters_own_kubeconfig_is_memory_that_ends_with_it",
            &[],
            memory_kubeconfig,
        ),
        trial("a_cluster_refuses_a_port_that_is_taken", &[], port_taken),
        trial(
            "a_cluster_replaces_no_kubeconfig_of_somebody_else",
            &[],
            foreign_kubeconfig,
        ),
    ]
}

fn own_status() -> Result<(), Failed> {
    for code in [0, 1, 42, 255] {
        let script = format!("exit {code}");
        let ended = output(&mut inpod_command(&["run", "--", "sh", "-c", &script]))?;
        equal(ended.status.code(), Some(code))?;
        equal(ended.stderr.as_str(), "")?;
    }
    Ok(())
}

fn not_started() -> Result<(), Failed> {
    let ended = output(&mut inpod_command(&[
        "run",
        "--",
        "no-such-program-anywhere",
    ]))?;
    equal(ended.status.code(), Some(127))?;
    contains(&ended.stderr, "no-such-program-anywhere: command not found")?;
    let ended = output(&mut inpod_command(&["run", "--", "/etc/passwd"]))?;
    equal(ended.status.code(), Some(126))?;
    contains(&ended.stderr, "/etc/passwd")
}

fn signal_death() -> Result<(), Failed> {
    // The last is a real-time one. Programs in Rust ignore SIGPIPE, and handle SIGSEGV and SIGBUS.
    for signal in [
        nix::libc::SIGTERM,
        nix::libc::SIGKILL,
        nix::libc::SIGPIPE,
        nix::libc::SIGSEGV,
        nix::libc::SIGBUS,
        40,
    ] {
        let script = format!("kill -{signal} $$");
        let ended = output(&mut inpod_command(&["run", "--", "sh", "-c", &script]))?;
        equal(ended.status.signal(), Some(signal))?;
    }
    Ok(())
}

/// As by a daemon of Perl or of C. What the kernel reaps itself cannot be waited for, and its number is soon another's.
fn ignored_children() -> Result<(), Failed> {
    let run = inpod_command(&["run", "--", "cat"]);
    let ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", ignoring]).arg(run.get_program());
    let mut child = command
        .args(run.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut stdin, mut stdout) = (
        child.stdin.take().ok_or("a pipe was asked for")?,
        child.stdout.take().ok_or("a pipe was asked for")?,
    );
    stdin.write_all(b"x")?;
    stdout.read_exact(&mut [0])?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = u64::from_str_radix(ignored.ok_or("a mask in /proc")?, 16)?;
    drop(stdin);
    equal(inpod_tests::wait(&mut child)?.code(), Some(0))?;
    equal(ignored & 1 << (SIGCHLD - 1), 0)
}

fn piped_input() -> Result<(), Failed> {
    let text = "line\n".repeat(10_000);
    let ended = output_with_input(&mut inpod_command(&["run", "--", "cat"]), &text)?;
    equal(ended.success()? == text, true)
}

fn kept() -> Result<(), Failed> {
    let script = "id -u; id -g; pwd; echo $KEPT";
    let outside = output(
        std::process::Command::new("sh")
            .args(["-c", script])
            .current_dir("/usr")
            .env("KEPT", "yes"),
    )?;
    let inside = output(
        inpod_command(&["run", "--", "sh", "-c", script])
            .current_dir("/usr")
            .env("KEPT", "yes"),
    )?;
    equal(inside.success()?, outside.success()?)
}

fn hidden_kubeconfig() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join(".kube"))?;
    std::fs::write(home.path().join(".kube/config"), "secret")?;
    let script = "ls -A $HOME/.kube; stat -c %a $HOME/.kube; ls -A $HOME";
    let inside =
        output(inpod_command(&["run", "--", "sh", "-c", script]).env("HOME", home.path()))?;
    equal(inside.success()?.as_str(), "700\n.kube\n")?;
    equal(
        std::fs::read_to_string(home.path().join(".kube/config"))?.as_str(),
        "secret",
    )
}

/// By a relative path from within, or from where the run began.
fn not_entered() -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.path(), permissions)?;
    let folder = home.path().join(".kube");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("config"), "secret")?;
    let script = "cat config; cd $HOME/.kube && cat config; cd $HOME && cat .kube/config; cat /proc/self/environ >/dev/null";
    let mut command = inpod_command(&["run", "-q", "--", "sh", "-c", script]);
    command.env("HOME", home.path()).current_dir(&folder);
    let inside = output(&mut MACHINES[0].command(REFUSE, &command))?;
    equal(
        (inside.status.code(), inside.stdout.as_str()),
        (Some(0), ""),
    )
}

fn manifests() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("a.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: team}\ndata: {k: from-folder}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n",
    )?;
    let stdin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {k: from-stdin}\n";
    let script = "inpod api /api/v1/namespaces/team/configmaps/a; inpod api /api/v1/namespaces/default/configmaps/b";
    let mut command = inpod_command(&["run", "--cluster-role", "view", "-f"]);
    command
        .arg(folder.path())
        .args(["-f", "-", "--", "sh", "-c", script]);
    let text = output_with_input(&mut command, stdin)?.success()?;
    contains(&text, "from-folder")?;
    contains(&text, "from-stdin")
}

fn role() -> Result<(), Failed> {
    let script =
        "inpod api /api/v1/namespaces/default/pods >/dev/null && echo here; inpod api /api/v1/pods";
    let ended = output(&mut inpod_command(&[
        "run", "--role", "view", "--", "sh", "-c", script,
    ]))?;
    equal(ended.stdout.as_str(), "here\n")?;
    contains(
        &ended.stderr,
        "cannot list resource \"pods\" in API group \"\" at the cluster scope",
    )
}

fn account() -> Result<(), Failed> {
    let script = "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; inpod api /apis/authentication.k8s.io/v1/selfsubjectreviews \
                  -d '{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}'";
    let ended = output(&mut inpod_command(&[
        "run",
        "--service-account",
        "team/app",
        "--",
        "sh",
        "-c",
        script,
    ]))?;
    let text = ended.success()?;
    contains(&text, "team\n")?;
    contains(&text, "system:serviceaccount:team:app")?;
    contains(&text, "authentication.kubernetes.io/pod-name")
}

fn audience() -> Result<(), Failed> {
    let script = "cut -d. -f2 /var/run/secrets/kubernetes.io/serviceaccount/token";
    let text = output(&mut inpod_command(&[
        "run",
        "--audience",
        "vault",
        "--",
        "sh",
        "-c",
        script,
    ]))?
    .success()?;
    let claims = String::from_utf8(base64url(text.trim()))?;
    contains(&claims, "\"aud\":[\"vault\"]")
}

/// Just enough base64url for the claims of a token.
fn base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for value in text
        .bytes()
        .filter_map(|b| ALPHABET.iter().position(|a| *a == b))
    {
        bits = bits << 6 | u32::try_from(value).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    bytes
}

/// The program keeps its first token, waits for the file to change, and for the first one to be refused.
fn renewal() -> Result<(), Failed> {
    let script = r#"
d=/var/run/secrets/kubernetes.io/serviceaccount
code() { curl -s -o /dev/null -w '%{http_code}' --cacert $d/ca.crt -H "Authorization: Bearer $1" https://kubernetes.default.svc/api; }
first=$(cat $d/token)
echo first $(code $first)
until [ "$(cat $d/token)" != "$first" ]; do sleep 0.1; done
echo renewed $(code $(cat $d/token))
until [ "$(code $first)" = 401 ]; do sleep 0.2; done
echo old 401, new $(code $(cat $d/token))
"#;
    let ended = output(&mut inpod_command(&[
        "run",
        "--token-ttl",
        "5",
        "--",
        "sh",
        "-c",
        script,
    ]))?;
    contains(&ended.stderr, "warning: with --token-ttl 5")?;
    equal(
        ended.success()?.as_str(),
        "first 200\nrenewed 200\nold 401, new 200\n",
    )
}

/// One cluster, two Pods; when the first ends, its Pod is gone and its token dead, and the second lives on.
/// As on a laptop that was closed for longer than a token lives. CMD does not see inpod, and asks for what is done to it.
fn stopped() -> Result<(), Failed> {
    let script = r#"
token() { cat /var/run/secrets/kubernetes.io/serviceaccount/token; }
ask() { inpod api /api >/dev/null 2>&1; }
ask && echo good; first=$(token)
echo stop; read -r _
sleep 4; [ "$(token)" = "$first" ] && echo old
echo continue; read -r _
until ask; do sleep 0.1; done; [ "$(token)" != "$first" ] && echo renewed
"#;
    let mut command = with_inpod_on_path(&["run", "--token-ttl", "3", "--"]);
    let mut child = command
        .args(["sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    let mut stdin = child.stdin.take().ok_or("a pipe was asked for")?;
    let stdout = child.stdout.take().ok_or("a pipe was asked for")?;
    let mut said = Vec::new();
    for line in std::io::BufReader::new(stdout).lines() {
        let line = line?;
        match line.as_str() {
            "stop" => nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP)?,
            "continue" => nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT)?,
            _ => {
                said.push(line);
                continue;
            }
        }
        stdin.write_all(b"\n")?;
    }
    inpod_tests::wait(&mut child)?;
    equal(said, ["good", "old", "renewed"])
}

/// The files are on the machine itself there, and the disk is CMD's to fill.
fn full_disk() -> Result<(), Failed> {
    let script = r#"
d=/var/run/secrets/kubernetes.io/serviceaccount
first=$(cat $d/token)
cat /dev/zero >/run/full 2>/dev/null
until inpod api /api 2>&1 | grep -q Unauthorized; do sleep 0.1; done
[ "$(cat $d/token)" = "$first" ] && echo old
rm /run/full
until inpod api /api >/dev/null 2>&1; do sleep 0.1; done
[ "$(cat $d/token)" != "$first" ] && echo new; ls -A $d | wc -l
"#;
    let inside = with_inpod_on_path(&["run", "-q", "--token-ttl", "3", "--"]);
    let mut command = MACHINES[4].command(REFUSE, &inside);
    command.args(["sh", "-c", script]);
    let mut machine = std::process::Command::new("unshare");
    let small = "mount -t tmpfs -o size=64k none /run && exec \"$@\"";
    machine
        .args(["--mount", "sh", "-c", small, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir("/");
    let ended = output(&mut machine)?;
    // `..data`, its directory and the one it had before, the mark, and a name for each of the three files.
    equal(ended.stdout.as_str(), "old\nnew\n7\n")?;
    contains(
        &ended.stderr,
        "the token was not renewed, and is tried again",
    )
}

fn two_sandboxes() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let script = r#"
set -e
cd "$1"
d=/var/run/secrets/kubernetes.io/serviceaccount
mkfifo go-a go-b
sandbox() { inpod run --kubeconfig $KUBECONFIG --cluster-role view -- sh -c "cp $d/token token-$1; cp $d/ca.crt ca; touch up-$1; read x <go-$1; inpod api /api >/dev/null && touch alive-$1" & }
wait_for() { until [ -e $1 ]; do sleep 0.05; done; }
sandbox a; a=$!
sandbox b; b=$!
wait_for up-a; wait_for up-b
server=$(sed -n 's/ *server: //p' $KUBECONFIG)
code() { curl -s -o /dev/null -w '%{http_code}\n' --cacert ca -H "Authorization: Bearer $(cat token-$1)" $server/api/v1/pods; }
echo a $(code a); echo b $(code b)
echo >go-a; wait $a
echo a $(code a); echo b $(code b)
curl -s --cacert ca -H "Authorization: Bearer $(cat token-b)" $server/api/v1/pods | grep -c '"phase": "Running"'
echo >go-b; wait $b
[ -e alive-a ] && [ -e alive-b ] && echo both
"#;
    let mut command = with_inpod_on_path(&["cluster", "--", "sh", "-c", script, "sh"]);
    command.arg(folder.path());
    equal(
        output(&mut command)?.success()?.as_str(),
        "a 200\nb 200\na 401\nb 200\n1\nboth\n",
    )
}

/// Each is asked by the address in its environment and by its name, the outer ones also after the inner ones have ended.
fn nested() -> Result<(), Failed> {
    let script = r#"
d=/var/run/secrets/kubernetes.io/serviceaccount
cat $d/namespace; echo
inpod api /api/v1/namespaces | grep -o '"name":"level-[0-9]"'
KUBERNETES_SERVICE_HOST=kubernetes.default.svc inpod api /api >/dev/null && echo named
[ "$1" = 3 ] || inpod run -q -n level-$(($1 + 1)) --cluster-role view -- sh -c "$2" sh $(($1 + 1)) "$2"
inpod api /api/v1/namespaces | grep -o '"name":"level-[0-9]"'
"#;
    let mut command =
        with_inpod_on_path(&["run", "-q", "-n", "level-1", "--cluster-role", "view", "--"]);
    command.args(["sh", "-c", script, "sh", "1", script]);
    let level = |n| format!("level-{n}\n\"name\":\"level-{n}\"\nnamed\n");
    let after = |n| format!("\"name\":\"level-{n}\"\n");
    let expected = [1, 2, 3].map(level).concat() + &[3, 2, 1].map(after).concat();
    let container = MACHINES[3].command(REFUSE, &command);
    let machines = [
        as_ordinary_user(&command),
        MACHINES[0].command(REFUSE, &command),
        MACHINES[2].command(REFUSE, &command),
        command,
    ];
    for mut command in machines.into_iter().chain(is_root().then_some(container)) {
        let ended = output(command.current_dir("/"))?;
        equal(ended.stderr.as_str(), "")?;
        equal(ended.stdout.as_str(), expected.as_str())?;
    }
    Ok(())
}

/// Of every kind of machine and user: all are there before the first one asks, and the last one asks when all others have ended.
fn side_by_side() -> Result<(), Failed> {
    let script = "echo up; read go; inpod api /api/v1/namespaces/default >/dev/null && cat \
                  /var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let mut command = with_inpod_on_path(&["run", "-q", "--cluster-role", "view", "--"]);
    command.args(["sh", "-c", script]).current_dir("/");
    let mut children = Vec::new();
    for number in 0..20 {
        let mut command = match number % 4 {
            0 => MACHINES[0].command(REFUSE, &command),
            1 if is_root() => MACHINES[3].command(REFUSE, &command),
            _ => as_ordinary_user(&command),
        };
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        children.push(child.spawn()?);
    }
    for child in &mut children {
        let mut up = [0; 3];
        child
            .stdout
            .as_mut()
            .ok_or("a pipe was asked for")?
            .read_exact(&mut up)?;
    }
    for mut child in children {
        drop(child.stdin.take());
        let said = child.wait_with_output()?;
        equal(String::from_utf8_lossy(&said.stdout).as_ref(), "default")?;
    }
    Ok(())
}

/// `inpod` with arguments, for a script that calls it by its name.
fn with_inpod_on_path(arguments: &[&str]) -> std::process::Command {
    let mut command = inpod_command(arguments);
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = inpod_tests::inpod()
        .parent()
        .map(|folder| folder.display().to_string());
    command.env("PATH", format!("{}:{path}", bin.unwrap_or_default()));
    command
}

fn bindings() -> Result<(), Failed> {
    let script = r#"
bindings() { inpod api --kubeconfig "$1" /apis/rbac.authorization.k8s.io/v1/$2 | grep -c '"name":"inpod:'; }
config=$(mktemp) && cat "$KUBECONFIG" >"$config"
inpod run --kubeconfig "$config" --cluster-role cluster-admin --role edit -- sh -c '
  for kind in clusterrolebindings rolebindings; do
    inpod api /apis/rbac.authorization.k8s.io/v1/$kind | grep -o "\"inpod:default:[^:]*:cluster-admin\"\|\"inpod:[^:]*:edit\"" | wc -l
  done'
bindings "$config" clusterrolebindings; bindings "$config" rolebindings
rm "$config"
"#;
    let text = output(&mut with_inpod_on_path(&[
        "cluster", "--", "sh", "-c", script,
    ]))?;
    equal(text.stdout.as_str(), "1\n1\n0\n0\n")
}

/// The cluster ends while the command runs; that its Pod cannot be deleted any more is a warning.
fn cluster_gone() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("config");
    let mut cluster = inpod_command(&["cluster", "--kubeconfig"])
        .arg(&kubeconfig)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = cluster.stdout.take() {
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    }
    let mut command = inpod_command(&["run", "--kubeconfig"]);
    command
        .arg(&kubeconfig)
        .args(["--", "sh", "-c", "echo ready; read line; exit 42"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 6];
    if let Some(stdout) = &mut child.stdout {
        std::io::Read::read_exact(stdout, &mut ready)?;
    }
    cluster.kill()?;
    cluster.wait()?;
    child
        .stdin
        .take()
        .ok_or("a pipe was asked for")?
        .write_all(b"\n")?;
    let ended = child.wait_with_output()?;
    equal(ended.status.code(), Some(42))?;
    contains(
        &String::from_utf8(ended.stderr)?,
        "may still be in the cluster",
    )
}

/// A server that takes connections and says nothing; and standard input that says nothing.
fn interrupted_start() -> Result<(), Failed> {
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut kubeconfig = tempfile::NamedTempFile::new()?;
    write!(
        kubeconfig,
        "current-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n",
        silent.local_addr()?
    )?;
    for signal in [
        nix::sys::signal::Signal::SIGINT,
        nix::sys::signal::Signal::SIGTERM,
    ] {
        // Whoever started the tests in the background ignores SIGINT.
        let mut child = std::process::Command::new("env")
            .arg("--default-signal=INT")
            .arg(inpod_tests::inpod())
            .args(["run", "--kubeconfig"])
            .arg(kubeconfig.path())
            .args(["--", "true"])
            .spawn()?;
        let (_connection, _) = silent.accept()?;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(child.id())?),
            signal,
        )?;
        equal(inpod_tests::wait(&mut child)?.signal(), Some(signal as i32))?;
    }
    Ok(())
}

fn mistakes() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let duplicate = folder.path().join("duplicate.yaml");
    std::fs::write(
        &duplicate,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\ndata: {k: w}\n",
    )?;
    let duplicate = duplicate.display().to_string();
    let missing = folder.path().join("missing.yaml").display().to_string();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run"], 2, "<CMD>"),
        (&["run", "--"], 2, "<CMD>"),
        (
            &["run", "--no-such-option", "--", "true"],
            2,
            "--no-such-option",
        ),
        (&["run", "--token-ttl", "1", "--", "true"], 2, "--token-ttl"),
        (&["run", "-n", "", "--", "true"], 2, "--namespace"),
        (
            &["run", "--service-account", "a/b/c", "--", "true"],
            2,
            "--service-account",
        ),
        (
            &["run", "--cluster-role", "no-such-role", "--", "true"],
            1,
            "no-such-role",
        ),
        (
            &["run", "--role", "no-such-role", "--", "true"],
            1,
            "no-such-role",
        ),
        (&["run", "-f", &missing, "--", "true"], 1, &missing),
        (&["run", "-f", &duplicate, "--", "true"], 1, "duplicate"),
        (
            &["run", "--kubeconfig", &missing, "--", "true"],
            1,
            &missing,
        ),
        (&["run", "-n", "Not_A_Name", "--", "true"], 1, "Not_A_Name"),
    ];
    for (arguments, code, part) in cases {
        let ended = output(&mut inpod_command(arguments))?;
        equal((arguments, ended.status.code()), (arguments, Some(*code)))?;
        contains(&ended.stderr, part)?;
        equal(ended.stderr.contains("panicked"), false)?;
        equal(ended.stdout.as_str(), "")?;
    }
    Ok(())
}

fn cluster() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("config");
    let mut child = inpod_command(&["cluster", "--kubeconfig"])
        .arg(&kubeconfig)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    }
    contains(&line, "https://127.0.0.1:")?;
    contains(
        &line,
        &format!("export KUBECONFIG={}", kubeconfig.display()),
    )?;
    let mut command = inpod_command(&["api", "/api/v1/namespaces/default"]);
    command.env("KUBECONFIG", &kubeconfig);
    let namespace: Value = serde_json::from_str(&output(&mut command)?.success()?)?;
    equal(&namespace["status"]["phase"], "Active")?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id())?),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    equal(inpod_tests::wait(&mut child)?.code(), Some(0))?;
    equal(kubeconfig.exists(), false)
}

/// Any program of the user can read it, and it ends even where the cluster is killed.
fn memory_kubeconfig() -> Result<(), Failed> {
    for signal in [
        nix::sys::signal::Signal::SIGTERM,
        nix::sys::signal::Signal::SIGKILL,
    ] {
        let mut child = inpod_command(&["cluster"]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        }
        let kubeconfig = line.trim().rsplit('=').next().unwrap_or_default();
        equal(kubeconfig.starts_with("/proc/"), true)?;
        let text = std::fs::read_to_string(kubeconfig)?;
        contains(&text, "client-key-data: ")?;
        let mut command = inpod_command(&["api", "--kubeconfig", kubeconfig, "/api"]);
        output(&mut command)?.success()?;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(child.id())?),
            signal,
        )?;
        inpod_tests::wait(&mut child)?;
        let gone = || (!std::path::Path::new(kubeconfig).exists()).then_some(());
        inpod_tests::eventually(gone).ok_or("it stays")?;
    }
    Ok(())
}

fn port_taken() -> Result<(), Failed> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let ended = output(&mut inpod_command(&["cluster", "--port", &port]))?;
    equal(ended.status.code(), Some(1))?;
    contains(&ended.stderr, &port)?;
    contains(&ended.stderr, "in use")
}

fn foreign_kubeconfig() -> Result<(), Failed> {
    let mut foreign = tempfile::NamedTempFile::new()?;
    foreign.write_all(b"apiVersion: v1\nkind: Config\n")?;
    let ended = output(inpod_command(&["cluster", "--kubeconfig"]).arg(foreign.path()))?;
    equal(ended.status.code(), Some(1))?;
    contains(&ended.stderr, "inpod did not write it")?;
    equal(
        std::fs::read_to_string(foreign.path())?.as_str(),
        "apiVersion: v1\nkind: Config\n",
    )
}
