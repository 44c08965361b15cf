//! Reads kubeconfig files, for use outside a Pod: as much of the format as names a server, trust and an identity that is written
//! down. What would need more is refused by its name, never passed over.

mod file;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inpod::{Config, ConfigBuilder};

use file::{Cluster, Context, Entry, User};

/// Why a kubeconfig cannot be used. Never quotes the file: it holds credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is not a kubeconfig: {at}", path.display())]
    Parse { path: PathBuf, at: String },
    #[error("there is no kubeconfig: {} not found; set KUBECONFIG or say --kubeconfig FILE", list(.0))]
    NoFile(Vec<PathBuf>),
    #[error("no context is chosen in {}: {}", list(files), choice(contexts))]
    NoCurrentContext {
        files: Vec<PathBuf>,
        contexts: Vec<String>,
    },
    #[error(
        "there is no {kind} {name:?} in {}: it has {}",
        list(files),
        names(known)
    )]
    Missing {
        kind: &'static str,
        name: String,
        files: Vec<PathBuf>,
        known: Vec<String>,
    },
    #[error("{kind} {name:?} of the kubeconfig {what}")]
    Unusable {
        kind: &'static str,
        name: String,
        what: String,
    },
}

/// Reads `files`, of which the first that names a thing wins, and takes from them what `context`, or else the first
/// `current-context`, says.
///
/// Files that are not there are passed over, as kubectl does with those of `KUBECONFIG`, unless none is there.
pub(crate) fn load(files: &[PathBuf], context: Option<&str>) -> Result<ConfigBuilder, Error> {
    let mut merged = Merged::default();
    for path in files {
        match fs::read_to_string(path) {
            Ok(text) => merged.add(path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                let path = path.clone();
                return Err(Error::Read { path, source });
            }
        }
    }
    if merged.files.is_empty() {
        return Err(Error::NoFile(files.to_vec()));
    }
    merged.select(context)
}

/// A named thing, and the folder that its relative paths start from.
struct Named<T> {
    /// `cluster`, `user` or `context`.
    kind: &'static str,
    name: String,
    folder: PathBuf,
    value: T,
}

#[derive(Default)]
struct Merged {
    files: Vec<PathBuf>,
    current_context: Option<String>,
    clusters: Vec<Named<Cluster>>,
    users: Vec<Named<User>>,
    contexts: Vec<Named<Context>>,
}

impl Merged {
    fn add(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let file = file::parse(text).map_err(|at| Error::Parse {
            path: path.to_owned(),
            at,
        })?;
        self.files.push(path.to_owned());
        self.current_context = self
            .current_context
            .take()
            .or(file.current_context.filter(|name| !name.is_empty()));
        let folder = path.parent().unwrap_or(Path::new(""));
        add_all("cluster", &mut self.clusters, folder, file.clusters, |e| {
            e.cluster
        });
        add_all("user", &mut self.users, folder, file.users, |e| e.user);
        add_all("context", &mut self.contexts, folder, file.contexts, |e| {
            e.context
        });
        Ok(())
    }

    fn select(&self, context: Option<&str>) -> Result<ConfigBuilder, Error> {
        let name =
            context
                .or(self.current_context.as_deref())
                .ok_or_else(|| Error::NoCurrentContext {
                    files: self.files.clone(),
                    contexts: self.contexts.iter().map(|c| c.name.clone()).collect(),
                })?;
        let context = &self.find("context", &self.contexts, name)?.value;
        let cluster = self.find("cluster", &self.clusters, &context.cluster)?;
        let mut builder = cluster.apply(Config::builder())?;
        if !context.user.is_empty() {
            builder = self
                .find("user", &self.users, &context.user)?
                .apply(builder)?;
        }
        let namespace = context.namespace.clone().filter(|name| !name.is_empty());
        Ok(builder.namespace(namespace.unwrap_or_else(|| "default".to_owned())))
    }

    fn find<'a, T>(
        &self,
        kind: &'static str,
        all: &'a [Named<T>],
        name: &str,
    ) -> Result<&'a Named<T>, Error> {
        all.iter()
            .find(|named| named.name == name)
            .ok_or_else(|| Error::Missing {
                kind,
                name: name.to_owned(),
                files: self.files.clone(),
                known: all.iter().map(|named| named.name.clone()).collect(),
            })
    }
}

