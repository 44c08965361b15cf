//! Where there is no PID namespace to end with: next to the process stands a guardian, to which everything is left that the process
//! leaves, because it is a child subreaper. It ends with the process or with the program that runs the sandbox, kills what is there
//! then, and takes real files away. Should it be killed, that program is a subreaper too, and does the same.

use std::os::fd::OwnedFd;

use rustix::process::{getpid, set_child_subreaper};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

use super::apart;
use super::attend::{self, Shown};
use super::plan::Plan;
use super::real::RealFiles;
use crate::linux::channel::{Channel, Failure, Message, Stage};
use crate::linux::lending;
use crate::linux::orphans::Orphans;
use crate::linux::supervisor::Wanted;

pub(super) fn main(channel: &Channel, plan: &Plan) -> ! {
    let files = plan.real.map(|_| RealFiles::of(plan));
    let ended = run(channel, plan, files.as_ref());
    let code = match ended {
        Ok(()) => 0,
        Err(failure) => {
            let _ = channel.send(&Message::Failed(failure), &[]);
            1
        }
    };
    std::process::exit(code)
}

fn run(channel: &Channel, plan: &Plan, files: Option<&RealFiles>) -> Result<(), Failure> {
    let setup = |what: &'static str| Failure::at(Stage::Setup, what);
    set_child_subreaper(Some(getpid()))
        .map_err(Failure::at(Stage::Setup, "become a child subreaper"))?;
    let mut orphans = Orphans::new().map_err(setup("look into /proc"))?;
    let made = files.map(RealFiles::make).transpose()?;
    let volumes = made.iter().flat_map(|made| &made.volumes);
    let volumes = volumes.map(OwnedFd::try_clone).collect::<Result<_, _>>();
    let volumes = volumes.map_err(setup("hand over a volume"))?;
    let privileged =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    if plan.wanted != Wanted::default() && !privileged {
        set_no_new_privs(true).map_err(Failure::at(Stage::Listener, "give up new privileges"))?;
    }
    // Before there is a listener, which would be asked for the path. Needs to give up new privileges, or to have them.
    let apart = apart::keep();
    let listener = if plan.borrow {
        let borrowed = lending::borrow();
        let what = "have the run around this one answer";
        Some(borrowed.map_err(Failure::at(Stage::Listener, what))?)
    } else {
        attend::listen(plan.wanted)?
    };
    let shown = Shown {
        volumes,
        covered_proc: false,
        looks_around: apart.is_err(),
    };
    let ended = attend::process(channel, plan, shown, listener);
    orphans.kill_all(&[]);
    drop(made); // not before those are gone that read it
    ended
}
