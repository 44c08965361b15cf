//! The names of Services, for every kind of resolver: C libraries, static programs, Go's own, c-ares (Node), the JVM.

use std::path::Path;
use std::process::Command;

use inpod_tests::Need::{File, OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, Need, as_ordinary_user, equal, file, inpod_command, output, public_folder,
    repository, trial,
};
use libtest_mimic::{Failed, Trial};

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

const COREDNS: &str = "INPOD_TEST_COREDNS";

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
        trial(
            "coredns_says_the_same",
            &[Sandbox, File(COREDNS, "CoreDNS"), Program("dig")],
            coredns,
        ),
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
echo '{"metadata": {"name": "db"}, "spec": {"clusterIP": "None"}}' | inpod api -d - $api >/dev/null || exit
echo '{"metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}}, "addressType": "IPv4",
       "endpoints": [{"addresses": ["10.1.0.1"], "hostname": "db-0"}]}' |
  inpod api -d - /apis/discovery.k8s.io/v1/namespaces/default/endpointslices >/dev/null || exit
until getent ahostsv4 db-0.db.default.svc.cluster.local; do :; done | sed -n 's/ .*STREAM.*//p'
"#;
    let command = &mut inpod_command(&["run", "-q", "--cluster-role", "cluster-admin", "--"]);
    let said = output(command.args(["timeout", "60", "sh", "-c", script]))?.success()?;
    equal(said.as_str(), "10.96.7.0\n10.96.7.1\n10.96.7.1\n10.1.0.1\n")
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

/// Every name below a few Services of every kind, with every type of record that has a meaning there.
fn coredns() -> Result<(), Failed> {
    const NAMES: [&str; 33] = [
        "",
        "web",
        "_http._tcp.web",
        "_http._udp.web",
        "10-1-0-9.web",
        "both",
        "_dns._udp.both",
        "db",
        "db-0.db",
        "DB-0.Db",
        "10-1-0-2.db",
        "10-1-0-3.db",
        "fd00--2.db",
        "fd00--0.db",
        "db-4.db",
        "x.db",
        "a.db-0.db",
        "_pg._tcp.db",
        "_pg._udp.db",
        "_metrics._tcp.db",
        "_pg._tcp.db-0.db",
        "noports",
        "10-1-2-1.noports",
        "empty",
        "alias",
        "_http._tcp.alias",
        "x.alias",
        "twice",
        "itself",
        "round",
        "nowhere",
        "alias-ip",
        "no",
    ];
    const TYPES: [&str; 9] = [
        "A", "AAAA", "SRV", "CNAME", "TXT", "NS", "PTR", "SOA", "ANY",
    ];
    const ADDRESSES: [&str; 7] = [
        "10.96.7.7",
        "10.96.0.1",
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.9",
        "10.1.3.1",
        "fd00::1",
    ];
    let folder = public_folder()?;
    let names = NAMES.iter().flat_map(|name| {
        let dot = if name.is_empty() { "" } else { "." };
        TYPES.map(|kind| format!("{name}{dot}team.svc.cluster.local {kind}\n"))
    });
    let addresses = ADDRESSES.iter().map(|address| format!("-x {address}\n"));
    let questions: String = names.chain(addresses).collect();
    std::fs::write(folder.path().join("questions"), questions)?;
    // An address of this test's own, where the port is nobody else's.
    let [.., high, low] = std::process::id().to_be_bytes();
    let server = format!("127.153.{high}.{low}");
    let corefile = format!(
        ".:5353 {{
            bind {server}
            errors
            kubernetes cluster.local in-addr.arpa ip6.arpa
        }}"
    );
    std::fs::write(folder.path().join("Corefile"), corefile)?;
    let script = r#"
cd "$1" && server=$2
"$3" -conf Corefile >log 2>&1 &
until dig -p 5353 @$server +tries=1 +time=1 kubernetes.default.svc.cluster.local | grep -q NOERROR; do :; done
for at in "-p 5353 @$server" ""; do
  for transport in +notcp +tcp; do
    dig $at $transport +noall +question +comments +answer +authority +additional +nocookie +tries=1 -f questions || exit
  done
  echo "== the other"
done
"#;
    let mut run = inpod_command(&["run", "-q", "-n", "team", "--cluster-role", "view", "-f"]);
    run.arg(repository().join("tests/names/services.yaml"));
    run.args(["--", "timeout", "120", "sh", "-c", script, "sh"]);
    run.arg(folder.path()).arg(server);
    run.arg(file(COREDNS).ok_or("it is there, or this would not run")?);
    let said = output(&mut run)?.success()?;
    let said: Vec<_> = said.split("== the other\n").map(answers).collect();
    let [theirs, ours, _] = said.as_slice() else {
        return Err("two sets of answers".into());
    };
    equal(
        theirs.len(),
        2 * (NAMES.len() * TYPES.len() + ADDRESSES.len()),
    )?;
    for (theirs, ours) in theirs.iter().zip(ours) {
        equal(ours, theirs)?;
    }
    equal(ours.len(), theirs.len())
}

/// What `dig` shows, as sets of lines: the order of records has no meaning, and `CoreDNS`'s is another each time.
fn answers(shown: &str) -> Vec<Vec<String>> {
    let one = |shown: &str| {
        let lines = shown.lines().filter(|line| !line.is_empty());
        let mut lines: Vec<String> = lines
            .map(|line| match line.split_once(", id: ") {
                Some((status, _number)) => status.to_owned(),
                None if line.contains("\tSOA\t") => without_serial(line),
                None => line.to_owned(),
            })
            .collect();
        lines.sort();
        lines
    };
    shown.split(";; Got answer:\n").skip(1).map(one).collect()
}

fn without_serial(line: &str) -> String {
    let mut fields: Vec<_> = line.split_whitespace().collect();
    if fields.len() > 6 {
        fields.remove(6);
    }
    fields.join(" ")
}
