//! `/openapi/v3`: the paths that are served and the parameters they take, as `OpenAPI` 3, without the schemas of the objects.
//!
//! kubectl reads it before it creates anything from a file, to learn whether the server validates fields itself.

use serde_json::{Value, json};

use super::document_hash;
use crate::schema::{self, Json, Resource, api_version};

/// Parameters of reads of a collection.
const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "orphanDependents",
    "propagationPolicy",
];

/// `/openapi/v3`: where the document of each group and version is.
pub(super) fn index() -> Json {
    let mut paths = Json::new();
    for group in schema::group_versions() {
        for version in group.versions {
            let root = root(group.group, version);
            let hash = document_hash(&of(group.group, version).unwrap_or_default());
            let url = format!("/openapi/v3/{root}?hash={hash}");
            paths.insert(root, json!({"serverRelativeURL": url}));
        }
    }
    Json::from_iter([("paths".to_owned(), paths.into())])
}

/// The document of a group and version; nothing where it is not served.
pub(super) fn of(group: &str, version: &str) -> Option<Json> {
    let mut paths = Json::new();
    let resources = schema::resources().iter();
    for resource in resources.filter(|r| r.group == group && r.version == version) {
        let mut path = format!("/{}", root(group, version));
        if resource.namespaced {
            path.push_str("/namespaces/{namespace}");
        }
        path.push('/');
        path.push_str(resource.name);
        let item = operations(
            resource,
            &[
                ("get", "get", &[]),
                ("put", "update", WRITE),
                ("patch", "patch", WRITE),
                ("delete", "delete", DELETE),
            ],
        );
        let collection = operations(
            resource,
            &[
                ("get", "list", LIST),
                ("post", "create", WRITE),
                ("delete", "deletecollection", DELETE),
            ],
        );
        for (path, operations) in [(format!("{path}/{{name}}"), item), (path, collection)] {
            if !operations.is_empty() {
                paths.insert(path, operations.into());
            }
        }
    }
    (!paths.is_empty()).then(|| {
        Json::from_iter([
            ("openapi".to_owned(), "3.0.0".into()),
            (
                "info".to_owned(),
                json!({"title": "Kubernetes", "version": super::KUBERNETES_VERSION}),
            ),
            ("paths".to_owned(), paths.into()),
            ("components".to_owned(), json!({"schemas": {}})),
        ])
    })
}

/// The operations of those (method, verb, parameters) that the resource has.
fn operations(resource: &Resource, verbs: &[(&str, &str, &[&str])]) -> Json {
    verbs
        .iter()
        .filter(|(_, verb, _)| resource.verbs.contains(verb))
        .map(|(method, verb, parameters)| {
            let parameters: Vec<Value> = parameters
                .iter()
                .map(|name| json!({"name": name, "in": "query"}))
                .collect();
            let operation = json!({
                "parameters": parameters,
                "responses": {},
                "x-kubernetes-action": verb,
                "x-kubernetes-group-version-kind": {
                    "group": resource.group,
                    "version": resource.version,
                    "kind": resource.kind,
                },
            });
            ((*method).to_owned(), operation)
        })
        .collect()
}

/// `api/v1`, `apis/{group}/{version}`.
fn root(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", api_version(group, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_that_it_validates_fields() {
        let document = of("", "v1").expect("the core group is served");
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"];
        assert_eq!(
            patch["x-kubernetes-group-version-kind"]["kind"],
            "ConfigMap"
        );
        let parameters = patch["parameters"].as_array().expect("parameters");
        assert!(parameters.contains(&json!({"name": "fieldValidation", "in": "query"})));
        assert!(document["paths"]["/api/v1/nodes/{name}"].is_object());
    }

    #[test]
    fn the_index_names_every_group_and_version() {
        let index = index();
        let url = &index["paths"]["apis/rbac.authorization.k8s.io/v1"]["serverRelativeURL"];
        let url = url.as_str().expect("a URL");
        assert!(url.starts_with("/openapi/v3/apis/rbac.authorization.k8s.io/v1?hash="));
        assert_eq!(of("none", "v1"), None);
    }
}
