//! Events, which core/v1 and events.k8s.io/v1 serve by different rules.

use serde_json::Value;

use super::{age, column, field, wide};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Events, for one of the two versions that serve them.
pub(super) enum Events {
    /// core/v1, where much is allowed for old clients' sake.
    Core,
    /// events.k8s.io/v1.
    New,
}

impl Strategy for Events {
    fn validate(&self, event: &Json) -> Vec<Cause> {
        let mut causes = self.common_problems(event);
        if matches!(self, Self::New) {
            causes.extend(new_problems(event));
        }
        causes
    }

    fn validate_update(&self, event: &Json, old: &Json) -> Vec<Cause> {
        const FIXED: [&str; 13] = [
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "action",
            "related",
            "reportingController",
            "reportingInstance",
        ];
        if matches!(self, Self::Core) {
            return Vec::new();
        }
        let stored = |name: &'static str| match name {
            "reportingController" => "reportingComponent",
            name => name,
        };
        FIXED
            .iter()
            .flat_map(|name| field::immutable(name, event.at(stored(name)), old.at(stored(name))))
            .collect()
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn fields(&self, event: &Json) -> Vec<(&'static str, String)> {
        let source = match event.text("source.component") {
            "" => event.text("reportingComponent"),
            component => component,
        };
        SELECTABLE
            .iter()
            .flat_map(|&(core, new)| {
                let value = if core == "source" {
                    source
                } else {
                    event.text(core)
                };
                let names = [Some(core), new.filter(|new| *new != core)];
                names
                    .into_iter()
                    .flatten()
                    .map(|name| (name, value.to_owned()))
            })
            .collect()
    }

    fn field_labels(&self) -> &'static [&'static str] {
        const CORE: [&str; 11] = {
            let mut names = [""; 11];
            let mut i = 0;
            while i < names.len() {
                names[i] = SELECTABLE[i].0;
                i += 1;
            }
            names
        };
        const NEW: [&str; 10] = {
            let mut names = [""; 10];
            let mut i = 0;
            while i < names.len() {
                if let Some(name) = SELECTABLE[i].1 {
                    names[i] = name;
                }
                i += 1;
            }
            names
        };
        match self {
            Self::Core => &CORE,
            Self::New => &NEW,
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            column("Last Seen"),
            column("Type"),
            column("Reason"),
            column("Object"),
            wide("Subobject"),
            wide("Source"),
            column("Message"),
            wide("First Seen"),
            wide("Count"),
            Column {
                priority: 1,
                ..Column::NAME
            },
        ];
        COLUMNS
    }

    fn cells(&self, event: &Json, now: i64) -> Vec<Value> {
        let first = match event.text("firstTimestamp") {
            "" => age::since(event.text("eventTime"), now),
            time => age::since(time, now),
        };
        let mut last = match event.text("lastTimestamp") {
            "" => first.clone(),
            time => age::since(time, now),
        };
        let mut count = event.int("count").filter(|count| *count != 0).unwrap_or(1);
        if let Some(series) = event.map("series") {
            last = age::since(series.text("lastObservedTime"), now);
            count = series.int("count").unwrap_or_default();
        }
        vec![
            last.into(),
            event.text("type").into(),
            event.text("reason").into(),
            target(event).into(),
            event.text("involvedObject.fieldPath").into(),
            source(event).into(),
            event.text("message").trim().into(),
            first.into(),
            count.into(),
            super::name(event),
        ]
    }
}

/// What field selectors may name: in core/v1, where it is stored, and in events.k8s.io/v1 (all but the last).
const SELECTABLE: [(&str, Option<&str>); 11] = [
    ("involvedObject.kind", Some("regarding.kind")),
    ("involvedObject.namespace", Some("regarding.namespace")),
    ("involvedObject.name", Some("regarding.name")),
    ("involvedObject.uid", Some("regarding.uid")),
    ("involvedObject.apiVersion", Some("regarding.apiVersion")),
    (
        "involvedObject.resourceVersion",
        Some("regarding.resourceVersion"),
    ),
    ("involvedObject.fieldPath", Some("regarding.fieldPath")),
    ("reason", Some("reason")),
    ("reportingComponent", Some("reportingController")),
    ("type", Some("type")),
    ("source", None),
];

