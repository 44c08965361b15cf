use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::registry::json::tests::object;
use crate::schema::type_of;

fn merged(kind: &str, original: Value, patch: Value) -> Result<Value, PatchError> {
    let ty = type_of("", "v1", kind).expect("a kind of the tables");
    merge(ty, object(original), &mut object(patch)).map(Value::Object)
}

fn names(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name})).collect()
}

#[test]
fn items_are_merged_by_their_key_and_new_ones_come_first_unless_an_order_says_otherwise() {
    let before = json!({"secrets": names(&["a", "b", "c"])});
    let after = |patch| {
        merged("ServiceAccount", before.clone(), patch).expect("a patch")["secrets"].clone()
    };
    assert_eq!(
        after(json!({"secrets": names(&["d", "b"])})),
        names(&["d", "a", "b", "c"])
    );
    let order = json!({"$setElementOrder/secrets": names(&["c", "a"])});
    assert_eq!(after(order), names(&["b", "c", "a"]));
    let gone = json!({"secrets": [{"name": "a", "$patch": "delete"}]});
    assert_eq!(after(gone), names(&["b", "c"]));
    let replaced = json!({"secrets": [{"$patch": "replace"}, {"name": "z"}]});
    assert_eq!(after(replaced), names(&["z"]));
}

#[test]
fn what_cannot_be_merged_says_why() {
    let why = |patch| {
        merged("ServiceAccount", json!({"secrets": names(&["a"])}), patch)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        why(json!({"secrets": [{"namespace": "x"}]})),
        "map: map[namespace:x] does not contain declared merge key: name"
    );
    assert_eq!(
        why(json!({"$patch": "other"})),
        "unknown patch type: other in map: map[$patch:other]"
    );
    assert_eq!(
        why(json!({"secrets": ["a"]})),
        "list element types are not identical: [[map[name:a]] [a]]"
    );
}

fn labels() -> impl Strategy<Value = Value> {
    let value = prop_oneof![Just(Value::Null), "[x-z]".prop_map(Value::from)];
    proptest::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn account() -> impl Strategy<Value = Value> {
    let secrets = proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5).prop_shuffle();
    let finalizers = proptest::sample::subsequence(vec!["f", "g", "h"], 0..3).prop_shuffle();
    (secrets, finalizers, labels()).prop_map(|(secrets, finalizers, labels)| {
        json!({"metadata": {"labels": labels, "finalizers": finalizers}, "secrets": names(&secrets)})
    })
}

proptest! {
    #[test]
    fn patching_twice_is_patching_once(before in account(), patch in account()) {
        let once = merged("ServiceAccount", before, patch.clone()).expect("a patch");
        prop_assert_eq!(merged("ServiceAccount", once.clone(), patch).expect("a patch"), once);
    }

    #[test]
    fn all_that_is_named_is_there_in_the_order_of_the_patch(before in account(), patch in account()) {
        let after = merged("ServiceAccount", before.clone(), patch.clone()).expect("a patch");
        let list = |value: &Value| value["secrets"].as_array().cloned().unwrap_or_default();
        let (before, named, after_list) = (list(&before), list(&patch), list(&after));
        let in_patch: Vec<_> = after_list.iter().filter(|item| named.contains(item)).cloned().collect();
        prop_assert_eq!(&in_patch, &named);
        let others: Vec<_> = after_list.iter().filter(|item| !named.contains(item)).cloned().collect();
        let expected: Vec<_> = before.into_iter().filter(|item| !named.contains(item)).collect();
        prop_assert_eq!(others, expected);
        for (label, value) in patch["metadata"]["labels"].as_object().into_iter().flatten() {
            let found = &after["metadata"]["labels"][label];
            prop_assert_eq!(found, value);
        }
    }

    #[test]
    fn no_patch_makes_the_server_panic(
        before in account(), key in "(\\$setElementOrder|\\$deleteFromPrimitiveList|\\$retainKeys|\\$patch)?/?(secrets|metadata)?",
        value in prop_oneof![Just(json!([])), Just(json!([null])), Just(json!([["a"]])), Just(json!("delete")), Just(names(&["a", "a"]))],
        patch in account(),
    ) {
        let mut patch = patch;
        patch[key] = value;
        let _ = merged("ServiceAccount", before, patch);
    }
}
