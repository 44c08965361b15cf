//! What differs from run to run, replaced: by a number in the order of first appearance over the whole case, so that what was equal
//! stays equal, and what differed stays different.

use std::net::SocketAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

macro_rules! regex {
    ($text:expr) => {
        LazyLock::new(|| Regex::new($text).expect("a constant that every test uses"))
    };
}

/// Values that a session knows to be its own, and what stands for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The longest first, so that none is replaced within another.
    hidden: Vec<(String, String)>,
    generated: usize,
    tokens: usize,
    continues: usize,
}

/// What is left of a case's steps once everything of one run is out, and the orders that the replaced had.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    pub(crate) steps: Vec<Value>,
    /// For each distinct resourceVersion of an object, in order of first appearance, how many others are lower.
    pub(crate) versions: Vec<usize>,
    /// For each resourceVersion of a list or a bookmark, how many of the objects' are not higher. Beyond that they are anybody's:
    /// the rest of a cluster writes too.
    pub(crate) collections: Vec<usize>,
    /// Each time that was told, in seconds after the first.
    pub(crate) times: Vec<i64>,
}

impl Known {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut known = Self::default();
        known.hide(&address.to_string(), "‹address›");
        known
    }

    pub(crate) fn hide(&mut self, value: &str, placeholder: &str) {
        if value.is_empty() || self.hidden.iter().any(|(other, _)| other == value) {
            return;
        }
        let at = self
            .hidden
            .partition_point(|(other, _)| other.len() >= value.len());
        self.hidden
            .insert(at, (value.to_owned(), placeholder.to_owned()));
    }

    /// Finds the values that are random by their place: generated names, continue tokens, service-account tokens.
    pub(crate) fn learn(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.learn(value)),
            Value::Object(map) => {
                self.learn_name(map);
                for (key, value) in map {
                    match value {
                        Value::String(text) => self.learn_text(key, text),
                        _ => self.learn(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn learn_name(&mut self, metadata: &Map<String, Value>) {
        let text = |key| metadata.get(key).and_then(Value::as_str);
        if let (Some(prefix), Some(name)) = (text("generateName"), text("name")) {
            self.learn_generated(prefix, name);
        }
    }

    /// Takes `name` for generated, where it begins as it was to.
    pub(crate) fn learn_generated(&mut self, prefix: &str, name: &str) {
        let longer = name.len() > prefix.len();
        if longer && name.starts_with(prefix) && !self.hidden.iter().any(|(other, _)| other == name)
        {
            self.generated += 1;
            self.hide(name, &format!("{prefix}‹{}›", self.generated));
        }
    }

    fn learn_text(&mut self, key: &str, text: &str) {
        let known = self.hidden.iter().any(|(other, _)| other == text);
        if known || text.is_empty() {
            return;
        }
        if key == "continue" {
            self.continues += 1;
            self.hide(text, &format!("‹continue-{}›", self.continues));
        } else if key == "token" && text.split('.').count() == 3 && text.starts_with("eyJ") {
            self.tokens += 1;
            self.hide(text, &format!("‹token-{}›", self.tokens));
        } else if key == "name" && VOLUME.is_match(text) {
            self.generated += 1;
            self.hide(text, &format!("kube-api-access-‹{}›", self.generated));
        }
    }
}

/// Replaces all of it.
pub(crate) fn normal(steps: Vec<Value>, mut known: Known) -> Normal {
    for step in &steps {
        known.learn(step);
    }
    let mut pass = Pass {
        known,
        ..Pass::default()
    };
    for step in &steps {
        pass.number_versions(step, Place::Anywhere);
    }
    let steps = steps
        .into_iter()
        .map(|step| pass.replace(step, Place::Anywhere))
        .collect();
    let first = pass.times.first().copied().unwrap_or_default();
    Normal {
        steps,
        versions: ranks(&pass.versions),
        collections: pass
            .collections
            .iter()
            .map(|at| pass.versions.iter().filter(|other| *other <= at).count())
            .collect(),
        times: pass.times.iter().map(|time| time - first).collect(),
    }
}

#[derive(Default)]
struct Pass {
    known: Known,
    uids: Vec<String>,
    /// Of objects, by first appearance.
    versions: Vec<u64>,
    collections: Vec<u64>,
    /// In seconds since 1970.
    times: Vec<i64>,
}

static UID: LazyLock<Regex> =
    regex!(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
static TIME: LazyLock<Regex> = regex!(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z");
/// What is told of times before is no server's clock: Go's first moment, which stands for a time that was never set, and what cases
/// send.
const OWN_TIMES: &str = "2021";
static CERTIFICATE: LazyLock<Regex> =
    regex!(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\n]*-----END CERTIFICATE-----");
/// Where messages and queries name a resourceVersion.
static VERSION: LazyLock<Regex> = regex!(
    r"(?P<before>(?i:resource ?version)[^0-9]{0,24}|current: |precondition: |meta: )(?P<number>\d+)(?P<newest> \(\d+\))?"
);
/// The place of the table of Go types that a message is about, which is another with each way of building Kubernetes.
static SCHEME: LazyLock<Regex> = regex!(r#"in scheme "[^"]*""#);
static VOLUME: LazyLock<Regex> = regex!(r"^kube-api-access-[a-z0-9]{5}$");

/// Where a value stands, as far as it decides whose resourceVersion one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    /// A list's or a bookmark's metadata: its version is no object's.
    CollectionMetadata,
    /// The object of a bookmark.
    Bookmark,
}

impl Place {
    fn of_element(self) -> Self {
        match self {
            Self::Bookmark => self,
            _ => Self::Anywhere,
        }
    }

    fn within(self, map: &Map<String, Value>, key: &str) -> Self {
        let is = |key: &str, value: &str| map.get(key).is_some_and(|other| other == value);
        match key {
            "metadata" if self == Self::Bookmark => Self::CollectionMetadata,
            // A list, or a Table of one.
            "metadata" if map.contains_key("items") || is("kind", "Table") => {
                Self::CollectionMetadata
            }
            "object" if is("type", "BOOKMARK") => Self::Bookmark,
            // A bookmark as a Table has it in its one row too.
            "rows" | "object" if self == Self::Bookmark => Self::Bookmark,
            _ => Self::Anywhere,
        }
    }
}

impl Pass {
    /// Before any text is replaced: one may name a version that only appears later.
    fn number_versions(&mut self, value: &Value, place: Place) {
        match value {
            Value::Array(values) => {
                for value in values {
                    self.number_versions(value, place.of_element());
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    if let Some(version) = version(key, value) {
                        let of_object = place != Place::CollectionMetadata;
                        if of_object && !self.versions.contains(&version) {
                            self.versions.push(version);
                        }
                    }
                    self.number_versions(value, place.within(map, key));
                }
            }
            _ => {}
        }
    }

    fn replace(&mut self, value: Value, place: Place) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Array(values) => values
                .into_iter()
                .map(|value| self.replace(value, place.of_element()))
                .collect(),
            Value::Object(map) => {
                let places: Vec<_> = map.keys().map(|key| place.within(&map, key)).collect();
                map.into_iter()
                    .zip(places)
                    .map(|((key, value), within)| {
                        let value = match version(&key, &value) {
                            Some(version) if place == Place::CollectionMetadata => {
                                self.collections.push(version);
                                "‹version›".into()
                            }
                            Some(version) => self.version(version).into(),
                            None => self.replace(value, within),
                        };
                        (self.text(&key), value)
                    })
                    .collect::<Map<_, _>>()
                    .into()
            }
            other => other,
        }
    }

    fn version(&self, version: u64) -> String {
        match self.versions.iter().position(|other| *other == version) {
            Some(index) => format!("‹version-{}›", index + 1),
            None => version.to_string(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, placeholder) in &self.known.hidden {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), placeholder);
            }
        }
        let text = CERTIFICATE.replace_all(&text, "‹certificate›");
        let text = UID.replace_all(&text, |found: &Captures<'_>| {
            let uid = &found[0];
            let known = self.uids.iter().position(|other| other == uid);
            let index = known.unwrap_or_else(|| {
                self.uids.push(uid.to_owned());
                self.uids.len() - 1
            });
            format!("‹uid-{}›", index + 1)
        });
        let text = TIME.replace_all(&text, |found: &Captures<'_>| {
            if &found[0] < OWN_TIMES {
                return found[0].to_owned();
            }
            self.times.push(seconds(&found[0]));
            match found.get(1) {
                None => "‹time›".to_owned(),
                Some(_) => "‹microtime›".to_owned(),
            }
        });
        let text = SCHEME.replace_all(&text, "in scheme ‹place›");
        VERSION
            .replace_all(&text, |found: &Captures<'_>| {
                let before = &found["before"];
                let Ok(number) = found["number"].parse() else {
                    return found[0].to_owned();
                };
                let shown = match self.version(number) {
                    // The server's newest is anybody's, unless it is known to be an object's.
                    other if before == "current: " && !other.starts_with('‹') => {
                        "‹version›".to_owned()
                    }
                    shown => shown,
                };
                let newest = found.name("newest").map_or("", |_| " (‹version›)");
                format!("{before}{shown}{newest}")
            })
            .into_owned()
    }
}

