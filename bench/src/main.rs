//! What the embedded cluster and `inpod run` cost, measured from outside the process: `cargo xtask bench`.
//!
//! Each row is bounded in time. Ratios to other programs, measured in the same run, say more than these absolute values.

mod cluster;
mod process;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use cluster::Cluster;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    if let [_, mode, address] = std::env::args().collect::<Vec<_>>().as_slice()
        && mode == "--connects"
    {
        return print_connects(address);
    }
    let inpod = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("usage: inpod-bench PATH-OF-INPOD (cargo xtask bench builds and passes it)")?;
    row("what", "measured", "goal");
    row("---", "---", "---");

    let mut starts = Vec::new();
    for _ in 0..15 {
        starts.push(Cluster::start(&inpod)?.ready_after);
    }
    row(
        "exec to ready, median of 15",
        &milliseconds(median(&mut starts)),
        "≤ 25 ms",
    );

    let cluster = Cluster::start(&inpod)?;
    let client = cluster.client()?;
    let _: serde_json::Value = client.get("/api").await?;
    row(
        "idle memory (RSS)",
        &megabytes(cluster.process.resident()?),
        "≤ 20 MB",
    );

    run::starts(&inpod)?;
    run::connects(&inpod)?;

    let rate = cluster
        .creates_per_second(4, Duration::from_secs(4))
        .await?;
    row(
        "ConfigMap creates with 4 clients",
        &format!("{rate:.0}/s"),
        "≥ 10,000/s",
    );

    cluster.fill_with_pods(5000, 4).await?;
    let list = cluster.list("/api/v1/pods", 10).await?;
    let size = megabytes(list.bytes);
    row(
        &format!("LIST of 5,000 pods ({size}), wall, median of 10"),
        &milliseconds(list.wall),
        "",
    );
    row("  server CPU", &milliseconds(list.cpu), "≤ 25 ms");
    row(
        "  server memory above idle, peak",
        &megabytes(list.memory),
        "",
    );

    let watch = cluster.watchers(1000, 50).await?;
    let microseconds = watch.cpu.as_secs_f64() * 1e6;
    row(
        "watch event, server CPU a watcher, 1,000 watchers",
        &format!("{microseconds:.1} µs"),
        "≤ 8 µs",
    );
    row("  memory a watcher", &kilobytes(watch.memory), "");
    Ok(())
}

/// In a sandbox: nanoseconds.
#[expect(clippy::print_stdout, reason = "for the one who started this")]
fn print_connects(address: &str) -> Result<()> {
    println!("{}", run::connect_many(address.parse()?)?.as_nanos());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn row(what: &str, measured: &str, goal: &str) {
    println!("| {what} | {measured} | {goal} |");
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes with one decimal")]
fn kilobytes(bytes: u64) -> String {
    format!("{:.1} kB", bytes as f64 / 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
