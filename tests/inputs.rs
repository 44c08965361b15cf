//! The exact inputs that clients need, as one table: each row is a fact about what a program in a Pod finds, told by a small shell
//! script, on every kind of machine on which it can hold. That it does not hold elsewhere is in the row, and tested too.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Mutex;

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{MACHINES, Need, as_ordinary_user, equal, inpod_command, output, trial};
use libtest_mimic::{Failed, Trial};

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

/// A fact about what a program in a Pod finds.
struct Row {
    /// As a test is named.
    fact: &'static str,
    needs: &'static [Need],
    /// Options of `inpod run`.
    options: &'static [&'static str],
    /// The script, after [`PRELUDE`], and what it prints.
    script: &'static str,
    prints: &'static str,
    /// Where it cannot hold.
    not: &'static [Place],
}

const ROW: Row = Row {
    fact: "",
    needs: &[],
    options: &[],
    script: "",
    prints: "",
    not: &[],
};

/// What scripts share. `HOST` stands for the API server's address, which is another on some machines.
const PRELUDE: &str = r#"
d=/var/run/secrets/kubernetes.io/serviceaccount
names="kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local"
host=$KUBERNETES_SERVICE_HOST
plain() { sed "s/$host/HOST/g"; }
code() { curl -s -m 20 -o /dev/null -w '%{http_code}\n' --cacert $d/ca.crt "$@"; }
"#;

/// What is outside: what must not lead a client elsewhere, and what must still be there.
const OUTSIDE: [(&str, &str); 7] = [
    ("KUBERNETES_MASTER", "http://127.0.0.1:9"),
    ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
    ("KUBERNETES_PORT_9_TCP", "tcp://127.0.0.1:9"),
    ("POD_NAMESPACE", "elsewhere"),
    ("INPOD_SERVICE_ACCOUNT_DIR", "/elsewhere"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "corp.example"),
];

/// Without mounts there is no folder, only what is answered of the paths in it.
const LISTENERS: &[Place] = &[Place::Listener, Place::OwnAddress];

