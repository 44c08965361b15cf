//! An Event has two forms: core/v1, which is how it is stored, and events.k8s.io/v1, with other names for some fields.

use serde_json::Value;

use crate::schema::Json;

/// The fields after `metadata`, in the order of events.k8s.io/v1: their names there and in core/v1.
const NAMES: [(&str, &str); 14] = [
    ("eventTime", "eventTime"),
    ("series", "series"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
    ("action", "action"),
    ("reason", "reason"),
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("note", "message"),
    ("type", "type"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Rewrites an events.k8s.io/v1 Event into a core/v1 one.
pub(super) fn to_core(event: &mut Json) {
    let mut core = start(event);
    for (new, old) in NAMES {
        if let Some(value) = event.shift_remove(new) {
            core.insert(old.to_owned(), value);
        }
    }
    *event = core;
}

/// Rewrites a core/v1 Event into an events.k8s.io/v1 one.
pub(super) fn from_core(event: &mut Json) {
    let mut new_form = start(event);
    for (new, old) in NAMES {
        let value = event.shift_remove(old).unwrap_or_default();
        // Core writes these two even when they are empty, events.k8s.io does not.
        let omitted = old.starts_with("reporting") && value == "";
        let always = old.ends_with("Time") || old.ends_with("Timestamp");
        if always || !(omitted || value.is_null()) {
            new_form.insert(new.to_owned(), value);
        }
    }
    *event = new_form;
}

fn start(event: &mut Json) -> Json {
    let mut other = Json::new();
    let metadata = event.shift_remove("metadata");
    other.insert(
        "metadata".to_owned(),
        metadata.unwrap_or_else(|| Value::Object(Json::new())),
    );
    other
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn an_event_survives_the_way_to_core_and_back() {
        let event = object(json!({
            "metadata": {"name": "e"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Act",
            "reason": "Because",
            "regarding": {"kind": "Pod", "name": "p"},
            "note": "it happened",
            "type": "Normal",
            "deprecatedSource": {"component": "c"},
            "deprecatedFirstTimestamp": null,
            "deprecatedLastTimestamp": null,
            "deprecatedCount": 2,
        }));
        let mut both = event.clone();
        to_core(&mut both);
        assert_eq!(both["involvedObject"]["name"], "p");
        assert_eq!(both["message"], "it happened");
        assert_eq!(both["reportingComponent"], "example.com/c");
        assert_eq!(both["count"], 2);
        from_core(&mut both);
        assert_eq!(
            Value::Object(both).to_string(),
            Value::Object(event).to_string()
        );
    }

    proptest! {
        #[test]
        fn no_field_of_a_core_event_is_lost(present in proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len())) {
            let mut event = object(json!({"metadata": {"name": "e"}}));
            for (_, core) in present {
                event.insert(core.to_owned(), json!({"field": core}));
            }
            let mut both = event.clone();
            from_core(&mut both);
            to_core(&mut both);
            both.retain(|_, value| !value.is_null());
            prop_assert_eq!(both, event);
        }
    }

    #[test]
    fn the_empty_reporter_of_a_core_event_is_left_out() {
        let mut event =
            object(json!({"metadata": {}, "reportingComponent": "", "reportingInstance": ""}));
        from_core(&mut event);
        assert!(!event.contains_key("reportingController"));
        assert!(event.contains_key("eventTime"));
    }
}
