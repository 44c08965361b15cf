//! `cargo xtask conform`: every case against the real server and the embedded one.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use inpod_behaviour::accepted::{Accepted, Judgement};
use inpod_behaviour::compare::{Difference, TRIES, compare, only_seconds};
use inpod_behaviour::generated;
use inpod_behaviour::recording::Recording;
use inpod_behaviour::report::{self, Row};
use inpod_behaviour::{Case, Failure, Protocol, Session, Target, cases};
use inpod_real::Instance;

/// How many generated sequences a whole run has.
const SEQUENCES: u64 = 500;
/// The seed of a whole run, always the same: that a change parts the servers is to be the change's doing.
const SEED: u64 = 1;
/// How many cases run at once; most of their time they wait.
const AT_ONCE: usize = 6;

#[derive(Parser)]
#[command(
    name = "cargo xtask conform",
    about = "Runs every case against the real API server and the embedded one, and compares"
)]
struct Arguments {
    /// Only the cases with this in their name.
    filter: Option<String>,
    /// Writes the recordings and, of a whole run, the report.
    #[arg(long)]
    record: bool,
    /// Accepts the differences that are left, for this reason.
    #[arg(long, value_name = "REASON")]
    accept: Option<String>,
    /// Runs this many generated sequences of requests, of a new seed each time, instead of cases and 500 of the same seed.
    #[arg(long, value_name = "N", conflicts_with = "filter")]
    sequences: Option<u64>,
    /// The seed of the first generated sequence; the next one's is one more.
    #[arg(long, value_name = "S", requires = "sequences")]
    seed: Option<u64>,
}

/// One case on both servers, and its committed recording.
struct Seen {
    case: &'static str,
    live: Recording,
    moved: Vec<Difference>,
    judgement: Judgement,
}

fn main() -> ExitCode {
    inpod_real::become_guard_if_asked();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    // The checkout's own, where one is up.
    let (kubeconfig, _instance) = if let Ok(kubeconfig) = inpod_real::kubeconfig() {
        (kubeconfig, None)
    } else {
        let instance = Instance::start()?;
        (instance.kubeconfig(), Some(instance))
    };
    let real = Arc::new(Target::real(&kubeconfig, Protocol::Http2)?);
    if let Some(sequences) = arguments.sequences {
        let seed = arguments.seed.unwrap_or_else(generated::seed);
        return generate(sequences, seed, real).await;
    }

    let filter = arguments.filter.as_deref().unwrap_or("");
    let chosen: Vec<&Case> = cases::all()
        .filter(|case| case.name.contains(filter))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!("no case has {filter:?} in its name")));
    }

    // What is recorded is to have the times of a server that nobody else keeps busy.
    let at_once = if arguments.record { 1 } else { AT_ONCE };
    let mut seen: Vec<_> = stream::iter(chosen)
        .map(|case| one(case, real.clone()))
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    seen.sort_by_key(|seen| seen.case);

    let mut good = true;
    let mut rows = Vec::new();
    for mut seen in seen {
        if let Some(failure) = seen.live.failure() {
            say(&format!("{}: could not go on: {failure}", seen.case));
            good = false;
        }
        if arguments.record && !seen.moved.is_empty() {
            seen.live.write()?;
            seen.moved.clear();
        }
        if let Some(reason) = &arguments.accept {
            Accepted::read(seen.case)?.accept(seen.case, &seen.judgement, reason)?;
            let differences = std::mem::take(&mut seen.judgement.left);
            seen.judgement.accepted += differences.len();
            seen.judgement.stale.clear();
        }
        good &= tell(&seen);
        rows.push(Row::new(seen.case, &seen.judgement));
    }
    if filter.is_empty() {
        good &= ratchet(&rows, arguments.record)?;
        good &= generate(SEQUENCES, SEED, real).await?;
    }
    say(&report::summary(&rows));
    Ok(good)
}

/// Runs generated sequences, and says where the servers part.
async fn generate(sequences: u64, seed: u64, real: Arc<Target>) -> Result<bool, Failure> {
    let embedded = Arc::new(Target::embedded(Protocol::Http2).await?);
    let parted = generated::run(real.clone(), embedded, sequences, seed).await;
    if !parted.is_empty() {
        real.still_there().await?;
    }
    for one in &parted {
        say(&one.to_string());
    }
    let agree = sequences - parted.len() as u64;
    say(&format!(
        "{agree} of {sequences} sequences agree (--seed {seed})"
    ));
    Ok(parted.is_empty())
}

/// Runs a case on both servers, and again where they only seem to have been slow.
async fn one(case: &'static Case, real: Arc<Target>) -> Result<Seen, Failure> {
    for _ in 1..TRIES {
        let seen = once(case, real.clone()).await?;
        if !only_seconds(seen.moved.iter().chain(&seen.judgement.left)) {
            return Ok(seen);
        }
    }
    once(case, real).await
}

async fn once(case: &'static Case, real: Arc<Target>) -> Result<Seen, Failure> {
    let embedded = Arc::new(Target::embedded(Protocol::Http2).await?);
    let (live, ours) = tokio::join!(
        Session::record(case, real.clone()),
        Session::record(case, embedded)
    );
    if live.failure().is_some() {
        real.still_there().await?;
    }
    let moved = match Recording::read(case.name)? {
        Some(recording) => compare(&recording, &live),
        None => vec![Difference::missing()],
    };
    let judgement = Accepted::read(case.name)?.judge(case.name, compare(&live, &ours));
    Ok(Seen {
        case: case.name,
        live,
        moved,
        judgement,
    })
}

/// Says what is wrong with a case; whether nothing is.
fn tell(seen: &Seen) -> bool {
    let lists = [
        (
            "the real server differs from its recording (--record writes it)",
            &seen.moved,
        ),
        ("differs", &seen.judgement.left),
        ("accepted, but does not occur", &seen.judgement.stale),
    ];
    for (title, differences) in lists {
        for difference in differences {
            say(&format!("{}: {title}: {difference}", seen.case));
        }
    }
    seen.moved.is_empty() && seen.judgement.agrees()
}

/// Whether the rows are those that are committed; writes them where that is asked for.
fn ratchet(rows: &[Row], record: bool) -> Result<bool, Failure> {
    if record {
        report::write(rows)?;
        return Ok(true);
    }
    let committed = report::read()?;
    let mut same = true;
    for row in rows {
        if !committed.contains(row) {
            say(&format!(
                "REPORT.md says otherwise of {}, which {}",
                row.case, row.verdict
            ));
            same = false;
        }
    }
    for row in &committed {
        if !rows.iter().any(|other| other.case == row.case) {
            say(&format!("REPORT.md has {}, which is no case", row.case));
            same = false;
        }
    }
    Ok(same)
}

#[expect(clippy::print_stdout, reason = "it is what the caller asked for")]
fn say(line: &str) {
    println!("{line}");
}
