//! The Pod's containers: CMD, and where it is asked for a sidecar that has the credentials instead of it.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use inpod::{Client, Config, RenewableToken};
use inpod_proxy::{Listener, Proxy};
use inpod_sandbox::{Command, Gate, Redirect, Sandbox, SignalMask, View, Way, spawn};
use nix::sys::signal::Signal;
use tokio::runtime::Handle;

use super::explain;
use super::reach::Reach;
use super::services::Services;
use super::view::{self, Cluster, MOUNT_PATH};
use crate::embedded;
use crate::failure::Failure;

/// Where CMD finds the sidecar, and `kubectl proxy` listens by default.
const SIDECAR_PORT: u16 = 8001;
const LOCALHOST: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), SIDECAR_PORT),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), SIDECAR_PORT),
];

/// The least that a kubelet gives a container to end (`minimumGracePeriodInSeconds`).
const SIDECAR_GRACE: Duration = Duration::from_secs(2);

/// Of a sidecar that is a program.
const SIDECAR_LIMITS: &[&str] = &[
    "the sidecar listens on this machine's own addresses, and what it serves there its other users reach too",
];

/// What a machine can have that cannot keep a sidecar's files from CMD.
const INSTEAD: &str =
    "Or, with `--sidecar` alone: `inpod proxy` is the sidecar then, and needs no files.";

/// Which of the containers has the service account's files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Account<'a> {
    /// CMD, as in a Pod of one container.
    Command,
    /// `inpod proxy`, within this program.
    Proxy,
    /// A program, by its shell command line.
    Sidecar(&'a str),
    /// None of them.
    Nobody,
}

/// What they are started with.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) account: Account<'a>,
    pub(super) command: &'a [OsString],
    pub(super) signals: SignalMask,
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: &'a str,
    pub(super) client: &'a Client,
    pub(super) embedded: bool,
    pub(super) quiet: bool,
}

/// The running containers.
#[derive(Debug)]
pub(super) struct Containers {
    command: Arc<Sandbox>,
    sidecar: Option<Arc<Sandbox>>,
    holder: Holder,
    /// Where they meet the API server.
    api_server: IpAddr,
}

/// Who has to be told of Services that come and go.
#[derive(Debug)]
pub(super) struct Names {
    sandboxes: Vec<Arc<Sandbox>>,
    /// Where they meet the API server.
    api_server: IpAddr,
}

/// Who has to be given a new token.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    Process(Arc<Sandbox>),
    Proxy(RenewableToken),
    Nobody,
}

impl Plan<'_> {
    /// Starts them; what serves them runs on the runtime.
    pub(super) fn start(&self, reach: Reach, runtime: &Handle) -> Result<Containers, Failure> {
        match self.account {
            Account::Command => {
                let containers = self.start_command(reach, runtime, |_| &[], |_, _| Ok(()))?;
                Ok(Containers {
                    holder: Holder::Process(Arc::clone(&containers.command)),
                    ..containers
                })
            }
            Account::Nobody => self.start_command(
                reach,
                runtime,
                |_| &[],
                |view, _| {
                    without_account(view);
                    Ok(())
                },
            ),
            Account::Proxy => self.with_proxy(reach, runtime),
            Account::Sidecar(line) => self.with_sidecar(line, reach, runtime),
        }
    }

    fn with_proxy(&self, reach: Reach, runtime: &Handle) -> Result<Containers, Failure> {
        let token = RenewableToken::new(&self.cluster.token())?;
        let config = Config::builder()
            .server(self.client.config().server().clone())
            .ca_pem(self.cluster.ca.as_bytes())
            .renewable_token(&token)
            .namespace(self.namespace)
            .build()?;
        let proxy = Proxy::builder(Client::new(config)?).build();
        let front = Front::new()?;
        let containers = self.start_command(reach, runtime, Front::limits, |view, reach| {
            without_account(view);
            front.show(view, reach)
        })?;
        let _inside = runtime.enter();
        runtime.spawn(proxy.serve(front.listener()?, std::future::pending()));
        Ok(Containers {
            holder: Holder::Proxy(token),
            ..containers
        })
    }

    fn with_sidecar(
        &self,
        line: &str,
        reach: Reach,
        runtime: &Handle,
    ) -> Result<Containers, Failure> {
        // Standard output is CMD's.
        let script = format!("exec >&2 </dev/null; {line}");
        let sidecar = Command::new("sh")
            .args(["-c", &script])
            .signal_mask(self.signals);
        let (sidecar, reach) =
            reach.until_one_works(|reach| Ok(self.view(reach)), |view| spawn(view, &sidecar))?;
        let sidecar = Arc::new(sidecar);
        let containers = self
            .start_command(
                reach,
                runtime,
                |_| SIDECAR_LIMITS,
                |view, _| {
                    without_account(view);
                    Ok(())
                },
            )
            .map_err(|failure| match sidecar.way() {
                Way::RealFiles => failure.and(INSTEAD),
                _ => failure,
            })?;
        watch(&sidecar)?;
        Ok(Containers {
            holder: Holder::Process(Arc::clone(&sidecar)),
            sidecar: Some(sidecar),
            ..containers
        })
    }

    /// CMD alone, without anybody who needs a token.
    fn start_command(
        &self,
        reach: Reach,
        runtime: &Handle,
        limits: impl Fn(&Reach) -> &'static [&'static str],
        change: impl Fn(&mut View, &Reach) -> Result<(), Failure>,
    ) -> Result<Containers, Failure> {
        let command = Command::new(&self.command[0])
            .args(&self.command[1..])
            .signal_mask(self.signals);
        let (sandbox, reach) = reach.until_one_works(
            |reach| {
                let mut view = self.view(reach);
                change(&mut view, reach)?;
                Ok(view)
            },
            |view| spawn(view, &command),
        )?;
        if !self.quiet {
            explain::say(sandbox.way(), &reach, limits(&reach));
        }
        let api_server = self.cluster.met(&reach).ip();
        let _inside = runtime.enter();
        reach.serve(self.cluster.server)?;
        Ok(Containers {
            command: Arc::new(sandbox),
            sidecar: None,
            holder: Holder::Nobody,
            api_server,
        })
    }

    fn view(&self, reach: &Reach) -> View {
        self.cluster.view(reach, self.embedded)
    }
}

