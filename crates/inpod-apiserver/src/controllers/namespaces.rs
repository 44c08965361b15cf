//! What every namespace has, and how one goes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::local::{Local, Refused, collection};
use super::namespace_conditions::Remaining;
use crate::core::Core;
use crate::registry::json::Fields as _;
use crate::schema::{self, Json, Resource};
use crate::storage::{Lookup as _, Object};
use crate::wire::Door;

pub(super) const ROOT_CA: &str = "kube-root-ca.crt";
/// What the real controller manager writes beside the CA.
const ROOT_CA_DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
    Kubernetes clusters.";

/// Keeps namespaces as they are to be, under the identities that do it in a real cluster.
#[derive(Debug)]
pub(super) struct Namespaces {
    core: Arc<Core>,
    accounts: Local,
    publisher: Local,
    cleaner: Local,
}

/// How far a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    /// There are still objects in a namespace that is being deleted.
    Waiting,
}

impl Namespaces {
    pub(super) fn new(door: &Arc<Door>) -> Self {
        Self {
            core: door.core().clone(),
            accounts: Local::controller(door.clone(), "service-account-controller"),
            publisher: Local::controller(door.clone(), "root-ca-cert-publisher"),
            cleaner: Local::controller(door.clone(), "namespace-controller"),
        }
    }

    /// Does what there is to do in the namespace.
    pub(super) async fn reconcile(&self, name: &str) -> Result<Progress, Refused> {
        let Some(namespace) = self.core.store.get("", "namespaces", "", name) else {
            return Ok(Progress::Done);
        };
        if namespace.deletion_timestamp.is_some() {
            return self.finalize(&namespace).await;
        }
        self.default_account(name).await?;
        self.root_ca(name).await?;
        Ok(Progress::Done)
    }

    async fn default_account(&self, namespace: &str) -> Result<(), Refused> {
        if self
            .core
            .store
            .get("", "serviceaccounts", namespace, "default")
            .is_some()
        {
            return Ok(());
        }
        let account = json!({"metadata": {"name": "default"}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.accounts.create(&path, &account).await
    }

    async fn root_ca(&self, namespace: &str) -> Result<(), Refused> {
        let mut map = json!({
            "metadata": {
                "name": ROOT_CA,
                "annotations": {"kubernetes.io/description": ROOT_CA_DESCRIPTION},
            },
            "data": {"ca.crt": self.core.ca_pem},
        });
        let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
        let Some(current) = self.core.store.get("", "configmaps", namespace, ROOT_CA) else {
            return self.publisher.create(&collection, &map).await;
        };
        let mut value = current.value();
        let annotations = &value["metadata"]["annotations"];
        let description = annotations["kubernetes.io/description"].as_str();
        // Another description is somebody's own.
        let described = description.is_some_and(|text| !text.is_empty());
        if value.get("data") == map.get("data") && described {
            return Ok(());
        }
        value["metadata"]["annotations"]["kubernetes.io/description"] = ROOT_CA_DESCRIPTION.into();
        value.put("data", map["data"].take());
        self.publisher
            .replace(&format!("{collection}/{ROOT_CA}"), &Value::Object(value))
            .await
    }

    /// Deletes what is in the namespace, Pods first (KEP-5080: what protects them goes only after them), then lets it go.
    async fn finalize(&self, namespace: &Object) -> Result<Progress, Refused> {
        let name = &namespace.name;
        let (pods, others): (Vec<_>, Vec<_>) = schema::resources()
            .iter()
            .filter(|r| r.namespaced && r.verbs.contains(&"deletecollection"))
            // Of the versions of one object, one is enough.
            .filter(|r| r.storage == (r.group, r.name))
            .partition(|r| r.group.is_empty() && r.name == "pods");
        for resource in pods {
            let left = self.clear(resource, name).await?;
            if !left.is_empty() {
                // Of what comes after the Pods, nothing is known yet.
                self.tell(name, &Remaining::default()).await;
                return Ok(Progress::Waiting);
            }
        }
        let mut remaining = Remaining::default();
        let mut done = true;
        for resource in others {
            for object in self.clear(resource, name).await? {
                remaining.add(resource.name, resource.group, &object);
                done = false;
            }
        }
        self.tell(name, &remaining).await;
        if !done {
            return Ok(Progress::Waiting);
        }
        let Some(namespace) = self.core.store.get("", "namespaces", "", name) else {
            return Ok(Progress::Done);
        };
        let mut value = namespace.value();
        let spec = value
            .entry("spec")
            .or_insert_with(|| Value::Object(Json::new()));
        let finalizers = spec["finalizers"].as_array().cloned().unwrap_or_default();
        spec["finalizers"] = finalizers
            .into_iter()
            .filter(|finalizer| finalizer != "kubernetes")
            .collect();
        self.cleaner
            .replace(
                &format!("/api/v1/namespaces/{name}/finalize"),
                &Value::Object(value),
            )
            .await?;
        Ok(Progress::Done)
    }

    /// Writes into the namespace's status what it waits for, where that is new. The deletion goes on without, too.
    async fn tell(&self, name: &str, remaining: &Remaining) {
        let Some(namespace) = self.core.store.get("", "namespaces", "", name) else {
            return;
        };
        let mut value = namespace.value();
        let old = value.list("status.conditions");
        let now = self.core.source.timestamp();
        let Some(conditions) = remaining.conditions(old, &now) else {
            return;
        };
        value.put("status.conditions", conditions);
        let path = format!("/api/v1/namespaces/{name}/status");
        if let Err(refused) = self.cleaner.replace(&path, &Value::Object(value)).await {
            tracing::warn!(%refused, "a namespace's status could not be written");
        }
    }

    /// Deletes the objects of one resource, and answers those that are still there.
    async fn clear(
        &self,
        resource: &Resource,
        namespace: &str,
    ) -> Result<Vec<Arc<Object>>, Refused> {
        let list = || {
            self.core
                .store
                .list(resource.group, resource.name, Some(namespace))
        };
        let objects = list();
        if objects.is_empty() {
            return Ok(objects);
        }
        let collection = collection(resource, namespace);
        if objects.iter().any(|o| o.deletion_timestamp.is_none()) {
            self.cleaner.delete(&collection, None).await?;
        }
        // A Pod's grace is its node's to enforce; where nobody does, it ends here once it is over.
        let now = self.core.source.timestamp();
        let at_once = json!({"gracePeriodSeconds": 0});
        for object in list() {
            let over = object
                .deletion_timestamp
                .as_ref()
                .is_some_and(|end| *end <= now);
            if over {
                self.cleaner
                    .delete(&format!("{collection}/{}", object.name), Some(&at_once))
                    .await?;
            }
        }
        Ok(list())
    }
}
