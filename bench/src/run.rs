//! What `inpod run` costs: its start beside the parts of it, and a connect that the supervisor sees.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, median, milliseconds, row};

/// A start of the whole is what these add up to, and the waiting between them.
pub(crate) fn starts(inpod: &Path) -> Result<()> {
    let parts: [(&str, &[&str], &str); 4] = [
        (
            "inpod run -- true, median of 20",
            &["run", "--", "true"],
            "≤ 60 ms",
        ),
        (
            "  without a token",
            &["run", "--no-token", "--", "true"],
            "",
        ),
        (
            "  its sandbox alone (run --explain)",
            &["run", "--explain"],
            "",
        ),
        ("  the binary alone (--version)", &["--version"], ""),
    ];
    for (what, args, goal) in parts {
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            let status = Command::new(inpod)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(format!("inpod {args:?} failed").into());
            }
            times.push(start.elapsed());
        }
        row(what, &milliseconds(median(&mut times)), goal);
    }
    Ok(())
}

/// Connects to a listener of ours, in a sandbox and outside; and to the cluster, where the connect is led.
pub(crate) fn connects(inpod: &Path) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let inside = |address: &str| -> Result<Duration> {
        let output = Command::new(inpod)
            .args(["run", "-q", "--"])
            .arg(std::env::current_exe()?)
            .args(["--connects", address])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(Duration::from_nanos(text.trim().parse()?))
    };
    let outside = connect_many(address)?;
    let seen = inside(&address.to_string())?;
    let led = inside("10.96.0.1:443")?;
    row(
        "a connect to loopback, outside, median of 1,000",
        &micros(outside),
        "",
    );
    row(
        "  more in a sandbox, to an address that is not led",
        &micros(seen.saturating_sub(outside)),
        "≤ 50 µs",
    );
    row(
        "  more in a sandbox, to the cluster, led",
        &micros(led.saturating_sub(outside)),
        "≤ 50 µs",
    );
    Ok(())
}

/// The median of a thousand connects, each closed before the next.
pub(crate) fn connect_many(address: SocketAddr) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        let stream = TcpStream::connect(address)?;
        times.push(start.elapsed());
        drop(stream);
    }
    Ok(median(&mut times))
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}
