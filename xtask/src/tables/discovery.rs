//! Resources and group versions, from the published discovery documents.

use std::fmt::Write as _;
use std::fs;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::modules::Modules;
use super::served::SERVED;
use super::{HEADER, Result, Table};

#[derive(Deserialize)]
struct ApiGroupList {
    groups: Vec<ApiGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup {
    name: String,
    preferred_version: GroupVersion,
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct ApiResourceList {
    resources: Vec<ApiResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ApiResource {
    name: String,
    singular_name: String,
    namespaced: bool,
    group: String,
    version: String,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
    storage_version_hash: String,
}

/// The discovery documents.
pub(super) struct Discovery<'a> {
    modules: &'a Modules,
    /// The core group, then the others in the order of `/apis`.
    groups: Vec<ApiGroup>,
}

impl<'a> Discovery<'a> {
    pub(super) fn read(modules: &'a Modules) -> Result<Self> {
        let core = || GroupVersion {
            version: "v1".into(),
        };
        let mut groups = vec![ApiGroup {
            name: String::new(),
            preferred_version: core(),
            versions: vec![core()],
        }];
        let published: ApiGroupList = read(modules, "apis.json")?;
        groups.extend(published.groups);
        Ok(Self { modules, groups })
    }

    /// Every group and version that a real server has.
    pub(super) fn group_versions(&self) -> Vec<(String, String)> {
        let of = |group: &ApiGroup| {
            let name = group.name.clone();
            group
                .versions
                .iter()
                .map(move |v| (name.clone(), v.version.clone()))
                .collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of).collect()
    }

    fn resources(&self, group: &str, version: &str) -> Result<Vec<ApiResource>> {
        let list: ApiResourceList = match group {
            "" => read(self.modules, &format!("api__{version}.json"))?,
            _ => read(self.modules, &format!("apis__{group}__{version}.json"))?,
        };
        Ok(list.resources)
    }

    /// The table of what is served.
    pub(super) fn table(&self) -> Result<Table> {
        let mut text = String::from(HEADER);
        text.push_str("use crate::schema::{GroupVersions, Resource, Subresource};\n\n");
        group_versions(&mut text, &self.groups)?;
        text.push_str("pub(in crate::schema) static RESOURCES: &[Resource] = &[\n");
        let mut storages = Storages::default();
        for group in &self.groups {
            for GroupVersion { version } in &group.versions {
                let Some(names) = served(&group.name, version) else {
                    continue;
                };
                let rows = self.resources(&group.name, version)?;
                for name in names.iter().filter(|name| !name.contains('/')) {
                    let row = find(&rows, name)?;
                    let prefix = format!("{name}/");
                    let subresources = names
                        .iter()
                        .filter(|name| name.starts_with(&prefix))
                        .map(|name| find(&rows, name))
                        .collect::<Result<Vec<_>>>()?;
                    let storage = storages.of(&group.name, row);
                    resource(
                        &mut text,
                        &group.name,
                        version,
                        row,
                        &storage,
                        &subresources,
                    )?;
                }
            }
        }
        text.push_str("];\n");
        Ok(Table {
            name: "resources.rs".into(),
            text,
        })
    }
}

/// Resources whose objects are the same have the same hash: the one that discovery lists first lends its name to all.
#[derive(Default)]
struct Storages(Vec<(String, (String, String))>);

impl Storages {
    fn of(&mut self, group: &str, row: &ApiResource) -> (String, String) {
        let hash = &row.storage_version_hash;
        let known = self.0.iter().find(|(known, _)| known == hash);
        match known {
            Some((hash, storage)) if !hash.is_empty() => storage.clone(),
            _ => {
                let storage = (group.to_owned(), row.name.clone());
                self.0.push((hash.clone(), storage.clone()));
                storage
            }
        }
    }
}

fn group_versions(text: &mut String, groups: &[ApiGroup]) -> Result<()> {
    text.push_str("pub(in crate::schema) static GROUP_VERSIONS: &[GroupVersions] = &[\n");
    for group in groups {
        let versions: Vec<&str> = group
            .versions
            .iter()
            .map(|v| v.version.as_str())
            .filter(|version| served(&group.name, version).is_some())
            .collect();
        if versions.is_empty() {
            continue;
        }
        let preferred = &group.preferred_version.version;
        let preferred = if versions.contains(&preferred.as_str()) {
            preferred
        } else {
            versions[0]
        };
        writeln!(
            text,
            "    GroupVersions {{ group: {:?}, versions: &{versions:?}, preferred: {preferred:?} }},",
            group.name
        )?;
    }
    text.push_str("];\n\n");
    Ok(())
}

fn resource(
    text: &mut String,
    group: &str,
    version: &str,
    row: &ApiResource,
    storage: &(String, String),
    subresources: &[&ApiResource],
) -> Result<()> {
    let ApiResource {
        name,
        singular_name,
        namespaced,
        kind,
        verbs,
        short_names,
        categories,
        storage_version_hash,
        ..
    } = row;
    writeln!(text, "    Resource {{")?;
    writeln!(
        text,
        "        group: {group:?}, version: {version:?}, name: {name:?},"
    )?;
    writeln!(
        text,
        "        singular: {singular_name:?}, kind: {kind:?}, namespaced: {namespaced},"
    )?;
    writeln!(text, "        verbs: &{verbs:?},")?;
    writeln!(
        text,
        "        short_names: &{short_names:?}, categories: &{categories:?},"
    )?;
    writeln!(
        text,
        "        storage_version_hash: {storage_version_hash:?}, storage: {storage:?},"
    )?;
    if subresources.is_empty() {
        writeln!(text, "        subresources: &[],")?;
    } else {
        writeln!(text, "        subresources: &[")?;
        for sub in subresources {
            let (group, version) = if sub.version.is_empty() {
                (group, version)
            } else {
                (sub.group.as_str(), sub.version.as_str())
            };
            writeln!(
                text,
                "            Subresource {{ name: {:?}, kind: ({group:?}, {version:?}, {:?}), verbs: &{:?} }},",
                sub.name.rsplit('/').next().unwrap_or_default(),
                sub.kind,
                sub.verbs
            )?;
        }
        writeln!(text, "        ],")?;
    }
    writeln!(text, "    }},")?;
    Ok(())
}

fn served(group: &str, version: &str) -> Option<&'static [&'static str]> {
    let (_, _, names) = SERVED
        .iter()
        .find(|(g, v, _)| *g == group && *v == version)?;
    Some(names)
}

fn find<'a>(rows: &'a [ApiResource], name: &str) -> Result<&'a ApiResource> {
    rows.iter()
        .find(|row| row.name == name)
        .ok_or_else(|| format!("discovery has no resource {name}").into())
}

fn read<T: DeserializeOwned>(modules: &Modules, name: &str) -> Result<T> {
    let path = modules.kubernetes.join("api/discovery").join(name);
    let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}
