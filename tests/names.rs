//! The names of Services, for every kind of resolver: C libraries, static programs, Go's own, c-ares (Node), the JVM.

use std::path::Path;
use std::process::Command;

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, Need, as_ordinary_user, equal, inpod_command, output, public_folder, trial,
};
use libtest_mimic::{Failed, Trial};

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

const SERVICES: &str = r#"
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
---
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "team"},
 "spec": {"clusterIP": "10.96.7.7", "ports": [{"name": "http", "port": 80}]}}
"#;

/// A resolver asks for a name that no `/etc/hosts` has, and prints its address.
type Resolver = (
    &'static str,
    &'static [Need],
    fn(&Path) -> Result<Command, Failed>,
);

fn main() {
    let resolvers: [Resolver; 5] = [
        ("the_c_library", &[Program("getent")], |_| {
            Ok(shell(
                "getent ahostsv4 web.team.svc.cluster.local | sed -n 's/ .*STREAM.*//p'",
            ))
        }),
        ("busybox", &[Program("busybox")], |_| {
            Ok(shell(
                "busybox nslookup web.team.svc.cluster.local | sed -n 's/^Address.*: *\\(10.*\\)/\\1/p'",
            ))
        }),
        ("nodes_c_ares", &[Program("node")], |_| {
            Ok(shell(
                "node -e \"require('dns').resolve4('web.team.svc.cluster.local', (e, a) => console.log(e ? e.code : a[0]))\"",
            ))
        }),
        ("gos_own", &[Program("go")], go),
        ("a_jvm", &[Program("java")], java),
    ];
    let mut trials: Vec<Trial> = Vec::new();
    for (name, needs, resolver) in resolvers {
        for (place, who) in [
            ("", OrdinaryUser),
            ("_without_namespaces", OrdinaryUser),
            ("_where_nothing_is_led", Root),
        ] {
            let needs: Vec<Need> = needs.iter().copied().chain([Sandbox, who]).collect();
            trials.push(trial(
                &format!("{name}_knows_a_service{place}"),
                &needs,
                move || {
                    let folder = public_folder()?;
                    let command = run(folder.path(), &resolver(folder.path())?)?;
                    let mut command = match place {
                        "" => as_ordinary_user(&command),
                        "_without_namespaces" => MACHINES[0].command(REFUSE, &command),
                        _ => MACHINES[3].command(REFUSE, &command),
                    };
                    equal(output(&mut command)?.success()?.as_str(), "10.96.7.7\n")
                },
            ));
        }
    }
    trials.extend([
        trial(
            "short_names_work_as_in_a_pod_of_the_namespace",
            &[Sandbox, Program("getent")],
            short_names,
        ),
        trial(
            "a_service_has_its_name_for_as_long_as_it_is_there",
            &[Sandbox, Program("getent")],
            come_and_go,
        ),
        trial(
            "a_resolver_daemon_that_is_asked_first_is_not",
            &[Sandbox, Root, Program("unshare")],
            daemon_first,
        ),
        trial("the_machines_own_lines_stay", &[Sandbox], own_lines),
    ]);
    inpod_tests::run(trials);
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn run(folder: &Path, command: &Command) -> Result<Command, Failed> {
    let services = folder.join("services.yaml");
    std::fs::write(&services, SERVICES)?;
    let mut run = inpod_command(&["run", "-q", "-n", "team", "-f"]);
    run.arg(services).arg("--");
    run.arg(command.get_program()).args(command.get_args());
    run.current_dir("/");
    Ok(run)
}

fn go(folder: &Path) -> Result<Command, Failed> {
    let source = folder.join("resolve.go");
    std::fs::write(
        &source,
        r#"
package main
import ("fmt"; "net")
func main() {
  addresses, err := net.LookupHost("web.team.svc.cluster.local")
  if err != nil { panic(err) }
  fmt.Println(addresses[0])
}
"#,
    )?;
    let program = folder.join("resolve");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(&source);
    output(build.env("CGO_ENABLED", "0").current_dir(folder))?.success()?;
    Ok(Command::new(program))
}

fn java(folder: &Path) -> Result<Command, Failed> {
    let source = folder.join("Resolve.java");
    std::fs::write(
        &source,
        r#"
public class Resolve {
  public static void main(String[] args) throws Exception {
    System.out.println(java.net.InetAddress.getByName("web.team.svc.cluster.local").getHostAddress());
  }
}
"#,
    )?;
    let mut java = Command::new("java");
    java.arg(source);
    Ok(java)
}

fn short_names() -> Result<(), Failed> {
    let folder = public_folder()?;
    let script = "for name in web web.team web.team.svc kubernetes.default; do getent ahostsv4 $name | sed -n 's/ .*STREAM.*//p'; done";
    let said = output(&mut run(folder.path(), &shell(script))?)?.success()?;
    equal(
        said.as_str(),
        "10.96.7.7\n10.96.7.7\n10.96.7.7\n10.96.0.1\n",
    )
}

fn come_and_go() -> Result<(), Failed> {
    let script = r#"
api=/api/v1/namespaces/default/services
for name in one two; do
  echo "{\"metadata\": {\"name\": \"$name\"}, \"spec\": {\"ports\": [{\"port\": 80}], \"clusterIP\": \"10.96.7.$#\"}}" |
    inpod api -d - $api >/dev/null || exit
  until getent ahostsv4 $name.default.svc.cluster.local; do :; done | sed -n 's/ .*STREAM.*//p'
  set -- more
done
inpod api -X DELETE $api/one >/dev/null || exit
while getent hosts one.default.svc.cluster.local >/dev/null; do :; done
getent ahostsv4 two.default.svc.cluster.local | sed -n 's/ .*STREAM.*//p'
"#;
    let command = &mut inpod_command(&["run", "-q", "--role", "edit", "--"]);
    let said = output(command.args(["timeout", "60", "sh", "-c", script]))?.success()?;
    equal(said.as_str(), "10.96.7.0\n10.96.7.1\n10.96.7.1\n")
}

/// As systemd recommends it; a machine that has no such daemon says UNAVAIL, so the order is what can be seen here.
fn daemon_first() -> Result<(), Failed> {
    let folder = public_folder()?;
    let nsswitch = folder.path().join("nsswitch.conf");
    std::fs::write(
        &nsswitch,
        "passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n",
    )?;
    let inside = run(
        folder.path(),
        &shell("cat /etc/nsswitch.conf; getent hosts web.team"),
    )?;
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /etc/nsswitch.conf; shift; exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&nsswitch)
        .arg(inside.get_program())
        .args(inside.get_args())
        .current_dir("/");
    let said = output(&mut command)?.success()?;
    let (file, found) = said.split_at(said.find("10.96").unwrap_or(said.len()));
    equal(
        file,
        "passwd: files\nhosts: files dns mymachines resolve [!UNAVAIL=return] myhostname\n",
    )?;
    equal(found.split_whitespace().next(), Some("10.96.7.7"))
}

fn own_lines() -> Result<(), Failed> {
    let script = "cat /etc/hosts; echo; cat /etc/resolv.conf";
    let said = output(&mut inpod_command(&["run", "--", "sh", "-c", script]))?.success()?;
    let (hosts, resolv_conf) = said
        .split_once("\n\nnameserver 127.")
        .ok_or("no name server of ours")?;
    let machine = |path| std::fs::read_to_string(path).unwrap_or_default();
    equal(hosts.ends_with(machine("/etc/hosts").trim_end()), true)?;
    equal(
        resolv_conf.ends_with(machine("/etc/resolv.conf").as_str()),
        true,
    )
}
