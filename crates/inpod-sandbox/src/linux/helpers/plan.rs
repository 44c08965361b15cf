//! What the helpers are to do, as their arguments. Nothing secret is among it: files reach a volume through its descriptor.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::linux::SignalMask;
use crate::linux::etc::Etc;
use crate::linux::supervisor::Wanted;
use crate::{Command, View, Way};

/// The part of a [`View`] that helpers show, and the process to run. Its environment is the helpers' own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Mount paths.
    pub(super) volumes: Vec<PathBuf>,
    pub(super) hidden: Vec<PathBuf>,
    pub(super) etc: Etc,
    /// Directories of the machine that are made for the volumes, from the outermost in.
    pub(super) missing: Vec<PathBuf>,
    /// What is to be listened to.
    pub(super) wanted: Wanted,
    /// Whether the run around this one is to answer for the files.
    pub(super) borrow: bool,
    /// Where volumes and hosts are files of the machine, the process that runs the sandbox.
    pub(super) real: Option<u32>,
    /// Whether the process is to lose the capabilities that the sandbox was made with.
    pub(super) drop_capabilities: bool,
    /// [`SignalMask::encode`]d.
    pub(super) signal_mask: String,
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
}

impl Plan {
    pub(super) fn new(way: Way, view: &View, etc: Etc, command: &Command) -> Self {
        Self {
            volumes: view.volumes.keys().cloned().collect(),
            hidden: view.out_of_sight().cloned().collect(),
            missing: Vec::new(),
            wanted: Wanted {
                connects: !view.redirects.is_empty(),
                paths: way == Way::Listener,
            },
            borrow: way == Way::Around,
            real: (way == Way::RealFiles).then(std::process::id),
            etc,
            drop_capabilities: false,
            signal_mask: command
                .signal_mask
                .unwrap_or_else(SignalMask::of_this_thread)
                .encode(),
            program: command.program.clone(),
            args: command.args.clone(),
        }
    }

    pub(super) fn to_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        let mut option = |name: &str, value: &OsStr| args.extend([name.into(), value.to_owned()]);
        for path in &self.volumes {
            option("--volume", path.as_os_str());
        }
        for path in &self.hidden {
            option("--hide", path.as_os_str());
        }
        for path in &self.missing {
            option("--make", path.as_os_str());
        }
        for line in &self.etc.hosts {
            option("--host", OsStr::new(line));
        }
        if let Some(resolver) = self.etc.resolver {
            option("--resolver", OsStr::new(&resolver.to_string()));
        }
        if let Some(run) = self.real {
            option("--real", OsStr::new(&run.to_string()));
        }
        option("--signal-mask", OsStr::new(&self.signal_mask));
        args.extend(self.wanted.connects.then(|| "--connects".into()));
        args.extend(self.wanted.paths.then(|| "--paths".into()));
        args.extend(self.borrow.then(|| "--borrow".into()));
        args.extend(self.drop_capabilities.then(|| "--drop-capabilities".into()));
        args.extend(["--".into(), self.program.clone()]);
        args.extend(self.args.iter().cloned());
        args
    }

    /// `None` for arguments that no [`Plan::to_args`] made.
    pub(super) fn from_args(args: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut plan = Self::default();
        let mut args = args.into_iter();
        loop {
            match args.next()?.to_str()? {
                "--volume" => plan.volumes.push(args.next()?.into()),
                "--hide" => plan.hidden.push(args.next()?.into()),
                "--host" => plan.etc.hosts.push(args.next()?.into_string().ok()?),
                "--resolver" => plan.etc.resolver = Some(args.next()?.to_str()?.parse().ok()?),
                "--signal-mask" => plan.signal_mask = args.next()?.into_string().ok()?,
                "--make" => plan.missing.push(args.next()?.into()),
                "--connects" => plan.wanted.connects = true,
                "--paths" => plan.wanted.paths = true,
                "--borrow" => plan.borrow = true,
                "--real" => plan.real = Some(args.next()?.to_str()?.parse().ok()?),
                "--drop-capabilities" => plan.drop_capabilities = true,
                "--" => break,
                _ => return None,
            }
        }
        plan.program = args.next()?;
        plan.args = args.collect();
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStringExt;

    fn bytes() -> impl Strategy<Value = OsString> {
        prop::collection::vec(1..=255u8, 0..12).prop_map(OsString::from_vec)
    }

    fn strings() -> impl Strategy<Value = Vec<OsString>> {
        prop::collection::vec(
            prop_oneof![bytes(), Just("--".into()), Just("--paths".into())],
            0..4,
        )
    }

    proptest! {
        #[test]
        fn a_plan_survives_the_way_through_arguments(
            volumes in strings(), hidden in strings(), missing in strings(),
            hosts in prop::collection::vec(".*", 0..3), resolver: Option<std::net::IpAddr>, connects: bool, paths: bool, borrow: bool, real: Option<u32>, drop_capabilities: bool, program in bytes(), args in strings(),
        ) {
            let plan = Plan {
                volumes: volumes.into_iter().map(PathBuf::from).collect(),
                hidden: hidden.into_iter().map(PathBuf::from).collect(),
                missing: missing.into_iter().map(PathBuf::from).collect(),
                etc: Etc { hosts, resolver }, wanted: Wanted { connects, paths }, borrow, real, drop_capabilities, signal_mask: "2,15".into(), program, args,
            };
            prop_assert_eq!(Plan::from_args(plan.to_args()), Some(plan));
        }
    }
}
