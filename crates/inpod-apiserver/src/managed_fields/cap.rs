use std::collections::BTreeMap;

use super::entry::{Entry, UPDATE};

/// The most managers that updated an object and are known by name.
const MOST: usize = 10;
/// What the others are called together, one entry a version.
const BUCKET: &str = "ancient-changes";

/// Joins the oldest entries of updates until there are not too many of them.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let updates = entries.iter().filter(|e| e.operation == UPDATE).count();
    if updates <= MOST {
        return;
    }
    let (updates, mut rest): (Vec<_>, Vec<_>) =
        entries.drain(..).partition(|e| e.operation == UPDATE);
    let mut updates: BTreeMap<String, Entry> =
        updates.into_iter().map(|e| (identifier(&e), e)).collect();
    let mut oldest: Vec<(Option<String>, String)> = updates
        .iter()
        .map(|(id, entry)| (entry.time.clone(), id.clone()))
        .collect();
    oldest.sort_unstable();
    // The first entry of each version becomes its bucket once another one is to join it.
    let mut firsts: BTreeMap<String, String> = BTreeMap::new();
    for (_, id) in oldest {
        if updates.len() <= MOST {
            break;
        }
        let version = updates[&id].api_version.clone();
        let Some(first) = firsts.get(&version) else {
            firsts.insert(version, id);
            continue;
        };
        let bucket = Entry {
            manager: BUCKET.to_owned(),
            subresource: String::new(),
            ..updates[&id].clone()
        };
        let target = identifier(&bucket);
        if !updates.contains_key(&target)
            && let Some(first) = updates.remove(first)
        {
            let set = first.set;
            updates.insert(
                target.clone(),
                Entry {
                    set,
                    ..bucket.clone()
                },
            );
        }
        // Where the bucket itself comes here, being younger than an entry of its version, it is forgotten, as on the real
        // server.
        updates.remove(&id);
        if let Some(into) = updates.get_mut(&target) {
            into.set.extend(bucket.set);
            into.time = bucket.time;
        }
    }
    rest.extend(updates.into_values());
    *entries = rest;
}

/// How the real server tells managers apart, which is how it orders those of one second.
fn identifier(entry: &Entry) -> String {
    let Entry {
        manager,
        api_version,
        subresource,
        ..
    } = entry;
    let subresource = match subresource.as_str() {
        "" => String::new(),
        subresource => format!(r#","subresource":{subresource:?}"#),
    };
    format!(r#"{{"manager":{manager:?},"apiVersion":{api_version:?}{subresource}}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::set::tests::set;
    use super::*;

    fn entry(manager: &str, second: usize, field: &str) -> Entry {
        Entry {
            manager: manager.to_owned(),
            operation: UPDATE.to_owned(),
            api_version: "v1".to_owned(),
            time: Some(format!("2026-01-01T00:00:{second:02}Z")),
            set: set(&json!({ field: {} })),
            subresource: String::new(),
        }
    }

    #[test]
    fn the_oldest_updates_are_joined() {
        let mut entries: Vec<Entry> = (0..12)
            .map(|n| entry(&format!("m{n:02}"), n, &format!("f:{n}")))
            .collect();
        cap(&mut entries);
        assert_eq!(entries.len(), 10);
        let bucket = entries.iter().find(|e| e.manager == BUCKET);
        let bucket = bucket.expect("there is a bucket");
        assert_eq!(
            bucket.set.to_json(),
            json!({"f:0": {}, "f:1": {}, "f:2": {}})
        );
        assert_eq!(bucket.time.as_deref(), Some("2026-01-01T00:00:02Z"));
        assert!(entries.iter().all(|e| e.manager != "m02"));
    }

    #[test]
    fn the_bucket_grows() {
        let mut entries: Vec<Entry> = (0..10)
            .map(|n| entry(&format!("m{n:02}"), n + 1, &format!("f:{n}")))
            .collect();
        entries.push(entry(BUCKET, 0, "f:old"));
        cap(&mut entries);
        assert_eq!(entries.len(), 10);
        let bucket = entries.iter().find(|e| e.manager == BUCKET);
        assert_eq!(
            bucket.expect("there is a bucket").set.to_json(),
            json!({"f:0": {}, "f:old": {}})
        );
    }

    #[test]
    fn appliers_are_never_joined() {
        let mut entries: Vec<Entry> = (0..12)
            .map(|n| Entry {
                operation: super::super::entry::APPLY.to_owned(),
                ..entry(&format!("m{n:02}"), n, "f:a")
            })
            .collect();
        let before = entries.clone();
        cap(&mut entries);
        assert_eq!(entries, before);
    }
}
