//! Every case against the embedded server, held against what the real one was recorded to do, over HTTP/2 and HTTP/1.1.

use inpod_behaviour::{Case, Protocol, against_recording, cases};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trials = cases::all()
        .flat_map(|case| {
            [(Protocol::Http2, "h2"), (Protocol::Http1, "http1")].map(|(protocol, name)| {
                Trial::test(format!("{} ({name})", case.name), move || {
                    run(case, protocol)
                })
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(case: &Case, protocol: Protocol) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let judgement = runtime.block_on(against_recording(case, protocol))?;
    if judgement.agrees() {
        return Ok(());
    }
    let lines: Vec<String> = judgement
        .left
        .iter()
        .map(|difference| format!("differs: {difference}"))
        .chain(
            judgement
                .stale
                .iter()
                .map(|difference| format!("accepted, but does not occur: {difference}")),
        )
        .collect();
    Err(lines.join("\n").into())
}