/// A resourceVersion that is one: neither "" nor "0", which have meanings of their own, nor something else.
fn version(key: &str, value: &Value) -> Option<u64> {
    if key != "resourceVersion" {
        return None;
    }
    value.as_str()?.parse().ok().filter(|version| *version > 0)
}

fn ranks(versions: &[u64]) -> Vec<usize> {
    versions
        .iter()
        .map(|version| versions.iter().filter(|other| *other < version).count())
        .collect()
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(steps: &[Value]) -> Normal {
        let address = SocketAddr::from(([127, 0, 0, 1], 6443));
        normal(steps.to_vec(), Known::new(address))
    }

    fn object(uid: char, version: &str, time: &str) -> Value {
        let uid = format!("{uid}0000000-0000-4000-8000-000000000000");
        json!({"metadata": {"uid": uid, "resourceVersion": version, "creationTimestamp": time}})
    }

    #[test]
    fn what_was_equal_stays_equal_and_what_differed_differs() {
        let one = of(&[
            object('a', "7", "2026-01-02T03:04:05Z"),
            object('b', "9", "2026-01-02T03:04:06Z"),
            object('a', "8", "2026-01-02T03:04:05Z"),
        ]);
        assert_eq!(one.steps[0]["metadata"]["uid"], "‹uid-1›");
        assert_eq!(one.steps[1]["metadata"]["uid"], "‹uid-2›");
        assert_eq!(one.steps[2]["metadata"]["uid"], "‹uid-1›");
        assert_eq!(one.versions, [0, 2, 1]);
        assert_eq!(one.times, [0, 1, 0]);

        let another_run = of(&[
            object('f', "107", "2027-01-02T03:04:05Z"),
            object('e', "999", "2027-01-02T03:04:06Z"),
            object('f', "888", "2027-01-02T03:04:05Z"),
        ]);
        assert_eq!(one.steps, another_run.steps);
        assert_eq!(one.versions, another_run.versions);
    }

    #[test]
    fn a_version_is_found_in_queries_and_messages_even_before_the_object() {
        let normal = of(&[
            json!({"request": "GET /api/v1/pods?watch=1&resourceVersion=7"}),
            json!({"message": "too old resource version: 7 (9)"}),
            json!({"message": "Too large resource version: 99, current: 12"}),
            object('a', "7", "2026-01-02T03:04:05Z"),
        ]);
        assert_eq!(
            normal.steps[0]["request"],
            "GET /api/v1/pods?watch=1&resourceVersion=‹version-1›"
        );
        assert_eq!(
            normal.steps[1]["message"],
            "too old resource version: ‹version-1› (‹version›)"
        );
        assert_eq!(
            normal.steps[2]["message"],
            "Too large resource version: 99, current: ‹version›"
        );
    }

    #[test]
    fn a_list_is_placed_among_the_objects_and_has_no_number() {
        let list = |version: &str| {
            json!({"metadata": {"resourceVersion": version}, "items": [
                object('a', "7", "2026-01-02T03:04:05Z"), object('b', "9", "2026-01-02T03:04:05Z"),
            ]})
        };
        assert_eq!(of(&[list("9")]).collections, [2]);
        assert_eq!(of(&[list("12")]).collections, [2]);
        assert_eq!(of(&[list("8")]).collections, [1]);
        let bookmark =
            json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}});
        let normal = of(&[list("9"), bookmark]);
        assert_eq!(normal.collections, [2, 1]);
        assert_eq!(
            normal.steps[1]["object"]["metadata"]["resourceVersion"],
            "‹version›"
        );
    }

    #[test]
    fn generated_names_are_replaced_wherever_they_are() {
        let normal = of(&[
            json!({"metadata": {"generateName": "pod-", "name": "pod-x7k2p"}}),
            json!({"message": "pods \"pod-x7k2p\" not found"}),
        ]);
        assert_eq!(normal.steps[1]["message"], "pods \"pod-‹1›\" not found");
    }
}
