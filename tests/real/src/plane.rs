//! The three processes, started and stopped.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::{Binaries, Error, pki};

/// The embedded server's issuer, which is kubeadm's.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// kubeadm's service range, whose first address is the Service `kubernetes`.
const SERVICE_RANGE: &str = "10.96.0.0/12";
/// What `/api` and the Service's endpoints tell. It must not be loopback, and is the same on every machine; nothing is sent there
/// (RFC 5737).
const ADVERTISED: &str = "192.0.2.2";
/// What the embedded server does too, and no more: there is nothing here to schedule, run or scale.
const CONTROLLERS: [&str; 6] = [
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
];
/// Four seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

/// What a new cluster has once its controllers have caught up, as kubectl's arguments and what they print.
const READY: [(&[&str], &str); 4] = [
    (&["get", "--raw=/readyz"], "ok"),
    (
        &[
            "get",
            "--namespace=default",
            "serviceaccount/default",
            "--output=name",
        ],
        "serviceaccount/default",
    ),
    (
        &[
            "get",
            "--namespace=default",
            "configmap/kube-root-ca.crt",
            "--output=name",
        ],
        "configmap/kube-root-ca.crt",
    ),
    (
        &[
            "get",
            "clusterrole/view",
            "--output=jsonpath={.rules[0].verbs[0]}",
        ],
        "get",
    ),
];

/// A control plane whose processes are children of this one.
#[derive(Debug)]
pub(crate) struct Plane {
    folder: PathBuf,
    kubectl: PathBuf,
    children: Vec<(&'static str, Child)>,
}

impl Plane {
    /// Starts the three in `folder`, which is empty; answers once a client finds there what a new cluster has.
    ///
    /// They die with the calling *thread*, which therefore is the main one.
    pub(crate) async fn start(folder: &Path, binaries: &Binaries) -> Result<Self, Error> {
        pki::write_all(folder)?;
        let [store, peer, api] = free_ports().map_err(Error::file("127.0.0.1:0"))?;
        let file = |name: &str| folder.join(name).display().to_string();
        for (kubeconfig, user) in [
            ("kubeconfig", "admin"),
            ("controller-manager.conf", "controller-manager"),
        ] {
            let text = kubeconfig_of(folder, api, user);
            write(&folder.join(kubeconfig), text)?;
        }

        let mut plane = Self {
            folder: folder.to_owned(),
            kubectl: binaries.program("kubectl"),
            children: Vec::new(),
        };
        let store = format!("http://127.0.0.1:{store}");
        let peer = format!("http://127.0.0.1:{peer}");
        plane.spawn(
            "etcd",
            binaries,
            &[
                &format!("--data-dir={}", file("etcd")),
                &format!("--listen-client-urls={store}"),
                &format!("--advertise-client-urls={store}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=default={peer}"),
                // It lives for minutes: what a crash of the machine loses is not missed.
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
        )?;
        plane.spawn(
            "kube-apiserver",
            binaries,
            &[
                &format!("--etcd-servers={store}"),
                "--bind-address=127.0.0.1",
                &format!("--secure-port={api}"),
                &format!("--advertise-address={ADVERTISED}"),
                &format!("--cert-dir={}", file("certificates")),
                &format!("--tls-cert-file={}", file("apiserver.crt")),
                &format!("--tls-private-key-file={}", file("apiserver.key")),
                &format!("--client-ca-file={}", file("ca.crt")),
                &format!("--service-account-key-file={}", file("sa.pub")),
                &format!("--service-account-signing-key-file={}", file("sa.key")),
                &format!("--service-account-issuer={ISSUER}"),
                &format!("--service-cluster-ip-range={SERVICE_RANGE}"),
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                "--profiling=false",
            ],
        )?;
        plane.ready(&READY[..1]).await?;
        plane.spawn(
            "kube-controller-manager",
            binaries,
            &[
                &format!("--kubeconfig={}", file("controller-manager.conf")),
                &format!("--root-ca-file={}", file("ca.crt")),
                &format!("--service-account-private-key-file={}", file("sa.key")),
                &format!("--controllers={}", CONTROLLERS.join(",")),
                // The default roles are for its controllers, each by itself.
                "--use-service-account-credentials",
                "--leader-elect=false",
                "--secure-port=0",
                // A type that a test has just made is collected within this, not within half a minute.
                "--min-resync-period=1m",
            ],
        )?;
        plane.ready(&READY).await?;
        Ok(plane)
    }

    /// Waits for one of them to end by itself, which none does unless something is wrong.
    pub(crate) async fn broken(&mut self) -> Error {
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends the three, and waits for that.
    pub(crate) async fn stop(mut self) {
        // The last first, so that none sees another gone and complains.
        for (_, child) in self.children.iter_mut().rev() {
            // One that has ended by itself cannot be killed, and is as good as.
            let _ = child.kill().await;
        }
    }

    fn spawn(
        &mut self,
        name: &'static str,
        binaries: &Binaries,
        arguments: &[&str],
    ) -> Result<(), Error> {
        let path = self.log(name);
        let log = File::create(&path).map_err(Error::file(&path))?;
        let error_log = log.try_clone().map_err(Error::file(&path))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binaries.program(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(error_log)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::start("setpriv", "; it is in the package util-linux"))?;
        self.children.push((name, child));
        Ok(())
    }

    /// Asks, over and over, as a user would.
    async fn ready(&mut self, questions: &[(&[&str], &str)]) -> Result<(), Error> {
        let start = Instant::now();
        for (arguments, answer) in questions {
            loop {
                self.check()?;
                let output = Command::new(&self.kubectl)
                    .arg("--kubeconfig")
                    .arg(self.folder.join("kubeconfig"))
                    .args(*arguments)
                    .output()
                    .await
                    .map_err(Error::start("kubectl", ""))?;
                if output.stdout.trim_ascii() == answer.as_bytes() {
                    break;
                }
                if start.elapsed() > START {
                    return Err(Error::Plane(format!(
                        "the control plane is not ready after {START:?}: kubectl {}: {}",
                        arguments.join(" "),
                        String::from_utf8_lossy(&output.stderr).trim()
                    )));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait().map_err(Error::start(*name, ""))? {
                return Err(Error::Plane(format!("{name} ended ({status})")));
            }
        }
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_ref()))
        .map_err(Error::file(path))
}

/// Ports that were free a moment ago. All are held while they are looked for, so that they differ.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let one = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [one()?, one()?, one()?];
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok([port(&held[0])?, port(&held[1])?, port(&held[2])?])
}

fn kubeconfig_of(folder: &Path, port: u16, user: &str) -> String {
    let folder = folder.display();
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: real\n\
         \x20 cluster:\n\
         \x20   server: https://127.0.0.1:{port}\n\
         \x20   certificate-authority: {folder}/ca.crt\n\
         users:\n\
         - name: {user}\n\
         \x20 user:\n\
         \x20   client-certificate: {folder}/{user}.crt\n\
         \x20   client-key: {folder}/{user}.key\n\
         contexts:\n\
         - name: real\n\
         \x20 context:\n\
         \x20   cluster: real\n\
         \x20   user: {user}\n\
         current-context: real\n"
    )
}