impl Containers {
    pub(super) fn holder(&self) -> Holder {
        self.holder.clone()
    }

    pub(super) fn names(&self) -> Names {
        let sandboxes = std::iter::once(&self.command).chain(&self.sidecar);
        Names {
            sandboxes: sandboxes.map(Arc::clone).collect(),
            api_server: self.api_server,
        }
    }

    /// Waits until CMD has ended; a sidecar ends after it.
    pub(super) fn wait(&self) -> Result<ExitStatus, Failure> {
        let status = self.command.wait();
        if let Some(sidecar) = &self.sidecar {
            sidecar.stop(SIDECAR_GRACE);
        }
        Ok(status?)
    }
}

impl Names {
    pub(super) fn renew(&self, services: &Services) {
        let seen = services.seen(self.api_server);
        for sandbox in &self.sandboxes {
            sandbox.update_services(&seen);
        }
    }
}

impl Holder {
    /// Puts a new token, and the CA as it is now, where they are read.
    pub(super) fn renew(&self, token: &str, ca: &str, namespace: &str) -> Result<(), Failure> {
        match self {
            Self::Process(sandbox) => {
                sandbox.update(MOUNT_PATH.as_ref(), &view::files(token, ca, namespace))?;
            }
            Self::Proxy(renewable) => renewable.set(token)?,
            Self::Nobody => {}
        }
        Ok(())
    }
}

/// Says when the sidecar ends before it is stopped: CMD may wait for it in vain.
fn watch(sidecar: &Arc<Sandbox>) -> Result<(), Failure> {
    let sidecar = Arc::clone(sidecar);
    std::thread::Builder::new()
        .name("inpod-sidecar".into())
        .spawn(move || {
            // Killed is what we do.
            if let Ok(status) = sidecar.wait_aside()
                && status.signal() != Some(Signal::SIGTERM as i32)
            {
                embedded::warn(&format!("the sidecar has ended ({status})"));
            }
        })?;
    Ok(())
}

/// As with `automountServiceAccountToken: false`, even where the machine itself is a Pod.
fn without_account(view: &mut View) {
    view.volumes.remove(MOUNT_PATH.as_ref() as &std::path::Path);
    view.withheld.push(MOUNT_PATH.into());
}

/// The proxy's side that CMD sees: its own localhost:8001 where connections can be led, else the machine's.
struct Front {
    gate: Gate,
    open: OnceCell<TcpListener>,
}

impl Front {
    fn limits(reach: &Reach) -> &'static [&'static str] {
        match reach {
            Reach::Led => &[],
            Reach::At(_) => &[
                "localhost:8001 is this machine's own, where its other users reach the API with this account too",
            ],
        }
    }

    fn new() -> Result<Self, Failure> {
        Ok(Self {
            gate: Gate::new()?,
            open: OnceCell::new(),
        })
    }

    fn show(&self, view: &mut View, reach: &Reach) -> Result<(), Failure> {
        if reach.address().is_none() {
            let through = LOCALHOST.map(|from| Redirect::through(from, &self.gate));
            view.redirects.extend(through);
        } else if self.open.get().is_none() {
            let [address, _] = LOCALHOST;
            let listener = TcpListener::bind(address).map_err(|error| {
                Failure::from(error).while_(format!("the sidecar's address {address}"))
            })?;
            if !is_reached(&listener, address)? {
                return Err(Failure::new(
                    "localhost:8001 is the sidecar of the run around this one; start this one without --sidecar, or outside of it",
                ));
            }
            let _ = self.open.set(listener);
        }
        Ok(())
    }

    fn listener(self) -> Result<Listener, Failure> {
        if let Some(open) = self.open.into_inner() {
            return Ok(Listener::guarded(open, |_| true)?);
        }
        let gate = self.gate;
        let listener = gate.listener()?;
        Ok(Listener::guarded(listener, move |peer| gate.admits(peer))?)
    }
}

/// Whether who connects to the address comes to this listener, and is not led elsewhere.
fn is_reached(listener: &TcpListener, address: SocketAddr) -> Result<bool, Failure> {
    let connected = TcpStream::connect(address)?;
    listener.set_nonblocking(true)?;
    // A connect to loopback is in the queue before it has succeeded.
    let came = listener.accept();
    Ok(came.is_ok_and(|(_, peer)| connected.local_addr().is_ok_and(|own| own == peer)))
}