impl Named<Cluster> {
    fn apply(&self, builder: ConfigBuilder) -> Result<ConfigBuilder, Error> {
        let cluster = &self.value;
        if cluster.insecure_skip_tls_verify {
            return Err(self.unusable(
                "sets insecure-skip-tls-verify: the server is always verified here; give its CA as certificate-authority instead",
            ));
        }
        if cluster
            .proxy_url
            .as_deref()
            .is_some_and(|url| !url.is_empty())
        {
            return Err(self.unusable("sets proxy-url, which is not supported yet"));
        }
        let server = cluster.server.as_deref().unwrap_or_default();
        let server: http::Uri = match server.parse::<http::Uri>() {
            Ok(uri) if uri.scheme().is_some() && uri.host().is_some() => uri,
            _ => {
                return Err(
                    self.unusable("has no server that is a URL, as https://10.0.0.1:6443 is")
                );
            }
        };
        let ca = self.bytes(
            "certificate-authority",
            cluster.certificate_authority.as_deref(),
            cluster.certificate_authority_data.as_deref(),
        )?;
        let mut builder = builder.server(server);
        builder = match ca {
            Some(pem) => builder.ca_pem(pem),
            // What a kubeconfig without a CA means to every client.
            None => builder.system_roots(),
        };
        if let Some(name) = cluster
            .tls_server_name
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            builder = builder.tls_server_name(name);
        }
        Ok(builder)
    }
}

impl Named<User> {
    fn apply(&self, builder: ConfigBuilder) -> Result<ConfigBuilder, Error> {
        let user = &self.value;
        let refused = [
            (user.exec.is_some(), "exec"),
            (user.auth_provider.is_some(), "auth-provider"),
            (user.username.is_some(), "username and password"),
            (
                user.impersonate.is_some()
                    || user.as_uid.is_some()
                    || user.as_groups.is_some()
                    || user.as_user_extra.is_some(),
                "impersonation (as)",
            ),
        ];
        if let Some((_, what)) = refused.iter().find(|(is_set, _)| *is_set) {
            return Err(self.unusable(&format!(
                "uses {what}, which is not supported yet: use a token, a tokenFile or a client certificate"
            )));
        }
        let certificate = self.bytes(
            "client-certificate",
            user.client_certificate.as_deref(),
            user.client_certificate_data.as_deref(),
        )?;
        let key = self.bytes(
            "client-key",
            user.client_key.as_deref(),
            user.client_key_data.as_deref(),
        )?;
        let builder = match (certificate, key) {
            (Some(certificate), Some(key)) => builder.client_certificate_pem(certificate, key),
            (None, None) => builder,
            (Some(_), None) => {
                return Err(self.unusable("has a client-certificate and no client-key"));
            }
            (None, Some(_)) => {
                return Err(self.unusable("has a client-key and no client-certificate"));
            }
        };
        let token = user.token.as_deref().filter(|token| !token.is_empty());
        Ok(match (set(user.token_file.as_deref()), token) {
            (Some(path), _) => builder.token_file(self.folder.join(path)),
            (None, Some(token)) => builder.token(token),
            (None, None) => builder,
        })
    }
}

impl<T> Named<T> {
    fn unusable(&self, what: &str) -> Error {
        Error::Unusable {
            kind: self.kind,
            name: self.name.clone(),
            what: what.to_owned(),
        }
    }

    /// The bytes of a field that is either data or a path; data wins, as in client-go.
    fn bytes(
        &self,
        field: &str,
        path: Option<&Path>,
        data: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let data: String = data.split_ascii_whitespace().collect();
            return match STANDARD.decode(data) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(_) => Err(self.unusable(&format!("has a {field}-data that is not base64"))),
            };
        }
        let Some(path) = set(path) else {
            return Ok(None);
        };
        let path = self.folder.join(path);
        fs::read(&path).map(Some).map_err(|error| {
            let path = path.display();
            self.unusable(&format!(
                "has a {field} that cannot be read: {path}: {error}"
            ))
        })
    }
}

fn add_all<T>(
    kind: &'static str,
    all: &mut Vec<Named<T>>,
    folder: &Path,
    entries: Option<Vec<Entry>>,
    value: impl Fn(Entry) -> Option<T>,
) {
    for entry in entries.into_iter().flatten() {
        let name = entry.name.clone();
        if let Some(value) = value(entry)
            && !all.iter().any(|known| known.name == name)
        {
            let folder = folder.to_owned();
            all.push(Named {
                kind,
                name,
                folder,
                value,
            });
        }
    }
}

