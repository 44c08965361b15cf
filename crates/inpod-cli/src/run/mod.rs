//! `inpod run`: any program, as if in a Pod.
//!
//! The cluster is reached as any cluster would be: through its API, with the crate `inpod`.

mod account;
mod pod;
mod token;
mod view;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use inpod::Client;
use inpod_apiserver::Server;

use crate::failure::Failure;
use crate::{embedded, exit, kubeconfig, manifests};
use account::Account;
use pod::Pod;
use token::Token;

/// Run a program as if in a Pod
///
/// Starts an embedded cluster and runs CMD as a Pod of it: the service account's token, ca.crt and namespace are at
/// /var/run/secrets/kubernetes.io/serviceaccount, the KUBERNETES_* variables are set, kubernetes.default.svc resolves and answers.
/// CMD keeps your user, working directory, terminal, environment and network, and inpod ends as CMD ends. Your own kubeconfig is
/// out of its sight. As an ordinary user, setuid programs (sudo, ping) lose their privilege inside.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Pod's namespace; created in the embedded cluster where it is missing
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// The service account, created in the embedded cluster where it is missing; NS/NAME also says the namespace
    #[arg(long, value_name = "[NS/]NAME", default_value = "default")]
    service_account: String,
    /// Bind the account to this ClusterRole in the whole cluster, for example view, edit, admin, cluster-admin (repeatable)
    #[arg(long = "cluster-role", value_name = "NAME")]
    cluster_roles: Vec<String>,
    /// Bind the account to this role in its namespace: a Role there, or else a ClusterRole (repeatable)
    #[arg(long = "role", value_name = "NAME")]
    roles: Vec<String>,
    /// Load these manifests first: a file, a folder, or - for standard input (repeatable)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    /// The audience of the token; the API server itself by default
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    #[command(flatten)]
    embedded: embedded::Embedded,
    /// Use the cluster of this kubeconfig, not an embedded one
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    // Before any thread is there.
    let signals = inpod_sandbox::block_signals();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;

    let (cluster, prepared) = runtime.block_on(async {
        let cluster = Cluster::open(&args).await?;
        let prepared = Prepared::new(&cluster, &args).await?;
        Ok::<_, Failure>((cluster, prepared))
    })?;

    let command = inpod_sandbox::Command::new(&args.command[0])
        .args(&args.command[1..])
        .signal_mask(signals);
    let ended = inpod_sandbox::spawn(&prepared.view, &command).map_err(not_started);
    let ended = ended.and_then(|sandbox| {
        let sandbox = Arc::new(sandbox);
        runtime.block_on(prepared.pod.running(&cluster.client))?;
        let renewal = runtime.spawn(token::keep_fresh(
            cluster.client.clone(),
            prepared.request,
            prepared.token,
            Arc::clone(&sandbox),
        ));
        let status = sandbox.wait()?;
        renewal.abort();
        Ok(status)
    });

    // The Pod ends with its process, whichever way that went.
    let deleted = runtime.block_on(prepared.pod.delete(&cluster.client));
    runtime.block_on(cluster.close());
    let status = ended?;
    deleted?;
    Ok(exit::like(status))
}

/// The cluster the Pod is of: an embedded one, or another.
struct Cluster {
    client: Client,
    embedded: Option<Server>,
}

impl Cluster {
    async fn open(args: &Args) -> Result<Self, Failure> {
        if let Some(file) = &args.kubeconfig {
            let config =
                kubeconfig::load(std::slice::from_ref(file), args.context.as_deref())?.build()?;
            return Ok(Self {
                client: Client::new(config)?,
                embedded: None,
            });
        }
        let server = embedded::start(&args.embedded, 0).await?;
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

/// All that is made in the cluster before the process starts.
struct Prepared {
    pod: Pod,
    request: token::Request,
    token: Token,
    view: inpod_sandbox::View,
}

impl Prepared {
    async fn new(cluster: &Cluster, args: &Args) -> Result<Self, Failure> {
        let client = &cluster.client;
        let account = Account::parse(&args.service_account, args.namespace.as_deref())?;
        if cluster.embedded.is_some() {
            account.ensure_namespace(client).await?;
        }
        manifests::load(client, &args.filenames, &account.namespace).await?;
        if cluster.embedded.is_some() {
            account.ensure(client).await?;
        }
        account
            .bind(client, &args.cluster_roles, &args.roles)
            .await?;

        let pod = Pod::create(client, &account, &args.command[0]).await?;
        let request = token::Request::new(
            &account,
            &pod,
            args.audience.as_deref(),
            args.embedded.token_ttl,
        );
        let made = async {
            let token = request.send(client).await?;
            let view = view::of(client, &account, &token).await?;
            Ok((token, view))
        };
        match made.await {
            Ok((token, view)) => Ok(Self {
                pod,
                request,
                token,
                view,
            }),
            Err(failure) => {
                // Nothing runs, so nothing may stand for it.
                let _ = pod.delete(client).await;
                Err(failure)
            }
        }
    }
}

/// 127 and 126 as a shell gives them, and 1 for what the sandbox could not do.
fn not_started(error: inpod_sandbox::Error) -> Failure {
    let code = match error {
        inpod_sandbox::Error::NotFound { .. } => 127,
        inpod_sandbox::Error::NotExecutable { .. } => 126,
        _ => 1,
    };
    Failure::from(error).with_code(code)
}
