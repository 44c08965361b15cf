//! `inpod run`: any program, as if in a Pod.
//!
//! The cluster is reached as any cluster would be: through its API, with the crate `inpod`.

mod account;
mod arrangement;
mod containers;
mod endpoints;
mod environment;
mod explain;
mod interrupt;
mod pod;
mod program;
mod reach;
mod reflector;
mod service;
mod services;
mod token;
mod view;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use inpod::{Client, Config};
use inpod_apiserver::Server;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::manifests::Manifest;
use crate::{embedded, exit, kubeconfig, manifests, secrecy};
use account::{Account, Binding};
use arrangement::{Arrangement, Front};
use interrupt::unless_interrupted;
use pod::Pod;
use reach::Reach;
use token::Token;

/// Run a program as if in a Pod
///
/// Starts an embedded cluster and runs CMD as a Pod of it: the service account's token, ca.crt and namespace are at
/// /var/run/secrets/kubernetes.io/serviceaccount, the KUBERNETES_* variables are set, kubernetes.default.svc resolves and answers.
/// CMD keeps your user, working directory, terminal, environment and network, and inpod ends as CMD ends. Your own kubeconfig
/// (~/.kube, KUBECONFIG, --kubeconfig) is out of its sight. As an ordinary user, setuid programs (sudo, ping) lose their privilege inside, and snaps do not start.
///
/// Where this machine refuses namespaces, other ways are tried; --explain tells which one works here and what is not as in a Pod.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, in plain text")]
pub(crate) struct Args {
    /// The Pod's namespace; created in the embedded cluster where it is missing
    #[arg(short, long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
    /// The service account, created in the embedded cluster where it is missing; NS/NAME also says the namespace
    #[arg(long, value_name = "[NS/]NAME", default_value = "default")]
    service_account: String,
    /// Bind the account to this ClusterRole in the whole cluster, for example view, edit, admin, cluster-admin (repeatable)
    #[arg(long = "cluster-role", value_name = "NAME", value_parser = account::role_name)]
    cluster_roles: Vec<String>,
    /// Bind the account to this role in its namespace: a Role there, or else a ClusterRole (repeatable)
    #[arg(long = "role", value_name = "NAME", value_parser = account::role_name)]
    roles: Vec<String>,
    /// Load these manifests first: a file, a folder, or - for standard input (repeatable)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    /// The audience of the token; the API server itself by default
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    audience: Option<String>,
    #[command(flatten)]
    embedded: embedded::Embedded,
    /// Use the cluster of this kubeconfig, not an embedded one
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// Give the service account's files to a sidecar, and none to CMD, which finds it at localhost:8001: `inpod proxy`, or this
    /// command line
    #[arg(long, value_name = "CMDLINE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    sidecar: Option<String>,
    /// Give CMD none of a service account's files
    #[arg(long, conflicts_with = "sidecar")]
    no_token: bool,
    /// Say nothing of how CMD is shown its Pod on this machine, and of what is not as in one
    #[arg(short, long)]
    quiet: bool,
    /// Say how CMD would be shown its Pod on this machine, and what would not be as in one; runs nothing
    #[arg(long)]
    explain: bool,
    /// The program and its arguments
    #[arg(last = true, required_unless_present = "explain", value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// Of the cluster that is there already.
    fn config(&self) -> Result<Option<Config>, Failure> {
        let Some(file) = &self.kubeconfig else {
            return Ok(None);
        };
        let config = kubeconfig::load(std::slice::from_ref(file), self.context.as_deref())?;
        Ok(Some(config.build()?))
    }

    fn arrangement(&self) -> Result<Arrangement<'_>, Failure> {
        Ok(match self.sidecar.as_deref() {
            Some("") => Arrangement::Proxy(Front::new()?),
            Some(line) => Arrangement::Sidecar(line),
            None if self.no_token => Arrangement::WithoutAccount,
            None => Arrangement::Alone,
        })
    }
}

/// How long the cluster may take to hear that the process has ended.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.explain {
        return explain::explain(args);
    }
    secrecy::keep();
    // Standard input may be a terminal: while it is read, its signals end us as any program.
    let manifests = manifests::read_all(&args.filenames)?;
    if let Some(unfit) = program::unfit(&args.command[0]) {
        embedded::warn(&unfit);
    }
    // Before any thread is there.
    let signals = inpod_sandbox::block_signals();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;

    let reach = Reach::first()?;
    let (cluster, tenant) = runtime.block_on(unless_interrupted(async {
        let cluster = Cluster::open(args, reach.possible_address()).await?;
        let tenant = Tenant::move_in(&cluster, manifests, args).await?;
        Ok((cluster, tenant))
    }))?;
    let client = &cluster.client;
    let ended = runtime
        .block_on(unless_interrupted(tenant.prepare(client, args)))
        .and_then(|prepared| {
            let plan = containers::Plan {
                arrangement: args.arrangement()?,
                command: &args.command,
                signals,
                cluster: &prepared.seen,
                namespace: &tenant.account.namespace,
                client,
                kubeconfig: args.kubeconfig.as_deref(),
                quiet: args.quiet,
            };
            let containers = plan.start(reach, runtime.handle())?;
            // Until the process has ended.
            let mut meanwhile = JoinSet::new();
            if let Some((request, token)) = prepared.token {
                let renewal =
                    token::keep_fresh(client.clone(), request, token, containers.holder());
                meanwhile.spawn_on(renewal, runtime.handle());
            }
            let names = containers.names();
            let services = prepared
                .seen
                .services
                .follow(client.clone(), move |services| names.renew(services));
            meanwhile.spawn_on(services, runtime.handle());
            let ended = containers.wait();
            runtime.block_on(meanwhile.shutdown());
            ended
        });

    // The Pod ends with its process, whichever way that went; but CMD's status is what it is.
    let left = runtime.block_on(unless_interrupted(async {
        tokio::time::timeout(PATIENCE, tenant.move_out(client))
            .await
            .unwrap_or_else(|_elapsed| Err(Failure::new("the API server did not answer")))
    }));
    if let Err(failure) = left {
        embedded::warn(&format!(
            "the Pod {} may still be in the cluster: {failure}",
            tenant.pod.name
        ));
    }
    runtime.block_on(cluster.close());
    Ok(exit::like(ended?))
}

