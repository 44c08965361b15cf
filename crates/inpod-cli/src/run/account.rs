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

    /// Binds the account to ClusterRoles in the whole cluster, and to roles in its namespace.
    pub(super) async fn bind(
        &self,
        client: &Client,
        cluster_roles: &[String],
        roles: &[String],
    ) -> Result<(), Failure> {
        for role in cluster_roles {
            if !exists(client, &cluster_role(role)).await? {
                return Err(Failure::new(format!(
                    "--cluster-role {role}: the cluster has no ClusterRole \"{role}\" (try view, edit, admin, cluster-admin, or load one with -f)"
                )));
            }
            let path = format!("{RBAC}/clusterrolebindings");
            self.create_binding(client, "ClusterRoleBinding", &path, "ClusterRole", role)
                .await?;
        }
        for role in roles {
            let namespace = &self.namespace;
            let kind = if exists(
                client,
                &format!("{RBAC}/namespaces/{namespace}/roles/{role}"),
            )
            .await?
            {
                "Role"
            } else if exists(client, &cluster_role(role)).await? {
                "ClusterRole"
            } else {
                return Err(Failure::new(format!(
                    "--role {role}: there is no Role \"{role}\" in the namespace {namespace}, and no ClusterRole of that name (load one with -f)"
                )));
            };
            let path = format!("{RBAC}/namespaces/{namespace}/rolebindings");
            self.create_binding(client, "RoleBinding", &path, kind, role)
                .await?;
        }
        Ok(())
    }

    async fn create_binding(
        &self,
        client: &Client,
        kind: &str,
        path: &str,
        role_kind: &str,
        role: &str,
    ) -> Result<(), Failure> {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": format!("inpod:{}:{}:{role_kind}:{role}", self.namespace, self.name).to_lowercase()},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": self.namespace, "name": self.name}],
        });
        unless_there(client.create::<_, Value>(path, &binding).await)
    }
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn cluster_role(name: &str) -> String {
    format!("{RBAC}/clusterroles/{name}")
}

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
