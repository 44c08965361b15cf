//! A controller as kube-runtime has them: it keeps a copy of each ConfigMap that asks for one.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::wait::{Condition, await_condition};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _, ResourceExt as _};

use crate::Outcome;

/// The label that asks for a copy.
const COPY: &str = "copy";

/// The copy comes, follows its source, and comes again once somebody deletes it.
pub async fn operation(client: &Client) -> Outcome {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let controller = Controller::new(maps.clone(), watcher::Config::default().labels(COPY))
        .owns(maps.clone(), watcher::Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(client.clone()),
        )
        .for_each(async |_| ());
    tokio::select! {
        () = controller => Err("the controller ended".into()),
        outcome = exercise(&maps) => outcome,
    }
}

async fn exercise(maps: &Api<ConfigMap>) -> Outcome {
    let mut source = ConfigMap {
        metadata: ObjectMeta {
            name: Some("source".into()),
            labels: Some([(COPY.into(), "please".into())].into()),
            ..ObjectMeta::default()
        },
        data: Some([("key".into(), "first".into())].into()),
        ..ConfigMap::default()
    };
    source = maps.create(&PostParams::default(), &source).await?;
    let copy = await_condition(maps.clone(), "source-copy", holds("first")).await?;

    source
        .data
        .get_or_insert_default()
        .insert("key".into(), "second".into());
    maps.replace("source", &PostParams::default(), &source)
        .await?;
    await_condition(maps.clone(), "source-copy", holds("second")).await?;

    maps.delete("source-copy", &DeleteParams::default()).await?;
    let old = copy.and_then(|copy| copy.uid());
    let again = move |map: Option<&ConfigMap>| map.is_some_and(|map| map.uid() != old);
    await_condition(maps.clone(), "source-copy", again).await?;
    Ok(())
}

fn holds(value: &'static str) -> impl Condition<ConfigMap> {
    move |map: Option<&ConfigMap>| map.is_some_and(|map| crate::value(map, "key") == Some(value))
}

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Commit(#[from] kube::api::entry::CommitError),
}

async fn reconcile(source: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, ReconcileError> {
    let maps: Api<ConfigMap> = Api::namespaced(
        client.as_ref().clone(),
        &source.namespace().unwrap_or_default(),
    );
    maps.entry(&format!("{}-copy", source.name_any()))
        .await?
        .or_insert(ConfigMap::default)
        .and_modify(|copy| {
            copy.metadata.owner_references =
                source.controller_owner_ref(&()).map(|owner| vec![owner]);
            copy.data.clone_from(&source.data);
        })
        .commit(&PostParams::default())
        .await?;
    Ok(Action::await_change())
}
