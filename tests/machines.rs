//! `inpod run` where namespaces, mounts, sockets of other processes or listeners are refused: the page's script, a static program, the
//! official clients and a JVM find their Pod there too. Each test sets up the refusal itself.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use inpod_tests::Need::{File, OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, Machine, Need, as_ordinary_user, contains, equal, file, inpod_command,
    javascript_example, output, public_folder, repository, trial, wait,
};
use libtest_mimic::{Failed, Trial};

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");
const GO: &str = "INPOD_TEST_GO_EXAMPLE";
const PYTHON: &str = "INPOD_TEST_PYTHON";
const NODE_MODULES: &str = "INPOD_TEST_NODE_MODULES";

/// One at a time: of runs whose files are on the machine itself there is one.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Where what is refused kills, each way is given up with the helper that tried it.
const KILLING: [Machine; 2] = [
    Machine {
        name: "where_what_is_refused_kills",
        refuses: "by-killing,user-namespaces,mounts",
        ordinary: true,
    },
    Machine {
        name: "where_what_is_refused_kills_as_root",
        refuses: "by-killing,mounts,sockets",
        ordinary: false,
    },
];

type Test = fn(&Machine) -> Result<(), Failed>;

fn main() {
    let programs: [(&str, &[Need], Test); 7] = [
        ("the_pages_script", &[Program("curl")], script),
        ("a_static_program", &[Program("busybox")], static_program),
        (
            "client_gos_example",
            &[
                File(GO, "client-go's in-cluster example"),
                Program("timeout"),
            ],
            go,
        ),
        (
            "the_python_client",
            &[File(PYTHON, "a Python with the package kubernetes")],
            python,
        ),
        (
            "the_javascript_client",
            &[
                Program("node"),
                File(NODE_MODULES, "node_modules with @kubernetes/client-node"),
            ],
            javascript,
        ),
        ("a_jvm", &[Program("java")], java),
        ("nothing_stays", &[], nothing_stays),
    ];
    let mut trials: Vec<Trial> = Vec::new();
    let enough = |name: &str| ["the_pages_script", "nothing_stays"].contains(&name);
    for machine in MACHINES.iter().chain(&KILLING) {
        let who = if machine.ordinary { OrdinaryUser } else { Root };
        let all = !KILLING.iter().any(|killing| killing.name == machine.name);
        let programs = programs.iter().filter(|(name, ..)| all || enough(name));
        for &(name, needs, test) in programs {
            let needs: Vec<Need> = needs.iter().copied().chain([Sandbox, who]).collect();
            trials.push(trial(
                &format!("{}::{name}", machine.name),
                &needs,
                move || {
                    let _alone = ALONE.lock();
                    test(machine)
                },
            ));
        }
    }
    trials.extend([
        trial(
            "a_machine_that_refuses_everything_is_told_why",
            &[OrdinaryUser],
            refused,
        ),
        trial(
            "who_finds_the_place_of_the_files_taken_is_told_by_whom",
            &[Sandbox, Root],
            place_taken,
        ),
        trial(
            "where_files_cannot_be_hidden_a_program_is_no_sidecar",
            &[Sandbox, Root],
            no_sidecar,
        ),
        trial(
            "a_cluster_in_a_run_is_reached_there",
            &[Sandbox, OrdinaryUser],
            cluster_inside,
        ),
        trial(
            "what_is_not_as_in_a_pod_is_said_once",
            &[OrdinaryUser],
            limits,
        ),
        trial(
            "what_a_run_would_miss_is_explained_for_its_options",
            &[Sandbox, Root, Program("unshare")],
            explained,
        ),
    ]);
    if cfg!(target_arch = "x86_64") {
        trials.push(trial(
            "a_program_of_another_abi_is_led_and_reads_its_token",
            &[Sandbox, OrdinaryUser, Program("as"), Program("ld")],
            foreign,
        ));
    }
    inpod_tests::run(trials);
}

fn on(machine: &Machine, program: &Path) -> Command {
    let mut command = inpod_command(&["run", "-q", "--cluster-role", "view", "--"]);
    command.arg(program).current_dir("/");
    machine.command(REFUSE, &command)
}

