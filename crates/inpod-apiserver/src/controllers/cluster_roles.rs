//! `ClusterRoles` that gather the rules of others, such as `admin`, `edit` and `view`, follow what they gather.

use std::sync::Arc;

use serde_json::Value;

use super::local::{Local, Refused};
use crate::auth::outdated_cluster_roles;
use crate::core::Core;
use crate::storage::Lookup as _;
use crate::wire::Door;

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";
pub(super) const RESOURCE: &str = "clusterroles";

/// Keeps gathered rules up to date.
#[derive(Debug)]
pub(super) struct ClusterRoles {
    core: Arc<Core>,
    aggregator: Local,
}

impl ClusterRoles {
    pub(super) fn new(door: &Arc<Door>) -> Self {
        Self {
            core: door.core().clone(),
            aggregator: Local::controller(door.clone(), "clusterrole-aggregation-controller"),
        }
    }

    pub(super) async fn reconcile(&self) -> Result<(), Refused> {
        for (name, rules) in outdated_cluster_roles(&*self.core.store) {
            let Some(role) = self.core.store.get(GROUP, RESOURCE, "", &name) else {
                continue;
            };
            let mut role = role.value();
            role.insert("rules".to_owned(), rules);
            let path = format!("/apis/{GROUP}/v1/{RESOURCE}/{name}");
            self.aggregator.replace(&path, &Value::Object(role)).await?;
        }
        Ok(())
    }
}
