use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const PODS: ResourceKey = ("", "pods");
const SECRETS: ResourceKey = ("", "secrets");

fn object(namespace: &str, name: &str, label: &str) -> Object {
    let value = json!({"metadata": {"name": name, "namespace": namespace, "labels": {"l": label}}});
    Object::new(value.as_object().expect("an object"), Vec::new())
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.items.iter().map(|o| o.key()).collect()
}

#[test]
fn a_write_made_from_an_older_revision_is_refused() {
    let store = Store::new();
    let first = store
        .apply(PODS, Write::Create(object("n", "a", "1")))
        .expect("created");
    assert_eq!(first.revision, 2);
    let second = store
        .apply(PODS, Write::Update(object("n", "a", "2"), first.revision))
        .expect("updated");
    assert_eq!(
        store.apply(PODS, Write::Update(object("n", "a", "3"), first.revision)),
        Err(StorageError::Stale(second.clone()))
    );
    assert_eq!(
        store.apply(PODS, Write::Delete(first)),
        Err(StorageError::Stale(second.clone()))
    );
    assert_eq!(
        store.apply(PODS, Write::Create(object("n", "a", "3"))),
        Err(StorageError::Exists(second.clone()))
    );
    assert_eq!(store.revision(), second.revision);
    let gone = store.apply(PODS, Write::Delete(second)).expect("deleted");
    assert_eq!(gone.revision, 4);
    assert_eq!(store.get("", "pods", "n", "a"), None);
}

#[test]
fn a_snapshot_is_what_the_map_was_at_its_revision() {
    let store = Store::new();
    let a = store
        .apply(PODS, Write::Create(object("n", "a", "1")))
        .expect("created");
    store
        .apply(PODS, Write::Create(object("n", "b", "1")))
        .expect("created");
    let then = store.revision();
    store
        .apply(PODS, Write::Update(object("n", "a", "2"), a.revision))
        .expect("updated");
    let b = store.get("", "pods", "n", "b").expect("there");
    store.apply(PODS, Write::Delete(b)).expect("deleted");
    store
        .apply(PODS, Write::Create(object("n", "c", "1")))
        .expect("created");

    let old = store
        .snapshot(PODS, Some("n"), None, Some(then))
        .expect("known");
    assert_eq!(names(&old), ["n/a", "n/b"]);
    assert_eq!(old.items[0].labels["l"], "1");
    let new = store.snapshot(PODS, None, None, None).expect("known");
    assert_eq!(names(&new), ["n/a", "n/c"]);
    assert_eq!(
        store
            .snapshot(PODS, None, None, Some(99))
            .map(|s| s.revision),
        Err(StorageError::TooLarge {
            asked: 99,
            current: 6
        })
    );
}

#[test]
fn a_snapshot_starts_where_it_is_told_and_stays_in_its_namespace() {
    let store = Store::new();
    for (namespace, name) in [("a", "x"), ("a", "y"), ("a-b", "x"), ("b", "x")] {
        store
            .apply(PODS, Write::Create(object(namespace, name, "")))
            .expect("created");
    }
    let at =
        |namespace, start| names(&store.snapshot(PODS, namespace, start, None).expect("known"));
    assert_eq!(at(Some("a"), None), ["a/x", "a/y"]);
    assert_eq!(at(Some("a"), Some("a/x\0")), ["a/y"]);
    assert_eq!(at(None, Some("a/y")), ["a/y", "b/x"]);
    assert!(at(Some("a"), Some("z")).is_empty());
    assert_eq!(at(Some("b"), Some("a")), ["b/x"]);
}

#[tokio::test]
async fn a_subscription_loses_nothing_and_wakes() {
    let store = Arc::new(Store::new());
    store
        .apply(PODS, Write::Create(object("n", "a", "1")))
        .expect("created");
    let mut pods = store.subscribe(&[PODS], 1).expect("known");
    let mut all = store.subscribe(&[], 1).expect("known");
    assert_eq!(pods.next().await.expect("known").len(), 1);
    let waiting = tokio::spawn(async move { pods.next().await.map(|c| c[0].revision()) });
    tokio::task::yield_now().await;
    store
        .apply(SECRETS, Write::Create(object("n", "s", "1")))
        .expect("created");
    store
        .apply(PODS, Write::Create(object("n", "b", "1")))
        .expect("created");
    assert_eq!(waiting.await.expect("no panic"), Ok(4));
    assert_eq!(all.take().expect("known").len(), 3);
    assert_eq!(all.revision(), 4);
}