fn script(machine: &Machine) -> Result<(), Failed> {
    let text =
        std::fs::read_to_string(repository().join("examples/4-without-proxy/access-api.sh"))?;
    let mut command = on(machine, "sh".as_ref());
    let said = inpod_tests::output_with_input(command.arg("-s"), &text)?.success()?;
    contains(&said, "\"kind\": \"APIVersions\"")
}

/// With another C library or none, and what a shell script does with the files.
fn static_program(machine: &Machine) -> Result<(), Failed> {
    let script = "
cd /
for root in /var/run /run; do
  dir=$root/secrets/kubernetes.io/serviceaccount
  [ -d $dir ] && [ -r $dir/token ] && [ -s $dir/ca.crt ] && [ ! -w $dir/../nothing ] || echo tests
  [ \"$(wc -c < $dir/token)\" = \"$(cat $dir/..data/token | wc -c)\" ] || echo sizes
  case $(readlink $dir/token) in ..data/token) ;; *) echo links ;; esac
  cat $dir/namespace $dir/../serviceaccount/namespace
done
cat var/run/secrets/kubernetes.io/serviceaccount/namespace
grep -c kubernetes.default.svc.cluster.local /etc/hosts
cat $dir/absent 2>/dev/null || echo absent
";
    let mut command = on(machine, "busybox".as_ref());
    let said = output(command.args(["sh", "-c", script]))?.success()?;
    equal(
        said.as_str(),
        "defaultdefaultdefaultdefaultdefault1\nabsent\n",
    )
}

/// The example never ends by itself.
fn go(machine: &Machine) -> Result<(), Failed> {
    let mut command = on(machine, "timeout".as_ref());
    command.arg("3").arg(file(GO).unwrap_or_default());
    contains(
        &output(&mut command)?.stdout,
        "There are 1 pods in the cluster\n",
    )
}

fn python(machine: &Machine) -> Result<(), Failed> {
    let mut command = on(machine, &file(PYTHON).unwrap_or_default());
    command.arg(repository().join("examples/1-official-clients/python/main.py"));
    lists_itself(&output(&mut command)?.success()?)
}

fn javascript(machine: &Machine) -> Result<(), Failed> {
    let folder = javascript_example(&file(NODE_MODULES).unwrap_or_default())?;
    let mut command = on(machine, "node".as_ref());
    command.arg(folder.path().join("main.js"));
    lists_itself(&output(&mut command)?.success()?)
}

/// No client library: what the JVM itself does of files, names, sockets and certificates.
fn java(machine: &Machine) -> Result<(), Failed> {
    let folder = public_folder()?;
    let source: PathBuf = folder.path().join("Pods.java");
    std::fs::write(
        &source,
        r#"
import java.io.*; import java.net.*; import java.net.http.*; import java.nio.file.*;
import java.security.KeyStore; import java.security.cert.*; import javax.net.ssl.*;
public class Pods {
  public static void main(String[] args) throws Exception {
    Path dir = Path.of("/var/run/secrets/kubernetes.io/serviceaccount");
    if (!Files.exists(dir.resolve("token")) || !new File(dir.toFile(), "ca.crt").canRead()) throw new IOException("not there");
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = Files.newInputStream(dir.resolve("ca.crt"))) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
    String token = Files.readString(dir.resolve("token"));
    for (String host : new String[] {System.getenv("KUBERNETES_SERVICE_HOST"), "kubernetes.default.svc"}) {
      URI uri = URI.create("https://" + host + ":" + System.getenv("KUBERNETES_SERVICE_PORT_HTTPS") + "/api/v1/pods");
      HttpRequest request = HttpRequest.newBuilder(uri).header("Authorization", "Bearer " + token).build();
      System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
  }
}
"#,
    )?;
    let mut command = on(machine, "java".as_ref());
    // Without a cache of classes, which would be written beside the JVM.
    command
        .args(["-Xshare:auto", "-XX:TieredStopAtLevel=1"])
        .arg(source);
    equal(output(&mut command)?.success()?.as_str(), "200\n200\n")
}

