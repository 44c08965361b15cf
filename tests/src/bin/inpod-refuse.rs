//! `inpod-refuse WHAT[,WHAT…] -- CMD`: runs CMD on a machine that refuses that.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    let mut args = std::env::args_os().skip(1);
    let refusals = args.next().unwrap_or_default();
    let refusals = refusals
        .to_string_lossy()
        .split(',')
        .map(str::parse)
        .collect::<std::io::Result<Vec<_>>>()?;
    let command: Vec<_> = args.skip(1).collect();
    let (program, args) = command
        .split_first()
        .ok_or_else(|| std::io::Error::other("usage: inpod-refuse WHAT[,WHAT...] -- CMD"))?;
    inpod_refuse::refuse(&refusals)?;
    Err(std::process::Command::new(program).args(args).exec())
}