const ROWS: &[Row] = &[
    // client-go and the Python client raise otherwise.
    Row {
        fact: "both_variables_have_a_value",
        script: r#"[ -n "$KUBERNETES_SERVICE_HOST" ] && [ -n "$KUBERNETES_SERVICE_PORT" ] && echo both"#,
        prints: "both\n",
        ..ROW
    },
    Row {
        fact: "the_variables_are_the_kubelets_eight_and_no_other",
        script: "env | grep ^KUBERNETES_ | sort | plain",
        prints: "KUBERNETES_PORT=tcp://HOST:443
KUBERNETES_PORT_443_TCP=tcp://HOST:443
KUBERNETES_PORT_443_TCP_ADDR=HOST
KUBERNETES_PORT_443_TCP_PORT=443
KUBERNETES_PORT_443_TCP_PROTO=tcp
KUBERNETES_SERVICE_HOST=HOST
KUBERNETES_SERVICE_PORT=443
KUBERNETES_SERVICE_PORT_HTTPS=443
",
        ..ROW
    },
    Row {
        fact: "the_address_is_the_services",
        script: "echo $host",
        prints: "10.96.0.1\n",
        // Nobody can lead connections from there.
        not: &[Place::OwnAddress, Place::RealFiles],
        ..ROW
    },
    // The JavaScript client speaks http to these.
    Row {
        fact: "the_port_is_none_of_http",
        script: "case $KUBERNETES_SERVICE_PORT in 80|8080|8001) echo http ;; *) echo https ;; esac",
        prints: "https\n",
        ..ROW
    },
    // The JavaScript and the Python client send what the file holds.
    Row {
        fact: "the_token_is_three_parts_and_no_newline",
        script: r"wc -l <$d/token; tr -cd . <$d/token | wc -c; tr -d A-Za-z0-9_. <$d/token | tr -d - | wc -c; cut -c1-3 $d/token",
        prints: "0\n2\n0\neyJ\n",
        ..ROW
    },
    // kube-rs fails without the file, and takes a newline for a part of the name.
    Row {
        fact: "the_namespace_is_the_pods_and_no_newline",
        options: &["-n", "team"],
        script: "od -An -c $d/namespace",
        prints: "   t   e   a   m\n",
        ..ROW
    },
    // As a controller manager publishes it: what openssl or kubeadm wrote, to the newline at its end.
    Row {
        fact: "the_ca_is_one_certificate_in_pem_that_ends_with_a_newline",
        script: "head -n 1 $d/ca.crt; tail -n 1 $d/ca.crt; grep -c BEGIN $d/ca.crt; tail -c 1 $d/ca.crt | od -An -c; grep -c '[^-A-Za-z0-9+/= ]' $d/ca.crt",
        prints: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n1\n  \\n\n0\n",
        ..ROW
    },
    Row {
        fact: "the_ca_is_a_ca_and_valid",
        needs: &[Program("openssl")],
        script: "openssl x509 -in $d/ca.crt -noout -checkend 60; openssl x509 -in $d/ca.crt -noout -text | grep -o CA:TRUE",
        prints: "Certificate will not expire\nCA:TRUE\n",
        ..ROW
    },
    // The Python client writes it in lower case.
    Row {
        fact: "the_scheme_of_the_authorization_has_no_case",
        needs: &[Program("curl")],
        script: "for scheme in Bearer bearer BEARER; do code -H \"Authorization: $scheme $(cat $d/token)\" https://$host/api; done",
        prints: "200\n200\n200\n",
        ..ROW
    },
    Row {
        fact: "the_certificate_is_for_the_address_and_every_name",
        needs: &[Program("curl")],
        script: "for at in $host $names; do code -H \"Authorization: Bearer $(cat $d/token)\" https://$at:$KUBERNETES_SERVICE_PORT/api; done",
        prints: "200\n200\n200\n200\n200\n",
        ..ROW
    },
    Row {
        fact: "without_a_token_one_is_anonymous",
        needs: &[Program("curl")],
        script: "code https://$host/api; code -H 'Authorization: Bearer x' https://$host/api",
        prints: "403\n401\n",
        ..ROW
    },
    Row {
        fact: "the_token_is_of_the_account",
        options: &["--service-account", "team/app"],
        script: "inpod api /apis/authentication.k8s.io/v1/selfsubjectreviews -d '{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}' \
                 | tr -d ' \\n' | grep -o '\"username\":\"[^\"]*\"'",
        prints: "\"username\":\"system:serviceaccount:team:app\"\n",
        ..ROW
    },
    // The kubelet's atomic writer: who watches for a renewal watches `..data`.
    Row {
        fact: "the_files_are_links_through_data",
        script: "for name in token ca.crt namespace; do readlink $d/$name; cmp $d/$name $d/..data/$name; done; readlink $d/..data | tr 0-9 0",
        prints: "..data/token\n..data/ca.crt\n..data/namespace\n..0000_00_00_00_00_00.000000000\n",
        ..ROW
    },
    Row {
        fact: "the_folder_has_these_files_and_no_other",
        script: "ls -A $d | tr 0-9 0",
        prints: "..0000_00_00_00_00_00.000000000\n..data\nca.crt\nnamespace\ntoken\n",
        // And real files are marked as inpod's, so that it takes nobody else's away.
        not: &[Place::Listener, Place::OwnAddress, Place::RealFiles],
        ..ROW
    },
    Row {
        fact: "the_folder_can_be_entered",
        script: "cd $d && cat namespace",
        prints: "default",
        not: LISTENERS,
        ..ROW
    },
    Row {
        fact: "the_files_are_for_everybody_to_read",
        script: "stat -L -c %a $d/token $d/ca.crt $d/namespace",
        prints: "644\n644\n644\n",
        ..ROW
    },
    Row {
        fact: "the_files_cannot_be_written",
        script: "for name in token new; do (echo x >$d/$name) 2>/dev/null || echo refused; done; tail -c 1 $d/token | wc -l",
        prints: "refused\nrefused\n0\n",
        // They are their writer's.
        not: &[Place::RealFiles],
        ..ROW
    },
    Row {
        fact: "the_files_can_be_neither_removed_nor_replaced_nor_changed",
        // Not that there is nothing, which would be a refusal too.
        script: "cd /; r=${d#/}; t=$(mktemp); for change in 'rm -f' \"mv $t\" 'chmod 600' 'touch -c' 'truncate -s 0' 'chown -h 0' 'mkdir'; do
                     for name in $d/token $r/namespace; do $change $name 2>&1 | grep -cE 'Read-only|busy|not permitted|denied|exists'; done
                 done; rm $t; tail -c 1 $d/token | wc -l; cat $d/namespace",
        prints: "1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n0\ndefault",
        not: &[Place::RealFiles],
        ..ROW
    },
    // Who replaces it, as an editor does, must not have replaced the machine's. A rename to itself would do nothing.
    Row {
        fact: "the_machines_hosts_file_stays_what_it_is",
        needs: &[Program("python3")],
        script: "python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def creat(name):
    if libc.creat(name.encode(), 0o644) < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
for change in [
    lambda name: os.rename(name, name), lambda name: os.link(name, \"/tmp/linked\"), creat, lambda name: os.truncate(name, 0),
    lambda name: os.chmod(name, 0o644), lambda name: os.chown(name, -1, -1), os.utime, lambda name: os.setxattr(name, \"user.x\", b\"\"),
    os.mkdir, lambda name: os.symlink(name, name), os.unlink,
]:
    try: change(\"/etc/hosts\")
    except OSError as error: print(error.strerror)
    else: break'",
        prints: "Device or resource busy
Invalid cross-device link
Read-only file system
Read-only file system
Read-only file system
Read-only file system
Read-only file system
Read-only file system
File exists
File exists
Device or resource busy
",
        not: &[Place::Caller, Place::OrdinaryUser, Place::RealFiles],
        ..ROW
    },
    // Programs open the one or the other.
    Row {
        fact: "var_run_and_run_are_the_same",
        script: "for name in token ca.crt namespace; do cmp $d/$name ${d#/var}/$name && echo same; done",
        prints: "same\nsame\nsame\n",
        ..ROW
    },
    Row {
        fact: "every_name_leads_to_the_address",
        needs: &[Program("getent")],
        script: "for name in $names; do getent hosts $name | cut -d' ' -f1 | plain; done",
        prints: "HOST\nHOST\nHOST\nHOST\n",
        ..ROW
    },
    Row {
        fact: "etc_hosts_has_the_names_on_a_line_of_their_own",
        script: "grep -cx \"$host[[:space:]]kubernetes.default.svc.cluster.local kubernetes.default.svc kubernetes.default kubernetes\" /etc/hosts; grep -c localhost /etc/hosts | tr 2-9 1",
        prints: "1\n1\n",
        ..ROW
    },
    // Node's realpathSync follows links by itself, and knows them by their numbers.
    Row {
        fact: "no_two_nodes_have_one_number",
        script: "stat -c %h $d/token $d/..data; stat -c %d:%i $d/.. $d $d/..data $d/..data/ $d/token $d/..data/token $d/ca.crt $d/..data/ca.crt | sort | uniq -d; echo end",
        prints: "1\n1\nend\n",
        ..ROW
    },
    Row {
        fact: "what_ends_in_a_slash_is_a_directory",
        script: "stat -c %F $d/..data $d/..data/; cat $d/token/ 2>&1 | grep -o 'Not a directory'",
        prints: "symbolic link\ndirectory\nNot a directory\n",
        ..ROW
    },
    // kube-rs, the Python and the JavaScript client look there first.
    Row {
        fact: "kubeconfig_is_unset",
        script: "echo ${KUBECONFIG-unset} ${POD_NAMESPACE-unset} ${INPOD_SERVICE_ACCOUNT_DIR-unset}",
        prints: "unset unset unset\n",
        ..ROW
    },
    Row {
        fact: "the_developers_kubeconfig_is_hidden",
        script: "[ -e $HOME/.kube/config ] || echo absent; cat $HOME/.kube/config 2>/dev/null || echo hidden; ls -A $HOME/.kube 2>/dev/null | wc -l",
        prints: "absent\nhidden\n0\n",
        // Nothing is there to hide it with.
        not: &[Place::RealFiles],
        ..ROW
    },
    Row {
        fact: "a_kubeconfig_of_another_name_is_hidden_too",
        // And what is done to what is there instead is done to nothing else.
        script: "cat $HOME/clusters.yaml 2>/dev/null | wc -c; chmod 000 $HOME/clusters.yaml 2>/dev/null; stat -c %a /dev/null",
        prints: "0\n666\n",
        not: &[Place::RealFiles],
        ..ROW
    },
    // curl, client-go and Python hand 10.96.0.1 to a proxy too.
    Row {
        fact: "no_proxy_has_the_address_and_every_name",
        script: "for at in corp.example $host $names; do case ,$NO_PROXY, in *,$at,*) ;; *) echo $at ;; esac; case ,$no_proxy, in *,$at,* | *,$host,*) ;; *) echo $at ;; esac; done; echo end",
        prints: "end\n",
        ..ROW
    },
    Row {
        fact: "a_proxy_is_not_between",
        needs: &[Program("curl")],
        script: "echo $HTTPS_PROXY; code -H \"Authorization: Bearer $(cat $d/token)\" https://$host/api; code https://kubernetes.default.svc/api",
        prints: "http://127.0.0.1:9\n200\n403\n",
        ..ROW
    },
    // Clients read the file again once a minute.
    Row {
        fact: "after_a_renewal_the_file_has_the_new_token",
        needs: &[Program("curl")],
        options: &["--token-ttl", "5"],
        script: r#"
first=$(cat $d/token); data=$(readlink $d/..data)
until [ "$(cat $d/token)" != "$first" ]; do sleep 0.05; done
code -H "Authorization: Bearer $(cat $d/token)" https://$host/api
[ "$(readlink $d/..data)" != $data ] && wc -l <$d/token"#,
        prints: "200\n0\n",
        ..ROW
    },
];

/// A kind of machine, and who runs the command there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Caller,
    OrdinaryUser,
    Listener,
    OwnAddress,
    RealFiles,
}

impl Place {
    const ALL: [Self; 5] = [
        Self::Caller,
        Self::OrdinaryUser,
        Self::Listener,
        Self::OwnAddress,
        Self::RealFiles,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "as_the_caller",
            Self::OrdinaryUser => "as_an_ordinary_user",
            Self::Listener => MACHINES[0].name,
            Self::OwnAddress => MACHINES[3].name,
            Self::RealFiles => MACHINES[4].name,
        }
    }

    const fn needs(self) -> &'static [Need] {
        match self {
            Self::Caller => &[Sandbox],
            Self::OrdinaryUser | Self::Listener => &[Sandbox, OrdinaryUser],
            Self::OwnAddress | Self::RealFiles => &[Sandbox, Root],
        }
    }

    fn command(self, command: Command) -> Command {
        match self {
            Self::Caller => command,
            Self::OrdinaryUser => as_ordinary_user(&command),
            Self::Listener => MACHINES[0].command(REFUSE, &command),
            Self::OwnAddress => MACHINES[3].command(REFUSE, &command),
            Self::RealFiles => MACHINES[4].command(REFUSE, &command),
        }
    }
}

