//! `meta/v1` `Time` and `MicroTime`: RFC 3339, kept in UTC.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// `text` in UTC to the second, as Go writes the `Time` that it reads from it; `None` is the zero time.
///
/// # Errors
/// Go's sentence about what is wrong.
pub(super) fn seconds(text: &str) -> Result<Option<String>, String> {
    let layout = "2006-01-02T15:04:05Z07:00";
    parse(text, false).map_err(|problem| problem.sentence(text, layout))
}

/// As [`seconds`], to the microsecond, which `text` must have.
///
/// # Errors
/// As [`seconds`].
pub(super) fn micros(text: &str) -> Result<Option<String>, String> {
    let layout = "2006-01-02T15:04:05.000000Z07:00";
    parse(text, true).map_err(|problem| problem.sentence(text, layout))
}

/// The time of a protobuf `Timestamp`; `None` is the zero time.
///
/// # Errors
/// The year is not one of four digits, which Go could not write either.
pub(super) fn from_unix(seconds: i64, nanos: i32, micros: bool) -> Result<Option<String>, String> {
    let outside = || format!("{seconds} s are outside of the years that can be written");
    let timestamp = jiff::Timestamp::new(seconds, nanos).map_err(|_| outside())?;
    let time = Offset::UTC.to_datetime(timestamp);
    written(time, micros).map_err(|OutsideOfYears| outside())
}

/// What Go's parser stumbles over.
enum Problem<'a> {
    /// The rest of the text, and the element of the layout that it is not.
    Element(&'a str, &'static str),
    OutOfRange(&'static str),
    Extra(&'a str),
}

impl Problem<'_> {
    fn sentence(&self, text: &str, layout: &str) -> String {
        match self {
            Self::Element(rest, element) => {
                format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}")
            }
            Self::OutOfRange(what) => format!("parsing time {text:?}: {what} out of range"),
            Self::Extra(rest) => format!("parsing time {text:?}: extra text: {rest:?}"),
        }
    }
}

fn parse(text: &str, micros: bool) -> Result<Option<String>, Problem<'_>> {
    let mut rest = text;
    let year = number(&mut rest, 4, "2006")?;
    literal(&mut rest, "-")?;
    let month = number(&mut rest, 2, "01")?;
    if !(1..=12).contains(&month) {
        return Err(Problem::OutOfRange("month"));
    }
    literal(&mut rest, "-")?;
    let day = number(&mut rest, 2, "02")?;
    literal(&mut rest, "T")?;
    let hour = ranged(&mut rest, 23, "15", "hour")?;
    literal(&mut rest, ":")?;
    let minute = ranged(&mut rest, 59, "04", "minute")?;
    literal(&mut rest, ":")?;
    let second = ranged(&mut rest, 59, "05", "second")?;
    let nanos = if micros {
        microseconds(&mut rest)? * 1000
    } else {
        skip_fraction(&mut rest);
        0
    };
    let offset = offset(&mut rest)?;
    if !rest.is_empty() {
        return Err(Problem::Extra(rest));
    }
    let date = |value: i32| i8::try_from(value).unwrap_or_default();
    let time = DateTime::new(
        i16::try_from(year).unwrap_or_default(),
        date(month),
        date(day),
        date(hour),
        date(minute),
        date(second),
        nanos,
    )
    .map_err(|_| Problem::OutOfRange("day"))?;
    let utc = time
        .checked_sub(jiff::SignedDuration::from_secs(i64::from(offset)))
        .map_err(|_| Problem::OutOfRange("year"))?;
    written(utc, micros).map_err(|OutsideOfYears| Problem::OutOfRange("year"))
}

/// The year is not one of four digits.
struct OutsideOfYears;

/// `time` in RFC 3339; the zero time is `None`.
fn written(time: DateTime, micros: bool) -> Result<Option<String>, OutsideOfYears> {
    if time == DateTime::constant(1, 1, 1, 0, 0, 0, 0) {
        return Ok(None);
    }
    let (year, month, day) = (time.year(), time.month(), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    if year < 0 {
        return Err(OutsideOfYears);
    }
    let seconds = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    Ok(Some(if micros {
        format!("{seconds}.{:06}Z", time.subsec_nanosecond() / 1000)
    } else {
        seconds + "Z"
    }))
}

fn number<'a>(
    rest: &mut &'a str,
    digits: usize,
    element: &'static str,
) -> Result<i32, Problem<'a>> {
    let parsed = match rest.get(..digits) {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let value = parsed.ok_or(Problem::Element(rest, element))?;
    *rest = &rest[digits..];
    Ok(value)
}

