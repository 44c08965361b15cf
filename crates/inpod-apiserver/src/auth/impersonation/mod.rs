//! Acting as somebody else, by the `Impersonate-*` headers, for whoever has the permission to.
//!
//! Two forms exist side by side. The constrained one ([KEP-5284]) is asked first: `impersonate-on:MODE:VERB` on what the request
//! is about, and `impersonate:MODE` on the identity. Then the classic one: `impersonate` on the identity, for any request. What
//! the first of the forms that apply has to say is the answer when none allows.
//!
//! [KEP-5284]: https://kep.k8s.io/5284

mod headers;

use std::collections::BTreeMap;

use http::HeaderMap;
use inpod::RequestInfo;

use self::headers::{only_username, wanted};
use super::rbac::{Attributes, MASTERS, Rbac};
use super::service_account::{self, is_dns_subdomain, split_username};
use super::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED};
use crate::breaks::{self, Break};
use crate::{Status, UserInfo};

pub(super) use self::headers::is_header;

const NODE_PREFIX: &str = "system:node:";
const NODES: &str = "system:nodes";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// From so many on, a constrained mode asks for all groups (or extras) at once before it asks for each.
const MANY: usize = 4;

/// Who the request is made as: `requestor`, or who its headers name.
pub(super) fn apply(
    headers: &HeaderMap,
    info: &RequestInfo,
    requestor: UserInfo,
    rbac: &Rbac,
) -> Result<UserInfo, Status> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(requestor);
    };
    if breaks::is_on(Break::NoImpersonation) {
        return Ok(requestor);
    }
    let asked = Attributes::of(info);
    let mut refused = None;
    for mode in Mode::ALL {
        if !mode.applies(&requestor, &wanted) {
            continue;
        }
        let check = Check {
            rbac,
            requestor: &requestor,
            mode,
        };
        match check
            .on_request(&asked)
            .and_then(|()| check.identity(&wanted))
        {
            Ok(user) => return Ok(user),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| Status::internal("no mode of impersonation applies")))
}

/// The forms of impersonation, in the order they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A service account acts as the node its Pod runs on.
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Classic,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::AssociatedNode,
        Self::ArbitraryNode,
        Self::ServiceAccount,
        Self::UserInfo,
        Self::Classic,
    ];

    /// Its name in the verbs; the classic form has none.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::AssociatedNode => Some("associated-node"),
            Self::ArbitraryNode => Some("arbitrary-node"),
            Self::ServiceAccount => Some("serviceaccount"),
            Self::UserInfo => Some("user-info"),
            Self::Classic => None,
        }
    }

    fn applies(self, requestor: &UserInfo, wanted: &UserInfo) -> bool {
        let node = node_name(&wanted.username);
        let account = split_username(&wanted.username);
        match self {
            Self::AssociatedNode => {
                let own = requestor.extra.get(NODE_NAME).map(Vec::as_slice);
                only_username(wanted)
                    && split_username(&requestor.username).is_some()
                    && node.is_some_and(|node| matches!(own, Some([own]) if own == node))
            }
            Self::ArbitraryNode => only_username(wanted) && node.is_some(),
            Self::ServiceAccount => only_username(wanted) && account.is_some(),
            Self::UserInfo => node.is_none() && account.is_none(),
            Self::Classic => true,
        }
    }
}

/// Whether `requestor` may, in one mode.
struct Check<'a> {
    rbac: &'a Rbac,
    requestor: &'a UserInfo,
    mode: Mode,
}

