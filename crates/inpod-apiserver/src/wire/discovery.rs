//! What the server serves, as documents: `/api`, `/apis` and what is below them, and both in one document each.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::breaks::{self, Break};
use crate::schema::{self, GroupVersions, Json, Resource, Subresource, api_version};

/// `/api`: the versions of the core group, and where clients reach them.
pub(super) fn api_versions(server: SocketAddr) -> Json {
    document(json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server.to_string()}],
    }))
}

/// `/apis`: the groups.
pub(super) fn group_list() -> Json {
    let groups: Vec<Value> = schema::group_versions()
        .iter()
        .filter(|group| !group.group.is_empty())
        .map(|group| group_body(group).into())
        .collect();
    document(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `/apis/{group}`; nothing where it is not served.
pub(super) fn group(name: &str) -> Option<Json> {
    let served = schema::group_versions()
        .iter()
        .find(|group| !name.is_empty() && group.group == name)?;
    let mut group = document(json!({"kind": "APIGroup", "apiVersion": "v1"}));
    group.extend(group_body(served));
    Some(group)
}

/// `/apis/{group}/{version}` or, with an empty group, `/api/{version}`; nothing where it is not served.
pub(super) fn resource_list(group: &str, version: &str) -> Option<Json> {
    let mut resources = Vec::new();
    for resource in of(group).filter(|r| r.version == version) {
        resources.push(resource_row(resource));
        resources.extend(
            resource
                .subresources
                .iter()
                .map(|subresource| subresource_row(resource, subresource)),
        );
    }
    if resources.is_empty() {
        return None;
    }
    // As published: only the core group's list leaves its apiVersion out.
    let mut list = document(json!({"kind": "APIResourceList"}));
    if !group.is_empty() {
        list.insert("apiVersion".to_owned(), "v1".into());
    }
    list.insert(
        "groupVersion".to_owned(),
        api_version(group, version).into(),
    );
    list.insert("resources".to_owned(), resources.into());
    Some(list)
}

/// `/api` (`core`) or `/apis` in one document, as `apidiscovery.k8s.io/v2` has it.
pub(super) fn aggregated(core: bool) -> Json {
    let items: Vec<Value> = schema::group_versions()
        .iter()
        .filter(|group| group.group.is_empty() == core)
        .map(aggregated_group)
        .collect();
    document(json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }))
}

fn of(group: &str) -> impl Iterator<Item = &'static Resource> {
    schema::resources().iter().filter(move |r| r.group == group)
}

fn group_body(group: &GroupVersions) -> Json {
    let version = |version: &str| json!({"groupVersion": api_version(group.group, version), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|v| version(v)).collect();
    document(json!({
        "name": group.group,
        "versions": versions,
        "preferredVersion": version(group.preferred),
    }))
}

fn resource_row(resource: &Resource) -> Value {
    let mut row = document(json!({
        "name": resource.name,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    }));
    put_names(&mut row, resource);
    if !resource.storage_version_hash.is_empty() {
        row.insert(
            "storageVersionHash".to_owned(),
            resource.storage_version_hash.into(),
        );
    }
    row.into()
}

fn subresource_row(resource: &Resource, subresource: &Subresource) -> Value {
    let (group, version, kind) = kind_of(resource, subresource);
    let mut row = document(json!({
        "name": format!("{}/{}", resource.name, subresource.name),
        "singularName": "",
        "namespaced": resource.namespaced,
    }));
    if (group, version) != (resource.group, resource.version) {
        row.insert("group".to_owned(), group.into());
        row.insert("version".to_owned(), version.into());
    }
    row.insert("kind".to_owned(), kind.into());
    row.insert("verbs".to_owned(), json!(subresource.verbs));
    row.into()
}

fn aggregated_group(group: &GroupVersions) -> Value {
    let name = group.group;
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = of(name)
                .filter(|r| r.version == *version)
                .map(aggregated_resource)
                .collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if name.is_empty() {
        json!({})
    } else {
        json!({"name": name})
    };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let mut row = document(json!({
        "resource": resource.name,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    }));
    put_names(&mut row, resource);
    if !resource.subresources.is_empty() {
        let rows: Vec<Value> = resource
            .subresources
            .iter()
            .map(|subresource| {
                let (mut group, mut version, kind) = kind_of(resource, subresource);
                // Empty stands for the resource's own.
                if (group, version) == (resource.group, resource.version) {
                    (group, version) = ("", "");
                }
                json!({
                    "subresource": subresource.name,
                    "responseKind": {"group": group, "version": version, "kind": kind},
                    "verbs": subresource.verbs,
                })
            })
            .collect();
        row.insert("subresources".to_owned(), rows.into());
    }
    row.into()
}

fn put_names(row: &mut Json, resource: &Resource) {
    for (key, names) in [
        ("shortNames", resource.short_names),
        ("categories", resource.categories),
    ] {
        if !names.is_empty() && !breaks::is_on(Break::NoShortNames) {
            row.insert(key.to_owned(), json!(names));
        }
    }
}

fn kind_of(
    resource: &Resource,
    subresource: &Subresource,
) -> (&'static str, &'static str, &'static str) {
    match subresource.kind {
        (_, _, "") => (resource.group, resource.version, resource.kind),
        kind => kind,
    }
}

fn document(value: Value) -> Json {
    match value {
        Value::Object(map) => map,
        _ => Json::new(),
    }
}
