//! The Pod's containers: CMD, and where it is asked for a sidecar that has the credentials instead of it.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use inpod::{Client, Config, RenewableToken};
use inpod_proxy::Proxy;
use inpod_sandbox::{Command, Sandbox, SignalMask, View, Way, spawn};
use nix::sys::signal::Signal;
use tokio::runtime::Handle;

use super::arrangement::{Arrangement, Front, INSTEAD};
use super::explain;
use super::reach::Reach;
use super::services::Services;
use super::view::{self, Cluster, MOUNT_PATH};
use crate::embedded;
use crate::failure::Failure;

/// The least that a kubelet gives a container to end (`minimumGracePeriodInSeconds`).
const SIDECAR_GRACE: Duration = Duration::from_secs(2);

/// What they are started with.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) arrangement: Arrangement<'a>,
    pub(super) command: &'a [OsString],
    pub(super) signals: SignalMask,
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: &'a str,
    pub(super) client: &'a Client,
    /// Of a cluster that was there already.
    pub(super) kubeconfig: Option<&'a Path>,
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
        match &self.arrangement {
            Arrangement::Alone => {
                let containers = self.start_command(reach, runtime)?;
                Ok(Containers {
                    holder: Holder::Process(Arc::clone(&containers.command)),
                    ..containers
                })
            }
            Arrangement::WithoutAccount => self.start_command(reach, runtime),
            Arrangement::Proxy(front) => self.with_proxy(front, reach, runtime),
            Arrangement::Sidecar(line) => self.with_sidecar(line, reach, runtime),
        }
    }

    fn with_proxy(
        &self,
        front: &Front,
        reach: Reach,
        runtime: &Handle,
    ) -> Result<Containers, Failure> {
        let token = RenewableToken::new(&self.cluster.token())?;
        let config = Config::builder()
            .server(self.client.config().server().clone())
            .ca_pem(self.cluster.ca.as_bytes())
            .renewable_token(&token)
            .namespace(self.namespace)
            .build()?;
        let proxy = Proxy::builder(Client::new(config)?).build();
        let containers = self.start_command(reach, runtime)?;
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
        let containers =
            self.start_command(reach, runtime)
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
    fn start_command(&self, reach: Reach, runtime: &Handle) -> Result<Containers, Failure> {
        let command = Command::new(&self.command[0])
            .args(&self.command[1..])
            .signal_mask(self.signals);
        let (sandbox, reach) = reach.until_one_works(
            |reach| {
                let mut view = self.view(reach);
                self.arrangement.arrange(&mut view, reach)?;
                Ok(view)
            },
            |view| spawn(view, &command),
        )?;
        if !self.quiet {
            let limits = [
                &sandbox.limits(),
                reach.limits(self.kubeconfig.is_none()),
                self.arrangement.limits(&reach),
            ];
            explain::say(sandbox.way(), &reach, &limits.concat());
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
        self.cluster.view(reach, self.kubeconfig)
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
