//! PID 1 inside: mounts what the process is to see, starts it, reaps what is left to it, and ends with it. The kernel then kills
//! whatever else lives in the namespace.

use rustix::process::set_parent_process_death_signal;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
};

use super::attend::Shown;
use super::mounts::Mounts;
use super::plan::Plan;
use super::{attend, mounts};
use crate::linux::channel::{Channel, Failure, Message, Stage};

pub(super) fn main(channel: &Channel, plan: &Plan) -> ! {
    // Behind the channel's end, which is seen only when awake. Init is alone: its parent has one thread, which ends with it.
    let _ = set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let code = match run(channel, plan) {
        Ok(()) => 0,
        Err(failure) => {
            let _ = channel.send(&Message::Failed(failure), &[]);
            1
        }
    };
    std::process::exit(code)
}

fn run(channel: &Channel, plan: &Plan) -> Result<(), Failure> {
    let shown = mount(plan)?;
    let listener = attend::listen(plan.wanted)?;
    if plan.drop_capabilities {
        drop_capabilities().map_err(Failure::at(Stage::Setup, "drop capabilities"))?;
    }
    attend::process(channel, plan, shown, listener)
}

fn mount(plan: &Plan) -> Result<Shown, Failure> {
    let directory = std::env::current_dir();
    mounts::detach().map_err(Failure::at(
        Stage::Permission,
        "keep mounts apart from the machine's",
    ))?;
    let covered_proc = mounts::mount_proc().is_err();
    for path in &plan.hidden {
        let what = || format!("hide {}", path.display());
        mounts::hide(path).map_err(|error| Failure::at(Stage::Permission, what())(error))?;
    }
    let mut mounts = Mounts::default();
    for (path, contents) in plan.etc.files() {
        let what = || format!("mount {}", path.display());
        mounts
            .file(path, &contents)
            .map_err(|error| Failure::at(Stage::Permission, what())(error))?;
    }
    let mut volumes = Vec::new();
    for path in &plan.volumes {
        let what = || format!("mount {}", path.display());
        volumes.push(
            mounts
                .volume(path)
                .map_err(|error| Failure::at(Stage::Permission, what())(error))?,
        );
    }
    mounts.seal().map_err(Failure::at(
        Stage::Setup,
        "make a rebuilt directory read-only",
    ))?;
    // By its path again, so that what lies around it is what was mounted. Where it cannot be reached so, it stays as it was.
    let _ = directory.and_then(std::env::set_current_dir);
    Ok(Shown {
        volumes,
        covered_proc,
        looks_around: false,
    })
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}
