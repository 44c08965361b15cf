//! How long ago something was, as kubectl's AGE column says it.

use serde_json::Value;

use crate::registry::json::Fields as _;
use crate::schema::Json;

/// The age of an object: what `translateTimestampSince` makes of its creationTimestamp.
pub(crate) fn age(object: &Json, now: i64) -> Value {
    since(object.text("metadata.creationTimestamp"), now).into()
}

/// How long `timestamp` (RFC 3339) is before `now` (seconds since 1970).
pub(crate) fn since(timestamp: &str, now: i64) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(then) => human_duration(now - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// `k8s.io/apimachinery/pkg/util/duration.HumanDuration`: two or three significant digits, in the largest units.
fn human_duration(seconds: i64) -> String {
    /// The larger unit, then the smaller one where it is not 0.
    fn two(large: i64, large_unit: char, small: i64, small_unit: char) -> String {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    }
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        // Clocks of two machines differ a little: one second into the future is now.
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, 'd', hours % 24, 'h'),
        _ if days < 2 * 365 => format!("{days}d"),
        _ if days < 8 * 365 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rounded_as_kubectl_rounds_them() {
        let (minute, hour, day, year) = (60, 3600, 86400, 365 * 86400);
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (9 * minute + 59, "9m59s"),
            (10 * minute + 59, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (3 * hour + minute, "3h1m"),
            (8 * hour + minute, "8h"),
            (47 * hour, "47h"),
            (2 * day, "2d"),
            (7 * day + hour, "7d1h"),
            (8 * day + hour, "8d"),
            (2 * year + 3 * day, "2y3d"),
            (9 * year + 3 * day, "9y"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }

    #[test]
    fn an_object_without_a_timestamp_has_no_age() {
        assert_eq!(age(&Json::new(), 0), "<unknown>");
        assert_eq!(since("1970-01-01T00:00:05Z", 65), "60s");
    }
}
