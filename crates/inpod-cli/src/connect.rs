//! How the subcommands that ask an API server find it.

use std::env;
use std::path::{Path, PathBuf};

use inpod::{Client, Config, ConfigError};

use crate::kubeconfig;

/// Where the kubelet mounts a Pod's credentials.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Flags that choose the API server and the identity. Without them: the Pod's, or outside a Pod that of the kubeconfig.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct Connect {
    /// Use this kubeconfig, in a Pod too
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Use this context of the kubeconfig, in a Pod too
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Take token, ca.crt and namespace from this directory, as in a Pod
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    service_account_dir: Option<PathBuf>,

    /// Ask the API server, or an `inpod proxy`, at this address instead
    #[arg(long, value_name = "URL", value_parser = server)]
    server: Option<http::Uri>,
}

/// Why no API server was found, or none can be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Kubeconfig(#[from] kubeconfig::Error),
    #[error(transparent)]
    Client(#[from] inpod::Error),
}

impl Connect {
    /// A client of the API server that the flags and the surroundings choose.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::new(self.config()?)?)
    }

    fn config(&self) -> Result<Config, Error> {
        let source = self.source(&Surroundings::of_this_process());
        let mut builder = match &source {
            Source::Kubeconfig(files) => kubeconfig::load(files, self.context.as_deref())?,
            Source::Server | Source::Pod => Config::builder(),
        };
        if let Some(server) = &self.server {
            builder = builder.server(server.clone());
        }
        if let Some(directory) = &self.service_account_dir {
            builder = builder.service_account_dir(directory);
        }
        Ok(match source {
            Source::Pod => builder.in_cluster()?,
            Source::Server | Source::Kubeconfig(_) => builder.build()?,
        })
    }

    /// In a Pod its account is used whatever kubeconfig lies about: one that came with an image or a volume must not change who a
    /// Pod is.
    fn source(&self, around: &Surroundings) -> Source {
        let is_plain = |uri: &http::Uri| uri.scheme() == Some(&http::uri::Scheme::HTTP);
        if let Some(file) = &self.kubeconfig {
            Source::Kubeconfig(vec![file.clone()])
        } else if self.context.is_some() {
            Source::Kubeconfig(around.kubeconfigs.clone())
        } else if self.service_account_dir.is_some() {
            Source::Pod
        } else if self.server.as_ref().is_some_and(is_plain) {
            // No credential goes over plain HTTP, so that none is needed.
            Source::Server
        } else if !around.is_pod && around.kubeconfigs.iter().any(|file| file.exists()) {
            Source::Kubeconfig(around.kubeconfigs.clone())
        } else {
            Source::Pod
        }
    }
}

/// What the choice depends on besides the flags.
struct Surroundings {
    is_pod: bool,
    /// The files that kubectl would read.
    kubeconfigs: Vec<PathBuf>,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let kubeconfigs = match env::var_os("KUBECONFIG").filter(|value| !value.is_empty()) {
            Some(files) => env::split_paths(&files)
                .filter(|file| !file.as_os_str().is_empty())
                .collect(),
            None => env::home_dir()
                .map(|home| home.join(".kube/config"))
                .into_iter()
                .collect(),
        };
        Self {
            is_pod: is_set("KUBERNETES_SERVICE_HOST")
                || is_set("INPOD_SERVICE_ACCOUNT_DIR")
                || Path::new(SERVICE_ACCOUNT_TOKEN).exists(),
            kubeconfigs,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Source {
    /// The service-account directory and the environment.
    Pod,
    Kubeconfig(Vec<PathBuf>),
    /// Nothing but the address.
    Server,
}

fn server(text: &str) -> Result<http::Uri, String> {
    match text.parse::<http::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            Ok(uri)
        }
        _ => Err("it must be a URL such as https://10.0.0.1:6443 or http://localhost:8001".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(is_pod: bool) -> Surroundings {
        Surroundings {
            is_pod,
            // A file that is there.
            kubeconfigs: vec![PathBuf::from(env!("CARGO_MANIFEST_PATH"))],
        }
    }

    fn lying_about() -> Source {
        Source::Kubeconfig(around(false).kubeconfigs)
    }

    #[test]
    fn in_a_pod_a_kubeconfig_is_used_only_by_flag() {
        let flags = Connect::default();
        assert_eq!(flags.source(&around(true)), Source::Pod);
        assert_eq!(flags.source(&around(false)), lying_about());
        let flags = Connect {
            context: Some("dev".into()),
            ..Connect::default()
        };
        assert_eq!(flags.source(&around(true)), lying_about());
        let flags = Connect {
            kubeconfig: Some("mine".into()),
            ..Connect::default()
        };
        let mine = Source::Kubeconfig(vec!["mine".into()]);
        assert_eq!(flags.source(&around(true)), mine);
        assert_eq!(flags.source(&around(false)), mine);
    }

    #[test]
    fn outside_a_pod_without_a_kubeconfig_the_pod_is_looked_for() {
        let nothing = Surroundings {
            is_pod: false,
            kubeconfigs: vec![PathBuf::from("/nowhere/config")],
        };
        assert_eq!(Connect::default().source(&nothing), Source::Pod);
    }

    #[test]
    fn a_plain_address_needs_nothing_else() {
        let flags = Connect {
            server: Some(server("http://localhost:8001").unwrap()),
            ..Connect::default()
        };
        assert_eq!(flags.source(&around(true)), Source::Server);
        assert_eq!(flags.source(&around(false)), Source::Server);
    }

    #[test]
    fn a_server_is_a_url() {
        for text in ["localhost:8001", "unix:///run/x", "/run/x.sock", ""] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
