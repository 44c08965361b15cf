use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::Gate;

/// The files of a projected volume by name, with their contents.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a process in a Pod sees that it would not see otherwise. Plain data: no way of showing it is named here.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct View {
    /// Projected volumes by mount path, read-only for the process, in the kubelet's `..data` layout.
    pub volumes: BTreeMap<PathBuf, Files>,
    /// Variables to set (`Some`) or remove (`None`).
    pub environment: BTreeMap<OsString, Option<OsString>>,
    /// Names that resolve besides the machine's own, as lines of `/etc/hosts`.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Addresses that lead elsewhere.
    pub redirects: Vec<Redirect>,
    /// The Services that the cluster's DNS knows.
    pub services: Vec<Service>,
    /// The Pod's namespace, whose Services it can name without it.
    pub namespace: String,
    /// Directories that are empty and private for the process, and files in which it finds nothing, where they exist.
    pub hidden: Vec<PathBuf>,
    /// As [`hidden`](Self::hidden), and a way that hides nothing is refused where one of these is there at the start.
    pub withheld: Vec<PathBuf>,
}

impl View {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is shown there")
    )]
    pub(crate) fn out_of_sight(&self) -> impl Iterator<Item = &PathBuf> {
        self.hidden.iter().chain(&self.withheld)
    }
}

/// An address that leads elsewhere: a connection to `from` reaches `to`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Redirect {
    /// What the process connects to, for example 10.96.0.1:443.
    pub from: SocketAddr,
    /// Where the connection goes.
    pub to: SocketAddr,
    /// Who listens there, where it is to let nobody else in.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nobody is led there")
    )]
    pub(crate) gate: Option<Gate>,
}

impl Redirect {
    /// To whoever listens at an address.
    pub fn new(from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            from,
            to,
            gate: None,
        }
    }

    /// To a listener that lets nobody in but who is led there.
    pub fn through(from: SocketAddr, gate: &Gate) -> Self {
        Self {
            from,
            to: gate.address(),
            gate: Some(gate.clone()),
        }
    }
}

/// A Service, as far as the cluster's DNS needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its cluster IPs. A headless one has none.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// What is ready behind it. A headless one without endpoints has no name.
    pub endpoints: Vec<Endpoint>,
    /// What its name stands for instead, in the rest of DNS (`ExternalName`).
    pub external_name: Option<String>,
}

/// A port of a [`Service`] or an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, which one of several ports has.
    pub name: Option<String>,
    /// `TCP`, `UDP` or `SCTP`, in any case.
    pub protocol: String,
    /// Its number.
    pub port: u16,
}

/// An address behind a [`Service`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: IpAddr,
    /// Its name below the Service's; without, one is made of its address.
    pub hostname: Option<String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}
