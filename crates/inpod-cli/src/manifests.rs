//! `-f FILE|DIR|-`: manifests, loaded through the API like anybody's.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use inpod::{Client, Error};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// The objects of all `sources`: files, folders, or `-` for standard input.
pub(crate) fn read_all(sources: &[PathBuf]) -> Result<Vec<Manifest>, Failure> {
    let mut manifests = Vec::new();
    for source in sources {
        manifests.extend(read(source)?);
    }
    Ok(manifests)
}

/// Creates every object; one that exists is merged into.
///
/// Namespaces come first, then service accounts, so that a folder needs no file names that sort.
pub(crate) async fn load(
    client: &Client,
    mut manifests: Vec<Manifest>,
    namespace: &str,
) -> Result<(), Failure> {
    manifests.sort_by_key(|manifest| match manifest.kind.as_str() {
        "Namespace" => 0,
        "ServiceAccount" => 1,
        _ => 2,
    });
    let mut paths = Paths::default();
    for manifest in manifests {
        let doing = format!(
            "{}: {} \"{}\"",
            manifest.source, manifest.kind, manifest.name
        );
        create(client, &mut paths, manifest, namespace)
            .await
            .map_err(|failure| failure.while_(doing))?;
    }
    Ok(())
}

/// One object of a manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    source: String,
    api_version: String,
    kind: String,
    name: String,
    body: Value,
}

fn read(source: &Path) -> Result<Vec<Manifest>, Failure> {
    if source == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::from(error).while_("standard input"))?;
        return parse("standard input", &text);
    }
    let shown = source.display().to_string();
    let cannot = |error: std::io::Error| {
        Failure::from(error).while_(format!("cannot read the manifest {shown}"))
    };
    if !std::fs::metadata(source).map_err(cannot)?.is_dir() {
        return parse(&shown, &std::fs::read_to_string(source).map_err(cannot)?);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(source)
        .map_err(cannot)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(cannot)?;
    files.retain(|file| {
        file.extension().is_some_and(|extension| {
            extension == "yaml" || extension == "yml" || extension == "json"
        })
    });
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(format!(
            "the folder {shown} has no file that ends in .yaml, .yml or .json"
        )));
    }
    let mut all = Vec::new();
    for file in files {
        all.extend(read(&file)?);
    }
    Ok(all)
}

/// The objects of one text: any number of YAML documents (JSON is YAML), lists taken apart.
fn parse(source: &str, text: &str) -> Result<Vec<Manifest>, Failure> {
    // Plain scalars have YAML 1.1's types, as in kubectl: 0444 is octal, `yes` is a boolean.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: false,
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            Failure::new(format!(
                "{source} is not a YAML manifest: {}",
                for_people(&error.to_string())
            ))
        })?;
    let mut manifests = Vec::new();
    for document in documents {
        if document.is_null() {
            continue;
        }
        let is_list = text_at(&document, "kind").ends_with("List");
        match document.get("items").and_then(Value::as_array) {
            Some(items) if is_list => {
                for item in items {
                    manifests.push(manifest(source, item.clone())?);
                }
            }
            _ => manifests.push(manifest(source, document)?),
        }
    }
    Ok(manifests)
}

/// The parser's message in one line, without its advice, which is for programmers.
fn for_people(message: &str) -> &str {
    let message = message.lines().next().unwrap_or(message);
    let message = message.strip_prefix("error: ").unwrap_or(message);
    message
        .split(", set DuplicateKeyPolicy")
        .next()
        .unwrap_or(message)
}

fn manifest(source: &str, body: Value) -> Result<Manifest, Failure> {
    let api_version = text_at(&body, "apiVersion").to_owned();
    let kind = text_at(&body, "kind").to_owned();
    if api_version.is_empty() || kind.is_empty() {
        return Err(Failure::new(format!(
            "{source}: a document has no apiVersion or no kind, so it is no Kubernetes object"
        )));
    }
    let name = body
        .get("metadata")
        .map_or("", |metadata| text_at(metadata, "name"));
    Ok(Manifest {
        source: source.to_owned(),
        name: name.to_owned(),
        api_version,
        kind,
        body,
    })
}

