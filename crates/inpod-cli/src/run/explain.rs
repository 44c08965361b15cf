//! What a run on this machine is like, in words.

use std::io::Write as _;
use std::process::ExitCode;

use inpod_sandbox::{Way, check};

use super::arrangement::{Arrangement, INSTEAD};
use super::reach::Reach;
use super::{Args, program, view};
use crate::failure::Failure;

/// `--explain`: goes as far as a run would, with nothing to show and nothing to start.
pub(super) fn explain(args: &Args) -> Result<ExitCode, Failure> {
    let kubeconfig = args.kubeconfig.as_deref();
    args.config()?; // to say what is wrong with it
    let arrangement = args.arrangement()?;
    if let Arrangement::Sidecar(_) = arrangement {
        let seen = |reach: &Reach| Ok(view::preview(reach, kubeconfig));
        let (checked, _) = Reach::first()?.until_one_works(seen, check)?;
        if checked.way == Way::RealFiles {
            let way = checked.way;
            return Err(Failure::new(format!(
                "the sidecar would have {way}, which cannot be hidden from CMD"
            ))
            .and(INSTEAD));
        }
    }
    let seen = |reach: &Reach| {
        let mut view = view::preview(reach, kubeconfig);
        arrangement.arrange(&mut view, reach)?;
        Ok(view)
    };
    let (checked, reach) = Reach::first()?.until_one_works(seen, check)?;
    let mut limits = [
        &checked.limits,
        reach.limits(kubeconfig.is_none()),
        arrangement.limits(&reach),
    ]
    .concat();
    // The other ways have it among their limits. Too common to be said in every run.
    if checked.way == Way::Namespaces && !program::is_root() {
        limits.push(program::SETUID);
    }
    let limits = if limits.is_empty() {
        "Nothing of what inpod knows a Pod by would be missing.".to_owned()
    } else {
        format!("Not as in a Pod:\n- {}", limits.join("\n- "))
    };
    let text = format!(
        "CMD would be shown its Pod by {}, and meet the API server {reach}.\n{limits}\n",
        checked.way
    );
    let command = args.command.first();
    let unfit = command.and_then(|cmd| program::missing(cmd).or_else(|| program::unfit(cmd)));
    let unfit = unfit.map(|unfit| format!("{unfit}.\n")).unwrap_or_default();
    std::io::stdout().write_all(format!("{text}{unfit}").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Said once, where a run is not all that it can be.
#[expect(clippy::print_stderr, reason = "a word for the person at the terminal")]
pub(super) fn say(way: Way, reach: &Reach, limits: &[&str]) {
    if !limits.is_empty() {
        eprintln!(
            "inpod: on this machine CMD is shown its Pod by {way}, and meets the API server {reach}. Not as in a Pod (-q leaves this \
             out):\n- {}",
            limits.join("\n- ")
        );
    }
}
