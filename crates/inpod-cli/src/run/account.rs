use inpod::{Client, Error};
use serde_json::{Value, json};

use crate::failure::Failure;

/// The service account the process runs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Account {
    /// `[NS/]NAME`, with the namespace of `-n` where it says none.
    pub(super) fn parse(text: &str, namespace: Option<&str>) -> Result<Self, Failure> {
        let (said, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if let (Some(said), Some(namespace)) = (said, namespace)
            && said != namespace
        {
            return Err(Failure::usage(format!(
                "--service-account {text} and --namespace {namespace} name two namespaces; a Pod's account is of its own"
            )));
        }
        let namespace = said.or(namespace).unwrap_or("default");
        if name.is_empty() || name.contains('/') || namespace.is_empty() {
            return Err(Failure::usage(format!(
                "--service-account {text} is not [NAMESPACE/]NAME"
            )));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Creates the namespace where it is missing.
    pub(super) async fn ensure_namespace(&self, client: &Client) -> Result<(), Failure> {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        unless_there(
            client
                .create::<_, Value>("/api/v1/namespaces", &namespace)
                .await,
        )
    }

    /// Creates the account where it is missing; `default` is made by the cluster.
    pub(super) async fn ensure(&self, client: &Client) -> Result<(), Failure> {
        if self.name == "default" {
            return Ok(());
        }
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.name}});
        let path = format!("/api/v1/namespaces/{}/serviceaccounts", self.namespace);
        unless_there(client.create::<_, Value>(&path, &account).await)
    }

    /// Creates the account's binding to a role; [`Binding::delete`] takes it back.
    pub(super) async fn bind(&self, client: &Client, binding: &Binding) -> Result<(), Failure> {
        let role_kind = binding.role_kind(client, &self.namespace).await?;
        let object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": binding.kind,
            "metadata": {"name": binding.name, "labels": {"app.kubernetes.io/managed-by": "inpod"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": binding.role},
            "subjects": [{"kind": "ServiceAccount", "namespace": self.namespace, "name": self.name}],
        });
        unless_there(
            client
                .create::<_, Value>(&binding.collection, &object)
                .await,
        )
    }
}

/// A binding of the account for as long as its Pod: in a cluster that lives on, the account must not keep the rights.
#[derive(Debug)]
pub(super) struct Binding {
    kind: &'static str,
    collection: String,
    name: String,
    role: String,
}

impl Binding {
    /// To a `ClusterRole`, in the whole cluster.
    pub(super) fn in_cluster(namespace: &str, pod: &str, role: &str) -> Self {
        Self {
            kind: "ClusterRoleBinding",
            collection: format!("{RBAC}/clusterrolebindings"),
            name: format!("inpod:{namespace}:{pod}:{role}"),
            role: role.to_owned(),
        }
    }

    /// To a role in the Pod's namespace.
    pub(super) fn in_namespace(namespace: &str, pod: &str, role: &str) -> Self {
        Self {
            kind: "RoleBinding",
            collection: format!("{RBAC}/namespaces/{namespace}/rolebindings"),
            name: format!("inpod:{pod}:{role}"),
            role: role.to_owned(),
        }
    }

    /// The kind of the role: in a namespace a Role, or else a `ClusterRole`.
    async fn role_kind(&self, client: &Client, namespace: &str) -> Result<&'static str, Failure> {
        let role = &self.role;
        if self.kind == "RoleBinding"
            && exists(
                client,
                &format!("{RBAC}/namespaces/{namespace}/roles/{role}"),
            )
            .await?
        {
            return Ok("Role");
        }
        if exists(client, &format!("{RBAC}/clusterroles/{role}")).await? {
            return Ok("ClusterRole");
        }
        Err(Failure::new(if self.kind == "RoleBinding" {
            format!(
                "--role {role}: there is no Role \"{role}\" in the namespace {namespace}, and no ClusterRole of that name (load one with -f)"
            )
        } else {
            format!(
                "--cluster-role {role}: the cluster has no ClusterRole \"{role}\" (try view, edit, admin, cluster-admin, or load one with -f)"
            )
        }))
    }

    pub(super) async fn delete(&self, client: &Client) -> Result<(), Failure> {
        let path = format!("{}/{}", self.collection, self.name);
        super::delete(client, &path, &Value::Null).await
    }
}

/// A role's name as the command line says it: anything that is one segment of a path.
pub(super) fn role_name(text: &str) -> Result<String, String> {
    let odd = |c: char| !c.is_ascii_graphic() || "/%?#".contains(c);
    if matches!(text, "" | "." | "..") || text.contains(odd) {
        return Err("it is not the name of a role".to_owned());
    }
    Ok(text.to_owned())
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

async fn exists(client: &Client, path: &str) -> Result<bool, Failure> {
    match client.get::<Value>(path).await {
        Ok(_) => Ok(true),
        Err(Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unless_there(created: Result<Value, Error>) -> Result<(), Failure> {
    match created {
        Err(Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_segment_of_a_path() {
        for name in ["view", "system:node", "Mine-2"] {
            assert_eq!(role_name(name).as_deref(), Ok(name));
        }
        for name in ["", "..", "a/b", "view?x", "a b", "é", "%2e"] {
            assert!(role_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_account_is_of_the_namespace_it_says() {
        let parse = |text, namespace| {
            Account::parse(text, namespace)
                .map(|account| format!("{}/{}", account.namespace, account.name))
                .map_err(|failure| format!("{failure:?}"))
        };
        assert_eq!(parse("default", None).unwrap(), "default/default");
        assert_eq!(parse("app", Some("team")).unwrap(), "team/app");
        assert_eq!(parse("team/app", None).unwrap(), "team/app");
        assert_eq!(parse("team/app", Some("team")).unwrap(), "team/app");
        assert!(
            parse("team/app", Some("other"))
                .unwrap_err()
                .contains("two namespaces")
        );
        for wrong in ["", "/", "a/", "/b", "a/b/c"] {
            assert!(parse(wrong, None).is_err(), "{wrong:?}");
        }
    }
}