fn ranged<'a>(
    rest: &mut &'a str,
    most: i32,
    element: &'static str,
    name: &'static str,
) -> Result<i32, Problem<'a>> {
    let value = number(rest, 2, element)?;
    if value > most {
        return Err(Problem::OutOfRange(name));
    }
    Ok(value)
}

fn literal<'a>(rest: &mut &'a str, literal: &'static str) -> Result<(), Problem<'a>> {
    *rest = rest
        .strip_prefix(literal)
        .ok_or(Problem::Element(rest, literal))?;
    Ok(())
}

fn microseconds<'a>(rest: &mut &'a str) -> Result<i32, Problem<'a>> {
    let all = *rest;
    let problem = || Problem::Element(all, ".000000");
    *rest = rest.strip_prefix(['.', ',']).ok_or_else(problem)?;
    number(rest, 6, ".000000").map_err(|_| problem())
}

/// A fraction that the layout does not have is read all the same.
fn skip_fraction(rest: &mut &str) {
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
        if digits > 0 {
            *rest = &fraction[digits..];
        }
    }
}

/// Seconds east of UTC.
fn offset<'a>(rest: &mut &'a str) -> Result<i32, Problem<'a>> {
    if let Some(after) = rest.strip_prefix('Z') {
        *rest = after;
        return Ok(0);
    }
    let all = *rest;
    let problem = || Problem::Element(all, "Z07:00");
    let sign = match rest.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(problem()),
    };
    *rest = &rest[1..];
    let hours = number(rest, 2, "Z07:00").map_err(|_| problem())?;
    literal(rest, ":").map_err(|_| problem())?;
    let minutes = number(rest, 2, "Z07:00").map_err(|_| problem())?;
    if hours > 24 {
        return Err(Problem::OutOfRange("time zone offset hour"));
    }
    if minutes > 60 {
        return Err(Problem::OutOfRange("time zone offset minute"));
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_utc_to_the_second() {
        for (text, expected) in [
            ("2026-11-25T01:02:03Z", Some("2026-11-25T01:02:03Z")),
            ("2026-11-25T01:02:03.987Z", Some("2026-11-25T01:02:03Z")),
            ("2026-11-25T01:02:03+02:00", Some("2026-11-24T23:02:03Z")),
            ("2024-02-28T23:30:00-00:30", Some("2024-02-29T00:00:00Z")),
            ("0001-01-01T00:00:00Z", None),
            ("0000-12-31T23:00:00-01:00", None),
        ] {
            assert_eq!(seconds(text), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn micro_times_need_all_six_digits() {
        let text = "2026-11-25T01:02:03.000400Z";
        assert_eq!(micros(text), Ok(Some(text.into())));
        assert_eq!(
            micros("2026-11-25T01:02:03Z").unwrap_err(),
            r#"parsing time "2026-11-25T01:02:03Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#
        );
    }

    #[test]
    fn what_is_no_time_is_refused_with_gos_sentence() {
        for (text, sentence) in [
            (
                "now",
                r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#,
            ),
            (
                "2026-11-25",
                r#"parsing time "2026-11-25" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T""#,
            ),
            (
                "2026-13-25T01:02:03Z",
                r#"parsing time "2026-13-25T01:02:03Z": month out of range"#,
            ),
            (
                "0000-01-01T00:00:00+01:00",
                r#"parsing time "0000-01-01T00:00:00+01:00": year out of range"#,
            ),
            (
                "2026-02-30T01:02:03Z",
                r#"parsing time "2026-02-30T01:02:03Z": day out of range"#,
            ),
            (
                "2026-11-25T01:02:03Zulu",
                r#"parsing time "2026-11-25T01:02:03Zulu": extra text: "ulu""#,
            ),
        ] {
            assert_eq!(seconds(text).unwrap_err(), sentence);
        }
    }

    #[test]
    fn protobuf_times_are_written_alike() {
        let text = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(from_unix(0, 0, false), text("1970-01-01T00:00:00Z"));
        assert_eq!(
            from_unix(1, 2_000, true),
            text("1970-01-01T00:00:01.000002Z")
        );
        assert_eq!(from_unix(-62_135_596_800, 0, false), Ok(None));
        assert!(from_unix(i64::MAX, 0, false).is_err());
    }
}
