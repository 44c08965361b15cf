//! `resource.Quantity` in its canonical form.

/// The reasons for which Go refuses a quantity.
pub(super) const FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC: &str = "unable to parse numeric part of quantity";
const SUFFIX: &str = "unable to parse quantity's suffix";

/// The most digits that Go computes with as an `int64`.
const INT64_DIGITS: usize = 18;
/// The exponent of the smallest part that is kept.
const NANO: i32 = -9;
const MAX: u128 = i64::MAX as u128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    /// `1e3`.
    Exponent,
    Binary,
}

/// `text` as Go writes it after having read it: `1000m` is `1`, `0.5` is `500m`, `1024Ki` is `1Mi`.
///
/// Go keeps some spellings as they came although they are not canonical (`1.500`, `+1`), and so does this. Numbers of more
/// than 38 digits are refused, where Go has no limit.
///
/// # Errors
/// Go's sentence about what is wrong.
pub(super) fn canonical(text: &str) -> Result<String, &'static str> {
    if text == "0" {
        return Ok("0".into());
    }
    let parts = Parts::split(text)?;
    let (format, exponent) = suffix(parts.suffix).ok_or(SUFFIX)?;
    let (whole, fraction) = (parts.whole, parts.fraction);
    let digits = whole.len() + fraction.len();
    let places = i32::try_from(fraction.len()).map_err(|_| NUMERIC)?;

    // Go's fast path, which alone keeps spellings.
    let in_int64 = match format {
        Format::Binary if fraction.is_empty() => {
            let whole = i32::try_from(whole.len()).map_err(|_| NUMERIC)?;
            15 - whole - exponent * 3 / 10 > 0
        }
        Format::Binary => false,
        _ => digits <= INT64_DIGITS && exponent.saturating_sub(places) >= NANO,
    };
    let shifted = format!("{whole}{fraction}");
    let Ok(number) = shifted.parse::<u128>() else {
        return match format {
            Format::Binary => Ok(written(parts.negative, base_1024(MAX))),
            _ => Err(NUMERIC),
        };
    };
    if in_int64 {
        let kept = match format {
            Format::Binary => exponent % 10 == 0 && number & 7 != 0,
            _ => {
                (exponent - places) % 3 == 0
                    && !shifted.ends_with("000")
                    && !shifted.starts_with('0')
            }
        };
        if kept {
            return Ok(text.to_owned());
        }
    }
    if number == 0 {
        return Ok("0".into());
    }
    let canonical = match format {
        Format::Binary => binary(number, exponent, places),
        _ => decimal(number, exponent.saturating_sub(places), format),
    };
    Ok(written(parts.negative, canonical?))
}

struct Parts<'a> {
    negative: bool,
    /// Without leading zeros, but for a single one.
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err(FORMAT);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (all, rest) = digits(unsigned);
        let whole = all.trim_start_matches('0');
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => digits(rest),
            None => ("", rest),
        };
        let letters = rest
            .find(|c: char| !"eEinumkKMGTP".contains(c))
            .unwrap_or(rest.len());
        let number = rest[letters..]
            .strip_prefix(['+', '-'])
            .unwrap_or(&rest[letters..]);
        if !digits(number).1.is_empty() {
            return Err(FORMAT);
        }
        Ok(Self {
            negative: text.starts_with('-'),
            whole: if whole.is_empty() { "0" } else { whole },
            fraction,
            suffix: rest,
        })
    }
}

/// The leading digits, and what follows them.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The format and exponent (of 10, or of 2 for [`Format::Binary`]) that a suffix stands for.
fn suffix(suffix: &str) -> Option<(Format, i32)> {
    if let Some(at) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((Format::Decimal, i32::try_from(at).ok()? * 3 + NANO));
    }
    if let Some(at) = BINARY.iter().position(|known| *known == suffix) {
        return (at > 0).then_some((Format::Binary, i32::try_from(at).ok()? * 10));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Format::Exponent, exponent.parse().ok()?))
}

