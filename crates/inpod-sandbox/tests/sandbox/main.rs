//! The sandbox end to end.
//!
//! This binary is also the program that runs sandboxes (`--run`), with that its own helpers, and the programs inside (`--connect`,
//! `--count-interrupts`). `INPOD_TEST_KILLS` sets how often each process is killed (default 3), and
//! `INPOD_TEST_RUNS` how many sandboxes are made in a row (default 40).

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod connections;
#[cfg(target_os = "linux")]
mod endings;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(target_os = "linux")]
mod view;

#[cfg(target_os = "linux")]
fn main() {
    inpod_sandbox::enter_if_asked();
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match args
        .split_first()
        .and_then(|(mode, rest)| Some((mode.to_str()?, rest)))
    {
        Some(("--run", command)) => inside::run(command),
        Some(("--connect", [how])) => return inside::connect(how),
        Some(("--count-interrupts", [])) => return inside::count_interrupts(),
        Some(("--many", [count, refusals])) => return many::run(count, refusals),
        _ => {}
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Vec::new();
    for user in harness::users() {
        trials.extend(view::trials(user));
        trials.extend(connections::trials(user));
        trials.extend(endings::trials(user));
        trials.extend(terminal::trials(user));
        trials.extend(many::trials(user));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    harness::clean_up();
    conclusion.exit();
}
