//! The embedded cluster, as `inpod cluster` and `inpod run` start it.

use std::net::IpAddr;
use std::time::Duration;

use inpod::{Client, Config};
use inpod_apiserver::{Options, Server};

use crate::failure::Failure;

/// Clients that follow the Kubernetes client requirements re-read the token file once a minute; a token must outlive that by
/// some seconds (kubernetes/community#5580).
const SHORTEST_SAFE_TTL: u64 = 75;

/// What both commands can say about the cluster they start.
#[derive(Debug, clap::Args)]
pub(crate) struct Embedded {
    /// Allow service-account tokens of this many seconds, and refuse them the moment they expire
    ///
    /// By default they live as on a real cluster: at least 600 seconds, and a minute longer than they say. Here at least 2, because the
    /// times in a token are whole seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=4_294_967_296))]
    pub(crate) token_ttl: Option<u64>,
}

/// Starts the embedded cluster on a loopback port; 0 takes a free one. What leads connections to it may be met at `also_at`.
pub(crate) async fn start(
    args: &Embedded,
    port: u16,
    also_at: Option<IpAddr>,
) -> Result<Server, Failure> {
    let mut options = Options::default().port(port);
    if let Some(address) = also_at {
        options = options.also_at(address);
    }
    if let Some(seconds) = args.token_ttl {
        if seconds < SHORTEST_SAFE_TTL {
            warn(&format!(
                "with --token-ttl {seconds}, clients that re-read the token file once a minute will see 401 (below {SHORTEST_SAFE_TTL} s)"
            ));
        }
        options = options.token_ttl(Duration::from_secs(seconds));
    }
    Ok(Server::start(options).await?)
}

/// A client of the embedded cluster with all rights.
pub(crate) fn admin(server: &Server) -> Result<Client, Failure> {
    let url = server.url();
    let url = url
        .parse()
        .map_err(|error| Failure::from(error).while_(format!("the cluster's address {url}")))?;
    let admin = server.admin();
    let config = Config::builder()
        .server(url)
        .ca_pem(server.ca_pem())
        .client_certificate_pem(admin.certificate_pem(), admin.key_pem())
        .namespace("default")
        .build()?;
    Ok(Client::new(config)?)
}

#[expect(
    clippy::print_stderr,
    reason = "a warning for the person at the terminal"
)]
pub(crate) fn warn(message: &str) {
    eprintln!("warning: {message}");
}
