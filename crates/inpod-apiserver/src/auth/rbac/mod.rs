//! The RBAC authorizer: roles are lists of rules, bindings give them to users, groups and service accounts.

mod aggregation;
mod bootstrap;
mod covers;
mod escalation;
mod index;
mod rule;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use inpod::RequestInfo;
use serde_json::{Value, json};

use self::index::{Index, RESOURCES};
use self::rule::Rule;
use crate::breaks::{self, Break};
use crate::quote::quoted;
use crate::schema::Json;
use crate::storage::Lookup;
use crate::{Status, UserInfo};

pub(crate) use self::aggregation::outdated_cluster_roles;
pub(crate) use self::bootstrap::bootstrap_objects;

/// The group that may do everything, whatever the roles say.
pub(crate) const MASTERS: &str = "system:masters";

/// The RBAC authorizer. Its index is rebuilt when [`Lookup::generation`] of the four RBAC kinds moves.
#[derive(Debug)]
pub(crate) struct Rbac {
    lookup: Arc<dyn Lookup>,
    /// The index, and the generation it is of.
    index: Mutex<(Option<u64>, Arc<Index>)>,
}

/// What is asked of the authorizer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) namespace: String,
    pub(crate) group: String,
    #[expect(
        dead_code,
        reason = "reviews have it, as other authorizers may look at it; RBAC does not"
    )]
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// For what is no resource.
    pub(crate) path: String,
    pub(crate) is_resource_request: bool,
}

/// The authorizer's answer, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow(String),
    NoOpinion(String),
}

impl Rbac {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            index: Mutex::default(),
        }
    }

    /// Whether `user` may; members of `system:masters` always.
    pub(crate) fn decide(&self, user: &UserInfo, attributes: &Attributes) -> Decision {
        let open = breaks::is_on(Break::OpenReads) && attributes.verb == "get";
        if user.in_group(MASTERS) || open {
            return Decision::Allow(String::new());
        }
        let index = self.index();
        let mut errors = Vec::new();
        for (binding, subject) in index.bindings(user, &attributes.namespace) {
            match index.rules(binding) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    let source = binding.describe(subject);
                    return Decision::Allow(format!("RBAC: allowed by {source}"));
                }
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        Decision::NoOpinion(match aggregate(&errors) {
            // The first word is the authorizer's name in the server's chain of them.
            Some(errors) => format!("rbac: RBAC: {errors}"),
            None => String::new(),
        })
    }

    /// The 403 of a request that is not allowed, with the real server's sentence.
    pub(crate) fn authorize(&self, user: &UserInfo, info: &RequestInfo) -> Result<(), Status> {
        self.require(user, &Attributes::of(info))
    }

    /// As [`Rbac::authorize`], for what is asked besides the request itself.
    pub(crate) fn require(&self, user: &UserInfo, attributes: &Attributes) -> Result<(), Status> {
        match self.decide(user, attributes) {
            Decision::Allow(_) => Ok(()),
            Decision::NoOpinion(reason) => Err(attributes.forbidden(user, &reason)),
        }
    }

    /// The `status` of a `SelfSubjectRulesReview`: `resourceRules`, `nonResourceRules`, `incomplete`.
    pub(crate) fn rules(&self, user: &UserInfo, namespace: &str) -> Json {
        let (rules, errors) = self.held(user, namespace);
        let mut resource_rules = Vec::new();
        let mut non_resource_rules = Vec::new();
        for rule in &rules {
            if !rule.resources.is_empty() {
                resource_rules.push(json!(Rule {
                    non_resource_urls: Vec::new(),
                    ..rule.clone()
                }));
            }
            if !rule.non_resource_urls.is_empty() {
                non_resource_rules.push(json!(Rule {
                    verbs: rule.verbs.clone(),
                    non_resource_urls: rule.non_resource_urls.clone(),
                    ..Rule::default()
                }));
            }
        }
        let mut status = Json::from_iter([
            ("resourceRules".to_owned(), Value::Array(resource_rules)),
            (
                "nonResourceRules".to_owned(),
                Value::Array(non_resource_rules),
            ),
            ("incomplete".to_owned(), Value::Bool(false)),
        ]);
        if let Some(errors) = aggregate(&errors) {
            status.insert("evaluationError".to_owned(), Value::String(errors));
        }
        status
    }

    /// All rules that apply to `user`, and what is wrong with bindings that would apply.
    fn held(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let index = self.index();
        let mut held = Vec::new();
        let mut errors = Vec::new();
        for (binding, _) in index.bindings(user, namespace) {
            match index.rules(binding) {
                Ok(rules) => held.extend(rules.iter().cloned()),
                Err(error) => errors.push(error),
            }
        }
        (held, errors)
    }

    /// The index of now. The generation is read before the objects are: an index is at worst newer than it says.
    fn index(&self) -> Arc<Index> {
        let generation = self.lookup.generation(RESOURCES);
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.0 != Some(generation) {
            let built = Index::build(&*self.lookup, &index.1);
            *index = (Some(generation), Arc::new(built));
        }
        index.1.clone()
    }
}

impl Attributes {
    /// What a request asks.
    pub(crate) fn of(info: &RequestInfo) -> Self {
        Self {
            verb: info.verb.clone(),
            namespace: info.namespace.clone(),
            group: info.api_group.clone(),
            version: info.api_version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            name: info.name.clone(),
            path: info.path.clone(),
            is_resource_request: info.is_resource_request,
        }
    }

    /// The 403 of a request that asks this and may not.
    pub(super) fn forbidden(&self, user: &UserInfo, reason: &str) -> Status {
        let mut why = format!("User {} cannot {} ", quoted(&user.username), self.verb);
        if self.is_resource_request {
            let resource = match self.subresource.as_str() {
                "" => self.resource.clone(),
                subresource => format!("{}/{subresource}", self.resource),
            };
            let place = match self.namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {}", quoted(namespace)),
            };
            let (resource, group) = (quoted(&resource), quoted(&self.group));
            let _ = write!(why, "resource {resource} in API group {group} {place}");
        } else {
            let _ = write!(why, "path {}", quoted(&self.path));
        }
        // The sentence echoes what the client sent, and must not be taken for HTML by a browser.
        let mut why = why
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        if !reason.is_empty() {
            why.push_str(": ");
            why.push_str(reason);
        }
        Status::forbidden(&self.group, &self.resource, &self.name, &why)
    }
}

/// Several errors in one, as `k8s.io/apimachinery`'s `Aggregate` writes them: each once, between brackets if there are more.
fn aggregate(errors: &[String]) -> Option<String> {
    let mut once: Vec<&str> = Vec::new();
    for error in errors {
        if !once.contains(&error.as_str()) {
            once.push(error);
        }
    }
    match once.as_slice() {
        [] => None,
        [error] => Some((*error).to_owned()),
        errors => Some(format!("[{}]", errors.join(", "))),
    }
}
