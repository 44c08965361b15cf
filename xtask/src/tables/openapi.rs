//! The published `OpenAPI` documents, for what the server's own merging of fields goes by.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::Result;
use super::modules::Modules;

/// The schemas of every group version, by name: `io.k8s.api.core.v1.Pod`.
pub(super) struct OpenApi {
    schemas: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    components: Components,
}

#[derive(Default, Deserialize)]
struct Components {
    #[serde(default)]
    schemas: BTreeMap<String, Value>,
}

impl OpenApi {
    pub(super) fn read(modules: &Modules) -> Result<Self> {
        let mut schemas = BTreeMap::new();
        for entry in fs::read_dir(modules.kubernetes.join("api/openapi-spec/v3"))? {
            let path = entry?.path();
            let document: Document = serde_json::from_slice(&fs::read(&path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            schemas.extend(document.components.schemas);
        }
        Ok(Self { schemas })
    }

    /// Whether the struct `ty` of the package at `path` is owned as one: `+structType=atomic`.
    pub(super) fn is_atomic(&self, path: &str, ty: &str) -> bool {
        self.schemas
            .get(&name(path, ty))
            .is_some_and(|schema| schema["x-kubernetes-map-type"] == "atomic")
    }

    /// The call that tells a [`Field`](../../../crates/inpod-apiserver/src/schema/types.rs) how its elements are owned; empty
    /// for what is usual: lists as one, maps and structs by their members.
    pub(super) fn merge(&self, path: &str, ty: &str, json: &str) -> Result<String> {
        let Some(schema) = self.schemas.get(&name(path, ty)) else {
            return Ok(String::new());
        };
        let field = &schema["properties"][json];
        if let Some(map_type) = field["x-kubernetes-map-type"].as_str() {
            return Ok(format!(".{map_type}()"));
        }
        match field["x-kubernetes-list-type"].as_str() {
            None | Some("atomic") => Ok(String::new()),
            Some("set") => Ok(".set()".into()),
            Some("map") => {
                let item = reference(&field["items"]).and_then(|name| self.schemas.get(name));
                let keys: Vec<(&str, Option<&str>)> = field["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|key| (key, item.and_then(|item| default(item, key))))
                    .collect();
                Ok(format!(".keyed(&{keys:?})"))
            }
            Some(other) => Err(format!("{path}.{ty}.{json}: unknown list type {other}").into()),
        }
    }
}

/// The name of the struct `ty` of the package at `path`.
fn name(path: &str, ty: &str) -> String {
    let path = path.replacen("k8s.io", "io.k8s", 1).replace('/', ".");
    format!("{path}.{ty}")
}

/// The schema that `schema` refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())?
        .strip_prefix("#/components/schemas/")
}

/// What stands for a key that an item of a list may leave out.
fn default<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    let required = item["required"]
        .as_array()
        .is_some_and(|required| required.iter().any(|name| name == key));
    let default = item["properties"][key]["default"].as_str();
    default.filter(|_| !required)
}
