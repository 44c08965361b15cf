//! The kinds that need more than their table row, one file each.

mod access_reviews;
mod age;
mod config_maps;
mod endpoint_slices;
mod endpoints;
mod event_versions;
mod events;
pub(crate) mod field;
mod leases;
pub(crate) mod names;
mod namespaces;
mod nodes;
mod pods;
mod role_bindings;
mod roles;
mod secrets;
mod self_subject_reviews;
mod service_accounts;
mod services;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token_requests;
mod token_reviews;

use serde_json::Value;

use crate::registry::{Column, Special, Strategy};
use crate::schema::{self, Json, Resource, Subresource};

pub(crate) use names::name_problems;
pub(crate) use services::allocate as allocate_service;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// What `resource` adds to the generic verbs.
pub(crate) fn strategy(resource: &Resource) -> &'static dyn Strategy {
    match resource.storage {
        ("", "configmaps") => &config_maps::ConfigMaps,
        ("", "endpoints") => &endpoints::Endpoints,
        ("", "events") if is_events_v1(resource) => &events::Events::New,
        ("", "events") => &events::Events::Core,
        ("", "namespaces") => &namespaces::Namespaces,
        ("", "nodes") => &nodes::Nodes,
        ("", "pods") => &pods::Pods,
        ("", "secrets") => &secrets::Secrets,
        ("", "services") => &services::Services,
        ("", "serviceaccounts") => &service_accounts::ServiceAccounts,
        ("coordination.k8s.io", "leases") => &leases::Leases,
        ("discovery.k8s.io", "endpointslices") => &endpoint_slices::EndpointSlices,
        (RBAC, "clusterrolebindings") => &role_bindings::RoleBindings::Cluster,
        (RBAC, "clusterroles") => &roles::Roles::Cluster,
        (RBAC, "rolebindings") => &role_bindings::RoleBindings::Namespaced,
        (RBAC, "roles") => &roles::Roles::Namespaced,
        _ => &Plain,
    }
}

/// The code behind a resource or subresource that is no stored object.
pub(crate) fn special(
    resource: &Resource,
    subresource: Option<&Subresource>,
) -> Option<&'static dyn Special> {
    let subresource = subresource.map_or("", |s| s.name);
    Some(match (resource.group, resource.name, subresource) {
        ("", "pods", "binding") | ("", "bindings", "") => &pods::Binding,
        ("", "serviceaccounts", "token") => &token_requests::TokenRequests,
        (AUTHENTICATION, "tokenreviews", "") => &token_reviews::TokenReviews,
        (AUTHENTICATION, "selfsubjectreviews", "") => &self_subject_reviews::SelfSubjectReviews,
        (AUTHORIZATION, "localsubjectaccessreviews", "") => &access_reviews::AccessReviews::Local,
        (AUTHORIZATION, "selfsubjectaccessreviews", "") => &access_reviews::AccessReviews::Own,
        (AUTHORIZATION, "selfsubjectrulesreviews", "") => {
            &self_subject_reviews::SelfSubjectRulesReviews
        }
        (AUTHORIZATION, "subjectaccessreviews", "") => &access_reviews::AccessReviews::Any,
        _ => return None,
    })
}

/// A body of `resource` as it is stored: in the storage version, without kind and apiVersion.
pub(crate) fn to_storage(resource: &Resource, mut object: Json) -> Json {
    object.shift_remove("kind");
    object.shift_remove("apiVersion");
    if is_events_v1(resource) {
        event_versions::to_core(&mut object);
    }
    object
}

/// A stored object as `resource` serves it, with kind and apiVersion in front.
pub(crate) fn served(resource: &Resource, stored: Json) -> Json {
    let mut object = Json::new();
    object.insert("kind".to_owned(), resource.kind.into());
    object.insert("apiVersion".to_owned(), api_version(resource).into());
    object.extend(served_item(resource, stored));
    object
}

/// A stored object as `resource` serves it in a list, where items have no kind and apiVersion.
pub(crate) fn served_item(resource: &Resource, mut stored: Json) -> Json {
    if is_events_v1(resource) {
        event_versions::from_core(&mut stored);
    }
    stored
}

/// Whether `resource` serves stored objects as they are, so that their bytes can be passed on.
pub(crate) fn served_as_stored(resource: &Resource) -> bool {
    !is_events_v1(resource)
}

fn is_events_v1(resource: &Resource) -> bool {
    resource.group == "events.k8s.io" && resource.name == "events"
}

fn api_version(resource: &Resource) -> String {
    schema::api_version(resource.group, resource.version)
}

/// The object of a literal.
fn object(value: Value) -> Json {
    match value {
        Value::Object(object) => object,
        _ => Json::new(),
    }
}

/// A kind that adds nothing: name and age are all it shows.
struct Plain;

impl Strategy for Plain {
    fn cells(&self, object: &Json, now: i64) -> Vec<Value> {
        vec![name(object), age::age(object, now)]
    }
}

/// The first cell of most rows.
fn name(object: &Json) -> Value {
    use crate::registry::json::Fields as _;
    object.text("metadata.name").into()
}

/// A column that is always shown.
const fn column(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
    }
}

/// A column that `-o wide` shows.
const fn wide(name: &'static str) -> Column {
    Column {
        priority: 1,
        ..column(name)
    }
}