/// The cluster the Pod is of: an embedded one, or another.
struct Cluster {
    client: Client,
    embedded: Option<Server>,
}

impl Cluster {
    /// An embedded one expects to be met at `address` too.
    async fn open(args: &Args, address: IpAddr) -> Result<Self, Failure> {
        if let Some(config) = args.config()? {
            return Ok(Self {
                client: Client::new(config)?,
                embedded: None,
            });
        }
        let server = embedded::start(&args.embedded, 0, Some(address)).await?;
        Ok(Self {
            client: embedded::admin(&server)?,
            embedded: Some(server),
        })
    }

    async fn close(self) {
        if let Some(server) = self.embedded {
            server.shutdown().await;
        }
    }
}

/// What stands for the process in the cluster.
struct Tenant {
    account: Account,
    bindings: Vec<Binding>,
    pod: Pod,
}

/// What the process is started with.
struct Prepared {
    /// Where somebody is to have one.
    token: Option<(token::Request, Token)>,
    seen: view::Cluster,
}

impl Tenant {
    async fn move_in(
        cluster: &Cluster,
        manifests: Vec<Manifest>,
        args: &Args,
    ) -> Result<Self, Failure> {
        let client = &cluster.client;
        let account = Account::parse(&args.service_account, args.namespace.as_deref())?;
        if cluster.embedded.is_some() {
            account.ensure_namespace(client).await?;
        }
        manifests::load(client, manifests, &account.namespace).await?;
        if cluster.embedded.is_some() {
            account.ensure(client).await?;
        }
        let pod = Pod::create(client, &account, &args.command[0]).await?;
        let namespace = &account.namespace;
        let in_cluster = args.cluster_roles.iter();
        let in_namespace = args.roles.iter();
        let bindings = in_cluster
            .map(|role| Binding::in_cluster(namespace, &pod.name, role))
            .chain(in_namespace.map(|role| Binding::in_namespace(namespace, &pod.name, role)))
            .collect();
        Ok(Self {
            account,
            bindings,
            pod,
        })
    }

    async fn prepare(&self, client: &Client, args: &Args) -> Result<Prepared, Failure> {
        for binding in &self.bindings {
            self.account.bind(client, binding).await?;
        }
        let token = if args.no_token {
            None
        } else {
            let request = token::Request::new(
                &self.account,
                &self.pod,
                args.audience.as_deref(),
                args.embedded.token_ttl,
            );
            let token = request.send(client).await?;
            Some((request, token))
        };
        let text = token.as_ref().map(|(_, token)| token.text.as_str());
        let seen = view::Cluster::ask(client, &self.account, text).await?;
        // Before CMD starts, which may look at its own Pod at once.
        self.pod.running(client).await?;
        Ok(Prepared { token, seen })
    }

    /// Deletes the Pod and the bindings. The account and what was loaded stay.
    async fn move_out(&self, client: &Client) -> Result<(), Failure> {
        let mut left = self.pod.delete(client).await;
        for binding in &self.bindings {
            left = left.and(binding.delete(client).await);
        }
        left
    }
}

/// Deletes what may be gone already.
async fn delete(client: &Client, path: &str, options: &serde_json::Value) -> Result<(), Failure> {
    match client.delete(path, options).await {
        Err(inpod::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other?),
    }
}

/// 127 and 126 as a shell gives them, and 1 for what the sandbox could not do.
fn not_started(error: inpod_sandbox::Error) -> Failure {
    let code = match error {
        inpod_sandbox::Error::NotFound { .. } => 127,
        inpod_sandbox::Error::NotExecutable { .. } => 126,
        _ => 1,
    };
    let refused = matches!(error, inpod_sandbox::Error::Refused { .. });
    let failure = Failure::from(error).with_code(code);
    if refused {
        return failure.and(WITHOUT_SANDBOX);
    }
    failure
}

/// What a program can do that finds its cluster by a kubeconfig.
const WITHOUT_SANDBOX: &str = "Without that: `inpod cluster --kubeconfig FILE` in another terminal, and the program with KUBECONFIG=FILE";