impl Check<'_> {
    /// Whether this very request may be made in the mode.
    fn on_request(&self, asked: &Attributes) -> Result<(), Status> {
        let Some(mode) = self.mode.name() else {
            return Ok(());
        };
        self.require(&Attributes {
            verb: format!("impersonate-on:{mode}:{}", asked.verb),
            ..asked.clone()
        })
    }

    /// Whether each part of the identity may be taken on; the identity with the groups that come with it.
    fn identity(&self, wanted: &UserInfo) -> Result<UserInfo, Status> {
        let groups = self.username(wanted)?;
        if !wanted.uid.is_empty() {
            self.require(&self.attributes(AUTHENTICATION, "uids", &wanted.uid))?;
        }
        self.groups(&wanted.groups)?;
        self.extra(&wanted.extra)?;
        let mut user = UserInfo {
            groups,
            ..wanted.clone()
        };
        let everyone = if user.username == ANONYMOUS || user.in_group(UNAUTHENTICATED) {
            UNAUTHENTICATED
        } else {
            AUTHENTICATED
        };
        if !user.in_group(everyone) {
            user.groups.push(everyone.to_owned());
        }
        Ok(user)
    }

    /// The groups of the identity: those asked for, or those that a service account or a node always has.
    fn username(&self, wanted: &UserInfo) -> Result<Vec<String>, Status> {
        let mut groups = wanted.groups.clone();
        let account = split_username(&wanted.username);
        let node = node_name(&wanted.username).filter(|_| self.mode != Mode::Classic);
        let asked = if let Some((namespace, name)) = account {
            if groups.is_empty() {
                groups = service_account::groups(namespace).into();
            }
            Attributes {
                namespace: namespace.to_owned(),
                ..self.attributes(self.group(), "serviceaccounts", name)
            }
        } else if let Some(node) = node {
            groups = vec![NODES.to_owned()];
            let any = self.mode == Mode::AssociatedNode;
            self.attributes(self.group(), "nodes", if any { "*" } else { node })
        } else {
            self.attributes(self.group(), "users", &wanted.username)
        };
        self.require(&asked)?;
        Ok(groups)
    }

    fn groups(&self, groups: &[String]) -> Result<(), Status> {
        let asked = |name: &str| self.attributes(self.group(), "groups", name);
        if self.mode != Mode::Classic {
            for (forbidden, what) in [
                ("", "the empty string group"),
                (MASTERS, "the system:masters group"),
            ] {
                if groups.iter().any(|group| group == forbidden) {
                    let why = format!("impersonating {what} is not allowed");
                    return Err(asked(forbidden).forbidden(self.requestor, &why));
                }
            }
            if groups.len() >= MANY && self.require(&asked("*")).is_ok() {
                return Ok(());
            }
        }
        groups
            .iter()
            .try_for_each(|group| self.require(&asked(group)))
    }

    fn extra(&self, extra: &BTreeMap<String, Vec<String>>) -> Result<(), Status> {
        let asked = |key: &str, value: &str| Attributes {
            subresource: key.to_owned(),
            ..self.attributes(AUTHENTICATION, "userextras", value)
        };
        let pairs = || {
            extra
                .iter()
                .flat_map(|(key, values)| values.iter().map(move |v| (key, v)))
        };
        if self.mode != Mode::Classic {
            for (key, value) in pairs() {
                let what = if key.is_empty() {
                    "the empty string key"
                } else if !is_domain_prefixed_path(key) {
                    "an invalid key"
                } else if value.is_empty() {
                    "the empty string value"
                } else {
                    continue;
                };
                let why = format!("impersonating {what} in extra is not allowed");
                return Err(asked("", "").forbidden(self.requestor, &why));
            }
            if pairs().count() >= MANY && self.require(&asked("*", "*")).is_ok() {
                return Ok(());
            }
        }
        pairs().try_for_each(|(key, value)| self.require(&asked(key, value)))
    }

    /// Users and groups are in the core group for the classic form.
    fn group(&self) -> &'static str {
        match self.mode {
            Mode::Classic => "",
            _ => AUTHENTICATION,
        }
    }

    fn attributes(&self, group: &str, resource: &str, name: &str) -> Attributes {
        Attributes {
            verb: match self.mode.name() {
                Some(mode) => format!("impersonate:{mode}"),
                None => "impersonate".to_owned(),
            },
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            is_resource_request: true,
            ..Attributes::default()
        }
    }

    fn require(&self, asked: &Attributes) -> Result<(), Status> {
        self.rbac.require(self.requestor, asked)
    }
}

const AUTHENTICATION: &str = "authentication.k8s.io";

fn node_name(username: &str) -> Option<&str> {
    let name = username.strip_prefix(NODE_PREFIX)?;
    is_dns_subdomain(name).then_some(name)
}

/// A domain, a slash, and a path: `example.com/scopes`.
fn is_domain_prefixed_path(key: &str) -> bool {
    let path = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    key.split_once('/').is_some_and(|(domain, rest)| {
        is_dns_subdomain(domain) && !rest.is_empty() && rest.bytes().all(path)
    })
}