fn set(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// What to say where nothing is chosen.
fn choice(contexts: &[String]) -> String {
    if contexts.is_empty() {
        "it has none".to_owned()
    } else {
        format!("say --context NAME, one of {}", names(contexts))
    }
}

fn names(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r"
apiVersion: v1
kind: Config
preferences: {}
current-context: dev
clusters:
- name: dev
  cluster:
    server: http://10.0.0.1:8080
- name: prod
  cluster:
    server: http://prod.example:80/base
contexts:
- {name: dev, context: {cluster: dev, user: me}}
- {name: prod, context: {cluster: prod, user: me, namespace: team}}
users:
- name: me
  user: {}
";

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Loads one file with `text`, and builds what it says.
    fn loaded(text: &str, context: Option<&str>) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "config", text);
        load(&[file], context)
            .map_err(|error| error.to_string())
            .and_then(|builder| builder.build().map_err(|error| error.to_string()))
    }

    fn error(text: &str) -> String {
        loaded(text, None).expect_err(text)
    }

    /// A kubeconfig with one of each, whose cluster and user have these fields.
    fn one(cluster: &str, user: &str) -> String {
        format!(
            "current-context: c\nclusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        )
    }

    #[test]
    fn the_current_context_is_used_unless_another_is_named() {
        let config = loaded(TWO, None).unwrap();
        assert_eq!(config.server().host(), Some("10.0.0.1"));
        assert_eq!(config.namespace(), "default");
        let config = loaded(TWO, Some("prod")).unwrap();
        assert_eq!(config.server().host(), Some("prod.example"));
        assert_eq!(config.namespace(), "team");
    }

    #[test]
    fn of_several_files_the_first_that_names_a_thing_wins() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(
            folder.path(),
            "first",
            "current-context: prod\nclusters: [{name: prod, cluster: {server: 'http://first:1'}}]\nusers: null\n",
        );
        let second = write(folder.path(), "second", TWO);
        let config = load(&[folder.path().join("none"), first, second], None)
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.server().host(), Some("first"));
        assert_eq!(config.namespace(), "team");
    }

    #[test]
    fn paths_start_from_the_files_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "token", "t");
        let text = one(
            "server: 'https://h:1', certificate-authority: ca/none.crt",
            "tokenFile: token",
        );
        let file = write(folder.path(), "config", &text);
        let error = load(&[file], None).expect_err("no CA there").to_string();
        let path = folder.path().join("ca/none.crt");
        assert!(error.contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let server = "server: 'http://h:1'";
        for (text, says) in [
            (
                one(&format!("{server}, insecure-skip-tls-verify: true"), ""),
                "insecure-skip-tls-verify",
            ),
            (
                one(&format!("{server}, proxy-url: 'http://p:1'"), ""),
                "proxy-url",
            ),
            (one(server, "exec: {command: aws}"), "exec"),
            (one(server, "auth-provider: {name: gcp}"), "auth-provider"),
            (one(server, "username: u, password: hush"), "username"),
            (one(server, "as: root"), "impersonation"),
            (one(server, "client-certificate-data: YQ=="), "client-key"),
            (one("server: nonsense", ""), "URL"),
            (one("", ""), "URL"),
            (
                one(&format!("{server}, certificate-authority-data: '%'"), ""),
                "certificate-authority-data",
            ),
        ] {
            let error = error(&text);
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_there_is() {
        let error = loaded(TWO, Some("test")).unwrap_err();
        assert!(error.contains("no context \"test\""), "{error}");
        assert!(error.contains("dev, prod"), "{error}");
        let error = loaded("contexts: []", None).unwrap_err();
        assert!(error.contains("it has none"), "{error}");
        let error = loaded("contexts: [{name: dev, context: {cluster: c}}]", None).unwrap_err();
        assert!(error.contains("--context NAME, one of dev"), "{error}");
        let error = load(&[PathBuf::from("/nowhere/config")], None).expect_err("no file");
        assert!(error.to_string().contains("/nowhere/config"));
    }

    #[test]
    fn an_unreadable_file_is_located_and_not_quoted() {
        for text in [
            "users:\n- name: u\n  user: {token: hush, token: hush2}\n",
            "users:\n- name: u\n  user: {token: [hush]}\n",
            "users: hush",
            "users: [hush\n\t",
        ] {
            let error = error(text);
            assert!(error.contains("line"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