/// The machine's own files are what they were, and nothing is where the Pod's were.
fn nothing_stays(machine: &Machine) -> Result<(), Failed> {
    let look = || {
        let secrets = ["/run/secrets", "/var/run/secrets/kubernetes.io"]
            .map(|path| Path::new(path).symlink_metadata().is_ok());
        (std::fs::read("/etc/hosts").unwrap_or_default(), secrets)
    };
    let before = look();
    let script = "setsid sleep 1000.125 >/dev/null 2>&1 & exit 3";
    let ended = output(on(machine, "sh".as_ref()).args(["-c", script]))?;
    equal((ended.status.code(), ended.stderr.as_str()), (Some(3), ""))?;
    let sleeping = output(Command::new("pgrep").args(["-f", "sleep 1000[.]125"]))?;
    equal(sleeping.stdout.as_str(), "")?;
    equal(look(), before)
}

const NOTHING: Machine = Machine {
    name: "that_refuses_everything",
    refuses: "user-namespaces,mounts,sockets,listeners",
    ordinary: true,
};

const DEATH: Machine = Machine {
    name: "that_kills_for_everything",
    refuses: "by-killing,user-namespaces,mounts,sockets,listeners",
    ordinary: true,
};

fn refused() -> Result<(), Failed> {
    let ended = output(&mut on(&DEATH, "true".as_ref()))?;
    equal(ended.status.code(), Some(1))?;
    let killed =
        "could not have what it needs: a seccomp policy killed the helper that tried (SIGSYS)";
    equal(ended.stderr.matches(killed).count(), 2)?;
    let ended = output(&mut on(&NOTHING, "true".as_ref()))?;
    equal(ended.status.code(), Some(1))?;
    for part in [
        "namespaces of its own: could not make a user, a mount and a PID namespace: Operation not permitted",
        "a seccomp listener, without namespaces: could not answer for a process by a seccomp listener: Operation not permitted",
        "a seccomp filter is on this process",
        "inpod cluster --kubeconfig",
    ] {
        contains(&ended.stderr, part)?;
    }
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")?;
    if first.trim().parse::<u16>()? > 443 {
        contains(&ended.stderr, "net.ipv4.ip_unprivileged_port_start=443")?;
    }
    // What goes without all that comes last.
    let last = ended.stderr.lines().last().unwrap_or_default();
    contains(last, "Without that: `inpod cluster")
}

fn place_taken() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let mut first = on(&MACHINES[4], "sh".as_ref())
        .args(["-c", "echo ready; read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdout = first.stdout.take().ok_or("a pipe was asked for")?;
    stdout.read_exact(&mut [0; 6])?;
    let second = output(&mut on(&MACHINES[4], "true".as_ref()))?;
    drop(first.stdin.take());
    wait(&mut first)?;
    equal(second.status.code(), Some(1))?;
    for part in [
        "(another `inpod run` of this machine has it): Device or resource busy",
        "What to change: another `inpod run` has its files where this one's would be",
    ] {
        contains(&second.stderr, part)?;
    }
    equal(
        second.stderr.contains("an `inpod run` around this one"),
        false,
    )
}

fn no_sidecar() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let mut command = inpod_command(&["run", "-q", "--sidecar=sleep 1000", "--", "true"]);
    let ended = output(&mut MACHINES[4].command(REFUSE, command.current_dir("/")))?;
    equal(ended.status.code(), Some(1))?;
    contains(
        &ended.stderr,
        "could not hide /var/run/secrets/kubernetes.io/serviceaccount",
    )?;
    contains(&ended.stderr, "with `--sidecar` alone")
}

fn foreign() -> Result<(), Failed> {
    let folder = public_folder()?;
    let (object, program) = (
        folder.path().join("foreign.o"),
        folder.path().join("foreign"),
    );
    let source = repository().join("tests/foreign.s");
    output(
        Command::new("as")
            .arg("--32")
            .arg(source)
            .arg("-o")
            .arg(&object),
    )?
    .success()?;
    output(
        Command::new("ld")
            .args(["-m", "elf_i386", "-o"])
            .args([&program, &object]),
    )?
    .success()?;
    let mut command = inpod_command(&["run", "-q", "--"]);
    command.arg(&program).current_dir("/");
    // Not the machines with a filter: theirs kills what is of another ABI.
    let listener = MACHINES[2].command(REFUSE, &command);
    for mut there in [as_ordinary_user(&command), listener] {
        let token = output(&mut there)?.success()?;
        equal(token.split('.').count(), 3)?;
    }
    Ok(())
}

