use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::registry::json::Fields as _;
use crate::registry::options::DeleteOptions;
use crate::registry::validation::{FOREGROUND, ORPHAN};
use crate::registry::{Context, strategy};
use crate::schema::Json;
use crate::source::rfc3339;

const TIMESTAMP: &str = "metadata.deletionTimestamp";
const GRACE: &str = "metadata.deletionGracePeriodSeconds";
const FINALIZERS: &str = "metadata.finalizers";

/// What a deletion does to an object.
pub(super) enum Step {
    /// Nothing: it is on its way already.
    Wait,
    /// It is marked, and somebody else will remove it.
    Mark(Json),
    /// It is marked, for those who watch, and removed at once: a graceful deletion of no seconds.
    MarkAndRemove(Json),
    Remove,
}

/// Decides what to do with an object that is to be deleted, after `rest.BeforeDelete` and the generic registry.
pub(super) fn step(cx: &Context<'_>, mut object: Json, options: &DeleteOptions) -> Step {
    let strategy = strategy(cx.resource);
    let now = cx.core.source.now();
    let begun = object.at(TIMESTAMP).is_some();
    if strategy.is_held(&object) {
        if begun {
            return Step::Wait;
        }
        object.put(TIMESTAMP, rfc3339(now));
        strategy.prepare_delete(&mut object);
        set_finalizers(&mut object, options);
        return Step::Mark(object);
    }

    // A negative period has always been taken for the shortest one.
    let wanted = options
        .grace_period_seconds
        .map(|seconds| if seconds < 0 { 1 } else { seconds });
    // The seconds that are left, where the deletion is graceful.
    let graceful = match object.int(GRACE) {
        Some(running) if begun && running > 0 => match wanted {
            Some(seconds) if seconds < running => {
                shorten(&mut object, now, running, seconds);
                Some(seconds)
            }
            _ => return Step::Wait,
        },
        _ if begun => None,
        _ => strategy.grace_period(&object).map(|default| {
            let seconds = if default > 0 {
                wanted.unwrap_or(default)
            } else {
                0
            };
            object.put(TIMESTAMP, after(&rfc3339(now), seconds));
            object.put(GRACE, seconds);
            bump_generation(&mut object);
            seconds
        }),
    };
    set_finalizers(&mut object, options);
    match graceful {
        Some(0) if object.is_empty_at(FINALIZERS) => return Step::MarkAndRemove(object),
        Some(_) => return Step::Mark(object),
        None => {}
    }
    if object.is_empty_at(FINALIZERS) {
        return Step::Remove;
    }
    if !begun {
        bump_generation(&mut object);
    }
    let now = rfc3339(now);
    // Both are of one form and zone, in which the order of the texts is the order of the times.
    if !begun || object.text(TIMESTAMP) > now.as_str() {
        object.put(TIMESTAMP, now);
    }
    object.put(GRACE, 0);
    Step::Mark(object)
}

/// Moves the end of a running grace period to what a shorter one would have made it, but not into the past.
fn shorten(object: &mut Json, now: SystemTime, running: i64, seconds: i64) {
    let end = after(object.text(TIMESTAMP), seconds - running);
    let now = rfc3339(now);
    if end < now {
        object.put(TIMESTAMP, now);
        object.put(GRACE, seconds.min(1));
    } else {
        object.put(TIMESTAMP, end);
        object.put(GRACE, seconds);
    }
}

/// A timestamp, `seconds` later; the same where it is none.
fn after(timestamp: &str, seconds: i64) -> String {
    timestamp
        .parse::<Timestamp>()
        .ok()
        .and_then(|t| t.checked_add(SignedDuration::from_secs(seconds)).ok())
        .map_or_else(
            || timestamp.to_owned(),
            |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}

fn bump_generation(object: &mut Json) {
    if let Some(generation) = object.int("metadata.generation").filter(|g| *g > 0) {
        object.put("metadata.generation", generation + 1);
    }
}

/// The garbage collector's finalizers, as the options or else the object itself asks for them.
fn set_finalizers(object: &mut Json, options: &DeleteOptions) {
    let old: Vec<String> = object.texts(FINALIZERS).map(str::to_owned).collect();
    let first = old.iter().find(|f| *f == ORPHAN || *f == FOREGROUND);
    let added = match (
        options.orphan_dependents,
        options.propagation_policy.as_deref(),
    ) {
        (Some(orphan), _) => orphan.then_some(ORPHAN),
        (None, Some("Orphan")) => Some(ORPHAN),
        (None, Some("Foreground")) => Some(FOREGROUND),
        (None, Some(_)) => None,
        (None, None) => first.map(String::as_str),
    };
    let mut new: Vec<&str> = old
        .iter()
        .map(String::as_str)
        .filter(|f| *f != ORPHAN && *f != FOREGROUND)
        .collect();
    new.extend(added);
    if new == old {
        return;
    }
    if new.is_empty() {
        object.take(FINALIZERS);
    } else {
        let new: Vec<Value> = new.into_iter().map(Value::from).collect();
        object.put(FINALIZERS, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_grace_period_moves_the_end_but_not_into_the_past() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        let at =
            |seconds| rfc3339(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let shortened = |end, running, seconds| {
            let mut object = Json::new();
            object.put(TIMESTAMP, at(end));
            shorten(&mut object, now, running, seconds);
            (object.text(TIMESTAMP).to_owned(), object.int(GRACE))
        };
        assert_eq!(shortened(1030, 30, 10), (at(1010), Some(10)));
        assert_eq!(shortened(1010, 30, 10), (at(1000), Some(1)));
        assert_eq!(shortened(1010, 30, 0), (at(1000), Some(0)));
    }
}
