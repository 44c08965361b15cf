//! What of the machine's `/etc` the process sees otherwise.

pub(super) mod hosts;
mod nsswitch;
mod resolv_conf;

use std::net::IpAddr;
use std::path::Path;

use crate::View;

/// By what the files differ from the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Etc {
    /// Lines of `/etc/hosts`.
    pub(super) hosts: Vec<String>,
    /// The name server to ask first.
    pub(super) resolver: Option<IpAddr>,
}

impl Etc {
    pub(super) fn of(view: &View, resolver: Option<IpAddr>) -> Self {
        let line = |(address, names): &(IpAddr, Vec<String>)| hosts::line(*address, names);
        Self {
            hosts: view.hosts.iter().map(line).collect(),
            resolver,
        }
    }

    /// The files that are to be seen in place of the machine's.
    pub(super) fn files(&self) -> Vec<(&'static Path, Vec<u8>)> {
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        let mut files = Vec::new();
        if !self.hosts.is_empty() {
            let path = Path::new(hosts::PATH);
            files.push((path, hosts::contents(&self.hosts, &read(path))));
            let path = Path::new(nsswitch::PATH);
            files.extend(nsswitch::contents(&read(path)).map(|contents| (path, contents)));
        }
        if let Some(resolver) = self.resolver {
            let path = Path::new(resolv_conf::PATH);
            files.push((path, resolv_conf::contents(resolver, &read(path))));
        }
        files
    }
}