impl Events {
    /// What both versions ask for; more of it where the event has an `eventTime`, which only new clients set.
    fn common_problems(&self, event: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let namespace = event.text("metadata.namespace");
        let of = event.text("involvedObject.namespace");
        let old_form = event.is_empty_at("eventTime");
        let agrees = match (of, old_form) {
            ("", true) => matches!(namespace, "" | "default"),
            ("", false) => matches!(namespace, "default" | "kube-system"),
            (of, true) => of == namespace,
            (_, false) => true,
        };
        if !agrees {
            let detail = "does not match event.namespace";
            causes.push(field::invalid("involvedObject.namespace", of, detail));
        }
        if old_form {
            return causes;
        }
        let reporter = match self {
            Self::Core => "reportingComponent",
            Self::New => "reportingController",
        };
        for (name, stored, limit) in [
            (reporter, "reportingComponent", usize::MAX),
            ("reportingInstance", "reportingInstance", 128),
            ("action", "action", 128),
            ("reason", "reason", 128),
            ("message", "message", 1024),
        ] {
            let value = event.text(stored);
            if value.is_empty() && name != "message" {
                causes.push(field::required(name, ""));
            }
            if value.len() > limit {
                let detail = format!("can have at most {limit} characters");
                causes.push(field::invalid(name, "", &detail));
            }
        }
        causes
    }
}

/// What events.k8s.io/v1 asks for beyond that.
fn new_problems(event: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(series) = event.map("series") {
        if series.int("count").unwrap_or_default() < 2 {
            causes.push(field::invalid("series.count", "", "should be at least 2"));
        }
        if series.is_empty_at("lastObservedTime") {
            causes.push(field::required("series.lastObservedTime", ""));
        }
    }
    if event.is_empty_at("eventTime") {
        causes.push(field::required("eventTime", ""));
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(field::invalid(
            "type",
            "",
            &format!("has invalid value: {kind}"),
        ));
    }
    for old in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if !event.is_empty_at(old) && event.int(old) != Some(0) {
            causes.push(field::invalid(old, "", "needs to be unset"));
        }
    }
    causes
}

fn target(event: &Json) -> String {
    let kind = event.text("involvedObject.kind").to_lowercase();
    match event.text("involvedObject.name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Json) -> String {
    let first = |paths: [&str; 2]| {
        let texts = paths.map(|path| event.text(path));
        if texts[0].is_empty() {
            texts[1]
        } else {
            texts[0]
        }
    };
    let component = first(["source.component", "reportingComponent"]);
    match first(["source.host", "reportingInstance"]) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn each_version_has_its_own_names_for_selectors() {
        assert!(Events::Core.field_labels().contains(&"involvedObject.name"));
        assert!(Events::Core.field_labels().contains(&"source"));
        assert!(!Events::Core.field_labels().contains(&"regarding.name"));
        assert!(Events::New.field_labels().contains(&"regarding.name"));
        assert!(!Events::New.field_labels().contains(&"source"));
        let event = object(json!({"involvedObject": {"name": "p"}, "reportingComponent": "c"}));
        let fields = Events::Core.fields(&event);
        for name in ["involvedObject.name", "regarding.name"] {
            assert!(fields.contains(&(name, "p".to_owned())), "{name}");
        }
        assert!(fields.contains(&("source", "c".to_owned())));
        assert_eq!(fields.iter().filter(|f| f.0 == "reason").count(), 1);
    }

    #[test]
    fn an_event_lives_where_its_object_does() {
        let mut event = object(json!({
            "metadata": {"namespace": "a"},
            "involvedObject": {"namespace": "b"},
        }));
        assert_eq!(
            Events::Core.validate(&event)[0].message,
            r#"Invalid value: "b": does not match event.namespace"#
        );
        event.put("involvedObject.namespace", "a");
        assert!(Events::Core.validate(&event).is_empty());
        assert!(!Events::New.validate(&event).is_empty());
    }

    #[test]
    fn a_series_has_the_last_word() {
        let event = object(json!({
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "name": "p"},
            "eventTime": "1970-01-01T00:00:00.000000Z",
            "series": {"count": 7, "lastObservedTime": "1970-01-01T00:01:00.000000Z"},
            "type": "Normal", "reason": "R", "message": " m ",
            "reportingComponent": "c", "reportingInstance": "c-1",
        }));
        assert_eq!(
            Events::Core.cells(&event, 90),
            [
                json!("30s"),
                json!("Normal"),
                json!("R"),
                json!("pod/p"),
                json!(""),
                json!("c, c-1"),
                json!("m"),
                json!("90s"),
                json!(7),
                json!("e"),
            ]
        );
    }
}