/// A cluster that keeps the user's other programs out of its memory lets the supervisor of a run around it in.
fn cluster_inside() -> Result<(), Failed> {
    let script = "inpod api --kubeconfig $KUBECONFIG /api/v1/namespaces/default >/dev/null && echo reached; inpod api /api/v1 >/dev/null && echo and outside";
    let inpod = inpod_tests::inpod().display().to_string();
    let arguments = ["run", "-q", "--role", "view", "--", &inpod, "cluster", "--"];
    let mut command = inpod_command(&arguments);
    command.args(["sh", "-c", script]).current_dir("/");
    for mut there in [
        MACHINES[0].command(REFUSE, &command),
        as_ordinary_user(&command),
    ] {
        equal(
            output(&mut there)?.success()?.as_str(),
            "reached\nand outside\n",
        )?;
    }
    Ok(())
}

fn limits() -> Result<(), Failed> {
    let mut command = inpod_command(&["run", "--", "true"]);
    let said = output(&mut MACHINES[0].command(REFUSE, command.current_dir("/")))?;
    equal(said.status.code(), Some(0))?;
    equal(
        said.stderr
            .matches("their folder can be neither listed nor entered")
            .count(),
        1,
    )?;
    let mut command = inpod_command(&["run", "--explain"]);
    let said = output(&mut MACHINES[0].command(REFUSE, command.current_dir("/")))?.success()?;
    contains(&said, "by a seccomp listener, without namespaces")?;
    contains(
        &said,
        "\n- the service account's files can be read, but their folder",
    )?;
    let nothing = "no Landlock domain keeps CMD from it here";
    equal(said.contains(nothing), false)?;
    let without = Machine {
        refuses: "user-namespaces,domains",
        ..MACHINES[0]
    };
    let said = output(&mut without.command(REFUSE, command.current_dir("/")))?.success()?;
    contains(&said, nothing)
}

fn explained() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let there = |machine: &Machine, arguments: &[&str]| {
        let mut command = inpod_command(&["run", "--explain"]);
        command.args(arguments).current_dir("/");
        output(&mut machine.command(REFUSE, &command))
    };
    let container = &MACHINES[4];
    for (arguments, says) in [
        (&[][..], false),
        (&["--no-token", "--", "true"], false),
        (&["--sidecar"], true),
    ] {
        let said = there(container, arguments)?.success()?;
        contains(&said, "by files on the machine itself")?;
        equal(said.contains("localhost:8001"), says)?;
    }
    let refused = there(container, &["--sidecar=kubectl proxy"])?;
    equal(refused.status.code(), Some(1))?;
    contains(&refused.stderr, "cannot be hidden from CMD")?;
    contains(&refused.stderr, "with `--sidecar` alone")?;
    let refused = there(container, &["--kubeconfig", "/no/such/file"])?;
    contains(&refused.stderr, "/no/such/file")?;

    // As a container's runtime covers it.
    let ordinary = as_ordinary_user(inpod_command(&["run", "--explain"]).current_dir("/"));
    let mut covered = Command::new("unshare");
    covered.args([
        "-m",
        "sh",
        "-c",
        "mount --bind /dev/null /proc/cpuinfo && exec \"$@\"",
        "sh",
    ]);
    covered
        .arg(ordinary.get_program())
        .args(ordinary.get_args());
    let said = output(covered.current_dir("/"))?.success()?;
    for part in [
        "by namespaces of its own",
        "\n- /proc is the machine's",
        "\n- setuid programs",
    ] {
        contains(&said, part)?;
    }
    Ok(())
}

/// The one Pod there is, and the 404 that was caught.
fn lists_itself(text: &str) -> Result<(), Failed> {
    let lines: Vec<&str> = text.lines().collect();
    equal(lines.len(), 2)?;
    contains(lines[0], "\tdefault\t")?;
    equal(lines[1], "Pod example-xxxxx not found in default namespace")
}
