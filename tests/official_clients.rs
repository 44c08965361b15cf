//! The official clients, unmodified, found and authenticated by their own in-cluster code.
//!
//! `.ci/run` installs them and names them in the environment; without that these tests are ignored.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use inpod_tests::Need::{File, Program, Sandbox};
use inpod_tests::{
    contains, equal, file, inpod_command, javascript_example, output, repository, trial,
};
use libtest_mimic::Failed;

const GO: &str = "INPOD_TEST_GO_EXAMPLE";
const PYTHON: &str = "INPOD_TEST_PYTHON";
const NODE_MODULES: &str = "INPOD_TEST_NODE_MODULES";

fn main() {
    inpod_tests::run(vec![
        trial(
            "client_gos_own_in_cluster_example",
            &[Sandbox, File(GO, "client-go's in-cluster example")],
            go,
        ),
        trial(
            "the_python_client_in_cluster",
            &[
                Sandbox,
                File(PYTHON, "a Python with the package kubernetes"),
            ],
            python,
        ),
        trial(
            "the_javascript_client_in_cluster",
            &[
                Sandbox,
                Program("node"),
                File(NODE_MODULES, "node_modules with @kubernetes/client-node"),
            ],
            javascript,
        ),
        trial("the_rust_crate_in_cluster", &[Sandbox], rust),
        trial(
            "the_python_client_behind_the_sidecar",
            &[
                Sandbox,
                File(PYTHON, "a Python with the package kubernetes"),
            ],
            python_behind_sidecar,
        ),
    ]);
}

fn viewer(program: &std::path::Path) -> Command {
    let mut command = inpod_command(&["run", "--cluster-role", "view", "--"]);
    command.arg(program);
    command
}

/// The example never ends by itself: two lines are its first round.
fn go() -> Result<(), Failed> {
    let example = file(GO).unwrap_or_default();
    let mut child = viewer(&example)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let lines: Vec<String> = child
        .stdout
        .take()
        .map(|stdout| {
            BufReader::new(stdout)
                .lines()
                .take(2)
                .collect::<Result<_, _>>()
        })
        .transpose()?
        .unwrap_or_default();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id())?),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    inpod_tests::wait(&mut child)?;
    equal(
        lines,
        [
            "There are 1 pods in the cluster",
            "Pod example-xxxxx not found in default namespace",
        ],
    )
}

fn python() -> Result<(), Failed> {
    let mut command = viewer(&file(PYTHON).unwrap_or_default());
    command.arg(repository().join("examples/1-official-clients/python/main.py"));
    lists_itself(&output(&mut command)?.success()?)
}

fn javascript() -> Result<(), Failed> {
    let folder = javascript_example(&file(NODE_MODULES).unwrap_or_default())?;
    let mut command = viewer("node".as_ref());
    command.arg(folder.path().join("main.js"));
    lists_itself(&output(&mut command)?.success()?)
}

fn rust() -> Result<(), Failed> {
    let example = std::env::current_exe()?
        .parent()
        .and_then(|folder| Some(folder.parent()?.join("inpod-example")))
        .filter(|path| path.is_file())
        .ok_or("target/<profile>/inpod-example is built by `cargo test --workspace`")?;
    let text = output(&mut viewer(&example))?.success()?;
    contains(
        &text,
        "There are 1 pods in the cluster\ndefault/inpod-example-",
    )?;
    contains(&text, "Pod example-xxxxx not found in default namespace")
}

/// The application's client knows nothing but a URL; it has no credentials of its own.
fn python_behind_sidecar() -> Result<(), Failed> {
    let program = "
import sys
from kubernetes import client
configuration = client.Configuration(host=sys.argv[1])
for pod in client.CoreV1Api(client.ApiClient(configuration)).list_pod_for_all_namespaces().items:
    print(pod.metadata.namespace, pod.metadata.name)
";
    let script = "
ready=$(mktemp)
inpod proxy --port=0 >$ready &
until address=$(sed -n 's/^Starting to serve on //p' $ready) && [ -n \"$address\" ]; do kill -0 $! || exit 1; done
rm $ready
\"$1\" -c \"$2\" http://localhost:${address##*:}
";
    let python = file(PYTHON).unwrap_or_default();
    let mut command = viewer("sh".as_ref());
    command.args(["-c", script, "sh"]).arg(python).arg(program);
    contains(&output(&mut command)?.success()?, "default sh-")
}

/// The one Pod there is, with its address, and the 404 that was caught.
fn lists_itself(text: &str) -> Result<(), Failed> {
    let lines: Vec<&str> = text.lines().collect();
    equal(lines.len(), 2)?;
    let fields: Vec<&str> = lines[0].split('\t').collect();
    equal(fields.len(), 3)?;
    fields[0].parse::<std::net::IpAddr>()?;
    equal(fields[1], "default")?;
    equal(lines[1], "Pod example-xxxxx not found in default namespace")
}
