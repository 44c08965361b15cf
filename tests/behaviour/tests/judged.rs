//! The judge, judged: the suite is run against an embedded server that is wrong on purpose, in one way after another, and must
//! notice each. Which cases noticed is printed.
//!
//! `cargo test -p inpod-behaviour --features breaks --test judged`

use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use inpod_apiserver::breaks::{self, Break};
use inpod_behaviour::{Case, Failure, Protocol, Target, against_recording, cases};

const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if let Some(case) = first_red(&mut cases::all().collect()).await? {
        say(&format!("nothing is broken, and {} is red", case.name));
        return Ok(ExitCode::FAILURE);
    }
    let mut missed = 0;
    for broken in Break::ALL {
        if let Some(case) = notices(broken).await? {
            say(&format!("test {broken:?} ... ok ({case})"));
        } else {
            missed += 1;
            say(&format!("test {broken:?} ... FAILED: no case notices"));
        }
    }
    let (word, code) = match missed {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::FAILURE),
    };
    let noticed = Break::ALL.len() - missed;
    say(&format!(
        "\ntest result: {word}. {noticed} passed; {missed} failed; 0 ignored; 0 measured; 0 filtered out"
    ));
    Ok(code)
}

/// A case that notices: it is red while the server is broken so, and again, and agrees while it is not. Without the second look
/// a case that is sometimes red for no reason would be taken for one that notices.
async fn notices(broken: Break) -> Result<Option<&'static str>, Failure> {
    let mut left: Vec<&'static Case> = cases::all().collect();
    loop {
        breaks::turn_on(Some(broken));
        let Some(case) = first_red(&mut left).await? else {
            breaks::turn_on(None);
            return Ok(None);
        };
        let again = agrees(case).await?;
        breaks::turn_on(None);
        if !again && agrees(case).await? {
            return Ok(Some(case.name));
        }
        say(&format!(
            "{broken:?}: {} is red, but not each time",
            case.name
        ));
    }
}

/// The first case that is red, out of those left; it and those that agreed before it are taken out.
async fn first_red(left: &mut Vec<&'static Case>) -> Result<Option<&'static Case>, Failure> {
    let mut results = stream::iter(left.clone())
        .map(|case| async move { Ok::<_, Failure>((case, agrees(case).await?)) })
        .buffer_unordered(AT_ONCE);
    while let Some(result) = results.next().await {
        let (case, agrees) = result?;
        left.retain(|other| other.name != case.name);
        if !agrees {
            return Ok(Some(case));
        }
    }
    Ok(None)
}

/// A server that is too broken to start is noticed too.
async fn agrees(case: &Case) -> Result<bool, Failure> {
    match against_recording(case, Protocol::Http2).await {
        Ok(judgement) => Ok(judgement.agrees()),
        Err(failure) if Target::embedded(Protocol::Http2).await.is_ok() => Err(failure),
        Err(_) => Ok(false),
    }
}

#[expect(clippy::print_stdout, reason = "it is the report of a test")]
fn say(line: &str) {
    println!("{line}");
}
