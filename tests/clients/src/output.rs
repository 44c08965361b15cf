//! What the programs print, as operations and how they went.

use crate::Outcome;

/// The longest reason that is kept, in characters.
const REASON: usize = 200;

/// `ok NAME` and `failed NAME: reason`, one a line; other lines are the client's own chatter.
pub(crate) fn lines(text: &str) -> Vec<(String, Outcome)> {
    text.lines()
        .filter_map(|line| {
            if let Some(name) = line.strip_prefix("ok ") {
                return Some((name.trim().to_owned(), Outcome::Passed));
            }
            let (name, reason) = line.strip_prefix("failed ")?.split_once(':')?;
            Some((name.trim().to_owned(), Outcome::Failed(short(reason))))
        })
        .collect()
}

/// The output of Rust's own test harness; by name, because tests that run at once end in any order.
pub(crate) fn libtest(crate_name: &str, printed: &str) -> Vec<(String, Outcome)> {
    let mut tests: Vec<_> = printed
        .lines()
        .filter_map(|line| {
            let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
            let outcome = match result.trim() {
                "ok" => Outcome::Passed,
                _ => Outcome::Failed(short(&failure(test, printed))),
            };
            let name = test.rsplit("::").next().unwrap_or(test);
            Some((format!("{crate_name}'s own test {name}"), outcome))
        })
        .collect();
    tests.sort_by(|(first, _), (second, _)| first.cmp(second));
    tests
}

/// What a test said: its error, or what it panicked with.
fn failure(test: &str, printed: &str) -> String {
    let heading = format!("---- {test} stdout ----");
    let mut said = printed
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("---- "))
        .skip_while(|line| !line.starts_with("Error: ") && !line.contains(" panicked at "));
    match said.next() {
        Some(line) if line.starts_with("Error: ") => line["Error: ".len()..].to_owned(),
        Some(_) => said.next().unwrap_or_default().to_owned(),
        None => "no reason given".to_owned(),
    }
}

/// On one line, and not too long.
pub(crate) fn short(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(REASON) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str) -> Outcome {
        Outcome::Failed(reason.to_owned())
    }

    #[test]
    fn chatter_is_no_operation() {
        let text = "I1125 leading\nok get --watch\nfailed edit: 415: no such\nokay\nfailed\n";
        assert_eq!(
            lines(text),
            [
                ("get --watch".to_owned(), Outcome::Passed),
                ("edit".to_owned(), failed("415: no such")),
            ]
        );
    }

    #[test]
    fn a_failed_test_gives_its_error_or_its_panic() {
        let text = "running 3 tests\ntest a::good ... ok\ntest a::error ... FAILED\ntest a::panics ... FAILED\n\nfailures:\n\n\
                    ---- a::error stdout ----\nsome output\nError: Api(Status)\n\n\
                    ---- a::panics stdout ----\n\nthread 'a::panics' (3) panicked at src/lib.rs:1:1:\nit is wrong\nstack backtrace:\n";
        assert_eq!(
            libtest("kube", text),
            [
                ("kube's own test error".to_owned(), failed("Api(Status)")),
                ("kube's own test good".to_owned(), Outcome::Passed),
                ("kube's own test panics".to_owned(), failed("it is wrong")),
            ]
        );
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(short("a\n  b"), "a b");
        assert_eq!(short(&"é".repeat(300)).chars().count(), REASON + 1);
    }
}