/// Of runs whose files are on the machine itself there is one.
static REAL_FILES: Mutex<()> = Mutex::new(());

fn main() {
    let mut trials: Vec<Trial> = Vec::new();
    for place in Place::ALL {
        for row in ROWS {
            let needs: Vec<Need> = place.needs().iter().chain(row.needs).copied().collect();
            let (fact, name) = (row.fact, place.name());
            if row.not.contains(&place) {
                let name = format!("{name}::it_cannot_hold_that_{fact}");
                trials.push(trial(&name, &needs, move || does_not_hold(row, place)));
            } else {
                let name = format!("{name}::{fact}");
                trials.push(trial(&name, &needs, move || holds(row, place)));
            }
        }
    }
    inpod_tests::run(trials);
}

fn holds(row: &Row, place: Place) -> Result<(), Failed> {
    let said = said(row, place)?;
    // What inpod says of a life as short as a test's is tested elsewhere.
    let complaints: Vec<&str> = said
        .stderr
        .lines()
        .filter(|line| !line.starts_with("warning: with --token-ttl"))
        .collect();
    equal(
        (said.stdout.as_str(), complaints),
        (row.prints, Vec::<&str>::new()),
    )
}

/// What has come to hold is to be promised.
fn does_not_hold(row: &Row, place: Place) -> Result<(), Failed> {
    equal(said(row, place)?.stdout == row.prints, false)
}

fn said(row: &Row, place: Place) -> Result<inpod_tests::Output, Failed> {
    let _alone = (place == Place::RealFiles).then(|| REAL_FILES.lock());
    // As those of services are: below a folder that the service account's path begins with too.
    let home = tempfile::tempdir_in("/var/tmp")?;
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    std::fs::create_dir(home.path().join(".kube"))?;
    open(home.path(), 0o755)?;
    let kubeconfigs = [".kube/config", "clusters.yaml"].map(|name| home.path().join(name));
    for kubeconfig in &kubeconfigs {
        std::fs::write(kubeconfig, "current-context: production\n")?;
        open(kubeconfig, 0o644)?;
    }
    let mut command = inpod_command(&["run", "-q"]);
    command.args(row.options).args(["--", "sh", "-c"]);
    command.arg(format!("{PRELUDE}{}", row.script));
    command
        .env("HOME", home.path())
        .env("KUBECONFIG", std::env::join_paths(kubeconfigs)?);
    command.envs(OUTSIDE).current_dir("/");
    output(&mut place.command(command))
}