/// From 10⁻⁹, by thousands.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// From 1, by 1024.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// `number` × 10^`exponent`, rounded up to a nano, with an exponent that is a multiple of 3.
fn decimal(number: u128, exponent: i32, format: Format) -> Result<String, &'static str> {
    let (mut number, mut exponent) = rounded_up(number, exponent, NANO);
    while number % 10 == 0 {
        number /= 10;
        exponent = exponent.checked_add(1).ok_or(NUMERIC)?;
    }
    while exponent % 3 != 0 {
        number = number.checked_mul(10).ok_or(NUMERIC)?;
        exponent -= 1;
    }
    Ok(match format {
        Format::Exponent if exponent != 0 => format!("{number}e{exponent}"),
        Format::Exponent => number.to_string(),
        _ => {
            // Beyond `E` there is no suffix, and Go writes none.
            let suffix = usize::try_from((exponent - NANO) / 3)
                .ok()
                .and_then(|at| DECIMAL.get(at))
                .unwrap_or(&"");
            format!("{number}{suffix}")
        }
    })
}

/// `number` × 2^`exponent` / 10^`places`; decimal where that is below 1024 or no integer.
fn binary(number: u128, exponent: i32, places: i32) -> Result<String, &'static str> {
    let exponent = u32::try_from(exponent).map_err(|_| NUMERIC)?;
    let Some(scaled) = number.checked_mul(1 << exponent) else {
        return Ok(base_1024(MAX));
    };
    let (mut amount, mut places) = rounded_up(scaled, -places, NANO);
    while places < 0 && amount % 10 == 0 {
        amount /= 10;
        places += 1;
    }
    let one = 10_u128.pow(places.unsigned_abs());
    if amount > MAX.saturating_mul(one) {
        return Ok(base_1024(MAX));
    }
    if places < 0 || amount < 1024 {
        return decimal(amount, places, Format::Decimal);
    }
    Ok(base_1024(amount))
}

fn base_1024(mut number: u128) -> String {
    let mut at = 0;
    while number >= 1024 && number.is_multiple_of(1024) && at + 1 < BINARY.len() {
        number /= 1024;
        at += 1;
    }
    format!("{number}{}", BINARY[at])
}

/// `number` × 10^`exponent` with at least the exponent `least`; what is lost counts as a whole.
fn rounded_up(number: u128, exponent: i32, least: i32) -> (u128, i32) {
    if exponent >= least {
        return (number, exponent);
    }
    let divisor = 10_u128.checked_pow(least.saturating_sub(exponent).unsigned_abs());
    let rounded = divisor.map_or(1, |divisor| number.div_ceil(divisor));
    (rounded, least)
}

fn written(negative: bool, unsigned: String) -> String {
    if negative {
        format!("-{unsigned}")
    } else {
        unsigned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_go_writes_them() {
        let cases = [
            ("0", "0"),
            ("0m", "0"),
            ("-0", "0"),
            ("1", "1"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.5", "1500m"),
            ("1.", "1."),
            (".", "0"),
            ("-", "0"),
            ("m", "0"),
            ("1000E", "1"),
            ("1e1000000", "10e999999"),
            ("001", "001"),
            ("1.500", "1.500"),
            ("+1", "+1"),
            ("-1000m", "-1"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1000k", "1M"),
            ("1e3", "1e3"),
            ("1e4", "10e3"),
            ("1000e3", "1e6"),
            ("1024Ki", "1Mi"),
            ("1Mi", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("64Mi", "64Mi"),
            ("1025Ki", "1025Ki"),
            ("1.1Ki", "1126400m"),
            ("100n", "100n"),
            ("0.1n", "1n"),
            ("1e-10", "1e-9"),
            ("10Ei", "9223372036854775807"),
            ("123456789012345678901", "123456789012345678901"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", FORMAT),
            ("1 Gi", FORMAT),
            ("abc", FORMAT),
            ("1x", FORMAT),
            ("1i", SUFFIX),
            ("1KiB", FORMAT),
            ("1mm", SUFFIX),
            ("..", FORMAT),
            ("1e", SUFFIX),
        ] {
            assert_eq!(canonical(text), Err(reason), "{text}");
        }
    }
}