#[test]
fn an_old_revision_expires_but_not_for_a_resource_that_did_not_change() {
    let store = Arc::new(Store::with_history(10));
    let mut quiet = store.subscribe(&[SECRETS], 1).expect("known");
    let mut last = store
        .apply(PODS, Write::Create(object("n", "a", "1")))
        .expect("created");
    for _ in 0..11 {
        last = store
            .apply(PODS, Write::Update(object("n", "a", "1"), last.revision))
            .expect("updated");
    }
    assert_eq!(
        store.subscribe(&[PODS], 1).map(|s| s.revision()),
        Err(StorageError::TooOld {
            asked: 1,
            oldest: 3
        })
    );
    store
        .apply(SECRETS, Write::Create(object("n", "s", "1")))
        .expect("created");
    assert_eq!(quiet.take().map(|c| c.len()), Ok(1));
}

#[test]
fn the_generation_moves_with_its_resources_alone() {
    let store = Store::new();
    let before = store.generation(&[PODS]);
    store
        .apply(SECRETS, Write::Create(object("n", "s", "1")))
        .expect("created");
    assert_eq!(store.generation(&[PODS]), before);
    store
        .apply(PODS, Write::Create(object("n", "a", "1")))
        .expect("created");
    assert_ne!(store.generation(&[PODS, SECRETS]), before);
}

proptest! {
    #[test]
    fn every_kept_revision_can_be_read_again(
        steps in proptest::collection::vec((0..4_usize, 0..3_u8, any::<bool>()), 1..60),
        history in 1..40_usize,
    ) {
        let store = Arc::new(Store::with_history(history));
        let mut watched = store.subscribe(&[PODS], 1).expect("known");
        let mut seen = BTreeMap::new();
        // What the objects were at each revision.
        let mut then = vec![(1, BTreeMap::new())];
        for (i, (name, verb, other)) in steps.into_iter().enumerate() {
            let resource = if other { SECRETS } else { PODS };
            let name = ["a", "b", "c", "d"][name];
            let wish = object("n", name, &i.to_string());
            let current = store.get("", resource.1, "n", name);
            let write = match (verb, current) {
                (_, None) => Write::Create(wish),
                (0, Some(current)) => Write::Delete(current),
                (_, Some(current)) => Write::Update(wish, current.revision),
            };
            store.apply(resource, write).expect("made from what is there");
            let now = store.snapshot(PODS, None, None, None).expect("known");
            let now: BTreeMap<String, Arc<Object>> =
                now.items.into_iter().map(|o| (o.key(), o)).collect();
            then.push((store.revision(), now));
            if verb == 1 && history > 30 {
                follow(&mut seen, &mut watched);
            }
        }
        for (revision, objects) in &then {
            match store.snapshot(PODS, None, None, Some(*revision)) {
                Ok(snapshot) => {
                    let read: Vec<_> = snapshot.items;
                    prop_assert_eq!(&read, &objects.values().cloned().collect::<Vec<_>>());
                }
                Err(error) => {
                    let too_old = matches!(error, StorageError::TooOld { .. });
                    prop_assert!(too_old && then.len() > history);
                }
            }
        }
        if history > then.len() {
            follow(&mut seen, &mut watched);
            prop_assert_eq!(Some(&seen), then.last().map(|(_, objects)| objects));
        }
    }
}

/// Does to `seen` what has happened since.
fn follow(seen: &mut BTreeMap<String, Arc<Object>>, watched: &mut Subscription) {
    for change in watched.take().unwrap_or_default() {
        let key = change.object.key();
        match change.kind {
            ChangeKind::Deleted => seen.remove(&key),
            ChangeKind::Created | ChangeKind::Updated => seen.insert(key, change.object.clone()),
        };
    }
}
