//! What a cluster does by itself: default service accounts, `kube-root-ca.crt`, namespace deletion, the `kubernetes` Service,
//! aggregated `ClusterRoles`, garbage collection.
//!
//! Controllers read the store's event log and write through the door, as anybody else does.

mod bootstrap;
mod cluster_roles;
mod garbage;
mod kubernetes;
mod local;
mod namespace_conditions;
mod namespaces;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::storage::{Change, ChangeKind, Lookup as _, Subscription};
use crate::wire::{Door, Drain};
use cluster_roles::ClusterRoles;
use garbage::Garbage;
use kubernetes::KubernetesService;
use local::{Local, Refused};
use namespaces::{Namespaces, Progress};

/// How often to look again at a namespace that something is still in, and where something failed.
const RETRY: Duration = Duration::from_secs(1);

/// The controllers of one server.
#[derive(Debug)]
pub(crate) struct Controllers {
    door: Arc<Door>,
    namespaces: Namespaces,
    service: KubernetesService,
    cluster_roles: ClusterRoles,
    garbage: Garbage,
    changes: Subscription,
    /// The namespaces to look at again after a while.
    unfinished: BTreeSet<String>,
}

impl Controllers {
    /// Gives a new cluster what it begins with.
    ///
    /// # Errors
    /// What was refused: a fault of this crate.
    pub(crate) async fn bootstrap(door: Arc<Door>, address: SocketAddr) -> Result<Self, String> {
        let core = door.core().clone();
        let start = core.store.revision();
        let apiserver = Local::apiserver(door.clone());
        bootstrap::run(&apiserver, &core.source.timestamp())
            .await
            .map_err(|refused| refused.to_string())?;
        let changes = core
            .store
            .subscribe(&[], start)
            .map_err(|error| error.to_string())?;
        let controllers = Self {
            namespaces: Namespaces::new(&door),
            service: KubernetesService::new(&door, address),
            cluster_roles: ClusterRoles::new(&door),
            garbage: Garbage::new(&door),
            changes,
            unfinished: BTreeSet::new(),
            door,
        };
        for namespace in bootstrap::NAMESPACES {
            controllers
                .reconcile(namespace)
                .await
                .map_err(|refused| refused.to_string())?;
        }
        Ok(controllers)
    }

    /// Does what changes ask for, until the server drains.
    pub(crate) async fn run(mut self, drain: Drain) {
        let mut drained = std::pin::pin!(drain.wait());
        let mut retries = tokio::time::interval(RETRY);
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let unfinished = !self.unfinished.is_empty() || self.garbage.is_unfinished();
            let next = tokio::select! {
                () = &mut drained => return,
                changes = self.changes.next() => Some(changes),
                () = std::future::ready(()), if self.garbage.is_queued() => Some(Ok(Vec::new())),
                _ = retries.tick(), if unfinished => None,
            };
            let names = match next {
                Some(Ok(changes)) => {
                    self.follow_roles(&changes).await;
                    for change in &changes {
                        self.garbage.follow(change);
                    }
                    self.concerned(&changes)
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the controllers fell behind and start over");
                    self.start_over()
                }
                None => {
                    self.garbage.retry();
                    std::mem::take(&mut self.unfinished)
                }
            };
            self.round(&names).await;
            self.garbage.collect().await;
        }
    }

    async fn follow_roles(&self, changes: &[Arc<Change>]) {
        let roles = (cluster_roles::GROUP, cluster_roles::RESOURCE);
        if changes.iter().any(|change| change.resource == roles)
            && let Err(refused) = self.cluster_roles.reconcile().await
        {
            // What it conflicted with is a change of its own, after which it is tried again.
            tracing::debug!(%refused, "cannot update an aggregated ClusterRole");
        }
    }

    /// The namespaces that have something to do after `changes`.
    fn concerned(&self, changes: &[Arc<Change>]) -> BTreeSet<String> {
        let concerns = |change: &&Arc<Change>| {
            let name = change.object.name.as_str();
            match change.resource {
                ("", "namespaces") => true,
                ("", "configmaps") if name == namespaces::ROOT_CA => true,
                ("", "serviceaccounts") if name == "default" => change.kind == ChangeKind::Deleted,
                ("", "services") | ("discovery.k8s.io", "endpointslices")
                    if name == kubernetes::NAME =>
                {
                    change.kind == ChangeKind::Deleted
                }
                // The last object of a namespace that is being deleted.
                _ => {
                    change.kind == ChangeKind::Deleted
                        && self.unfinished.contains(&change.object.namespace)
                }
            }
        };
        changes
            .iter()
            .filter(concerns)
            .map(|change| match change.resource {
                ("", "namespaces") => change.object.name.clone(),
                _ => change.object.namespace.clone(),
            })
            .collect()
    }

    /// After changes were missed: every namespace and all garbage, from now on.
    fn start_over(&mut self) -> BTreeSet<String> {
        let store = self.door.core().store.clone();
        if let Ok(changes) = store.subscribe(&[], store.revision()) {
            self.changes = changes;
        }
        self.garbage.start_over();
        store
            .list("", "namespaces", None)
            .iter()
            .map(|namespace| namespace.name.clone())
            .collect()
    }

    async fn round(&mut self, names: &BTreeSet<String>) {
        for name in names {
            match self.reconcile(name).await {
                Ok(Progress::Done) => {
                    self.unfinished.remove(name);
                }
                Ok(Progress::Waiting) => {
                    self.unfinished.insert(name.clone());
                }
                Err(refused) => {
                    tracing::warn!(namespace = name, %refused, "will try again");
                    self.unfinished.insert(name.clone());
                }
            }
        }
    }

    async fn reconcile(&self, namespace: &str) -> Result<Progress, Refused> {
        let progress = self.namespaces.reconcile(namespace).await?;
        if namespace == "default" {
            self.service.reconcile().await?;
        }
        Ok(progress)
    }
}
