//! The default roles and bindings of RBAC, from the files that Kubernetes' own test holds them to.

use std::fs;

use serde_json::Value;

use super::modules::Modules;
use super::{Result, Table};

const FOLDER: &str = "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata";
/// Those of a cluster with the default feature gates.
const FILES: &[&str] = &[
    "cluster-roles.yaml",
    "cluster-role-bindings.yaml",
    "controller-roles.yaml",
    "controller-role-bindings.yaml",
    "namespace-roles.yaml",
    "namespace-role-bindings.yaml",
];

/// One object a line, its kind first.
pub(super) fn generate(modules: &Modules) -> Result<Table> {
    let mut text = String::new();
    for file in FILES {
        let path = modules.kubernetes.join(FOLDER).join(file);
        let yaml =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let list: Value = serde_saphyr::from_str(&yaml)?;
        let items = list["items"]
            .as_array()
            .ok_or_else(|| format!("{file} is no list"))?;
        for item in items {
            let mut object = serde_json::Map::new();
            object.insert("kind".into(), item["kind"].clone());
            for (key, value) in item
                .as_object()
                .ok_or_else(|| format!("{file}: no object"))?
            {
                object.insert(key.clone(), value.clone());
            }
            text += &serde_json::to_string(&object)?;
            text.push('\n');
        }
    }
    Ok(Table {
        name: "roles.jsonl".into(),
        text,
    })
}