async fn create(
    client: &Client,
    paths: &mut Paths,
    mut manifest: Manifest,
    default_namespace: &str,
) -> Result<(), Failure> {
    let row = paths
        .row(client, &manifest.api_version, &manifest.kind)
        .await?;
    let root = root(&manifest.api_version);
    let collection = if row.namespaced {
        let namespace = namespace_of(&mut manifest.body, default_namespace);
        format!("{root}/namespaces/{namespace}/{}", row.name)
    } else {
        format!("{root}/{}", row.name)
    };
    let created = client
        .create::<_, Value>(
            &format!("{collection}?fieldValidation=Strict"),
            &manifest.body,
        )
        .await;
    match created {
        Err(Error::Api(status))
            if status.reason == "AlreadyExists" && !manifest.name.is_empty() =>
        {
            let path = format!("{collection}/{}?fieldValidation=Strict", manifest.name);
            client
                .merge_patch::<_, Value>(&path, &manifest.body)
                .await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// The namespace the object says, or the default one, written into it.
fn namespace_of(body: &mut Value, default: &str) -> String {
    let metadata = body
        .as_object_mut()
        .map(|object| object.entry("metadata").or_insert_with(|| json!({})));
    let Some(metadata) = metadata.and_then(Value::as_object_mut) else {
        return default.to_owned();
    };
    match metadata.get("namespace").and_then(Value::as_str) {
        Some(namespace) if !namespace.is_empty() => namespace.to_owned(),
        _ => {
            insert(metadata, "namespace", default);
            default.to_owned()
        }
    }
}

/// Where the objects of each kind live, as discovery says.
#[derive(Debug, Default)]
struct Paths(HashMap<String, Vec<Row>>);

#[derive(Debug, Clone, Deserialize)]
struct Row {
    name: String,
    kind: String,
    namespaced: bool,
}

impl Paths {
    async fn row(
        &mut self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Row, Failure> {
        #[derive(Deserialize)]
        struct ResourceList {
            resources: Vec<Row>,
        }
        if !self.0.contains_key(api_version) {
            let list: ResourceList = match client.get(&root(api_version)).await {
                Err(Error::Api(status)) if status.code == 404 => {
                    return Err(Failure::new(format!(
                        "the cluster does not serve {api_version}"
                    )));
                }
                other => other?,
            };
            self.0.insert(api_version.to_owned(), list.resources);
        }
        self.0
            .get(api_version)
            .and_then(|rows| {
                rows.iter()
                    .find(|row| row.kind == kind && !row.name.contains('/'))
            })
            .cloned()
            .ok_or_else(|| {
                Failure::new(format!(
                    "the cluster does not serve the kind {kind} of {api_version}"
                ))
            })
    }
}

fn root(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

fn text_at<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn insert(map: &mut Map<String, Value>, key: &str, value: &str) {
    map.insert(key.to_owned(), value.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        parse("test", text)
            .map(|all| all.into_iter().map(|one| one.kind).collect())
            .map_err(|failure| format!("{failure:?}"))
            .unwrap()
    }

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let text = "apiVersion: v1\nkind: Secret\n---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n- {apiVersion: v1, kind: Node}\n";
        assert_eq!(kinds(text), ["Secret", "Pod", "Node"]);
    }

    #[test]
    fn a_duplicate_key_is_an_error() {
        let failure = parse("m.yaml", "apiVersion: v1\nkind: Pod\nkind: Secret\n").unwrap_err();
        let text = format!("{failure:?}");
        assert!(
            text.contains("m.yaml")
                && text.contains("line 3")
                && text.contains("duplicate mapping key: kind\""),
            "{text}"
        );
    }

    #[test]
    fn plain_scalars_are_read_as_kubectl_reads_them() {
        let text = "apiVersion: v1\nkind: Pod\nmode: 0444\nflags: [on, 'on']\n";
        let manifests = parse("test", text)
            .map_err(|failure| failure.to_string())
            .unwrap();
        assert_eq!(manifests[0].body["mode"], 0o444);
        assert_eq!(manifests[0].body["flags"], json!([true, "on"]));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(parse("m.yaml", "just text").is_err());
        assert!(parse("m.yaml", "a: [").is_err());
    }

    #[test]
    fn the_namespace_is_put_in_where_none_is_said() {
        let mut body = json!({"metadata": {"name": "a"}});
        assert_eq!(namespace_of(&mut body, "team"), "team");
        assert_eq!(body["metadata"]["namespace"], "team");
        assert_eq!(namespace_of(&mut body, "other"), "team");
    }
}
