//! The judge, judged: the suite is run against an embedded server that is wrong on purpose, in one way after another, and must
//! notice each. Which cases noticed is printed.
//!
//! `cargo test -p inpod-behaviour --features breaks --test judged`

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use inpod_apiserver::breaks::{self, Break};
use inpod_behaviour::accepted::Accepted;
use inpod_behaviour::compare::compare;
use inpod_behaviour::recording::Recording;
use inpod_behaviour::{Case, Failure, Protocol, Session, Target, cases};

const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if let Some(case) = first_red(None).await? {
        say(&format!("nothing is broken, and {case} is red"));
        return Ok(ExitCode::FAILURE);
    }
    let mut missed = 0;
    for broken in Break::ALL {
        if let Some(case) = first_red(Some(broken)).await? {
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

/// The first case that is found in which a server so broken does not do what the real one was recorded to do.
async fn first_red(broken: Option<Break>) -> Result<Option<&'static str>, Failure> {
    breaks::turn_on(broken);
    let mut results = stream::iter(cases::all())
        .map(|case| async move { Ok::<_, Failure>((case.name, agrees(case).await?)) })
        .buffer_unordered(AT_ONCE);
    while let Some(result) = results.next().await {
        let (case, agrees) = result?;
        if !agrees {
            return Ok(Some(case));
        }
    }
    Ok(None)
}

async fn agrees(case: &Case) -> Result<bool, Failure> {
    let Some(recording) = Recording::read(case.name)? else {
        return Ok(false);
    };
    // A server that is too broken to start is noticed too.
    let Ok(target) = Target::embedded(Protocol::Http2).await else {
        return Ok(false);
    };
    let seen = Session::record(case, Arc::new(target)).await;
    let judgement = Accepted::read(case.name)?.judge(case.name, compare(&recording, &seen));
    Ok(judgement.agrees())
}

#[expect(clippy::print_stdout, reason = "it is the report of a test")]
fn say(line: &str) {
    println!("{line}");
}
