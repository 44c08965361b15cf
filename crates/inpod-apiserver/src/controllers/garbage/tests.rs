use serde_json::json;

use super::*;
use crate::registry::testing::Server;
use crate::storage::Write;
use crate::wire::Drainer;

#[tokio::test]
async fn what_changed_unseen_is_found_and_what_was_refused_is_tried_again() {
    let core = Arc::new(Server::new().core);
    let (_drainer, drain) = Drainer::new();
    let door = Door::new(core.clone(), ([127, 0, 0, 1], 443).into(), drain);
    let door = Arc::new(door);
    let dependent = json!({"metadata": {
        "name": "a", "namespace": "default", "uid": "a",
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "u"}],
    }});
    let dependent = Object::new(dependent.as_object().expect("an object"), Vec::new());
    core.store
        .apply(("", "configmaps"), Write::Create(dependent))
        .expect("created");

    let mut garbage = Garbage::new(&door);
    garbage.start_over();
    assert!(garbage.is_queued());
    garbage.collect().await;
    // This store has no role that the collector would be bound to.
    assert!(garbage.is_unfinished());

    garbage.collector = Local::apiserver(door);
    garbage.retry();
    garbage.collect().await;
    assert!(!garbage.is_unfinished() && !garbage.is_queued());
    assert_eq!(core.store.get("", "configmaps", "default", "a"), None);
}
