//! As much of Go as declares types: structs with their tags, and named types, in gofmt's layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Result;

/// The type declarations of one package.
#[derive(Debug, Default)]
pub(super) struct Package {
    /// The import path.
    pub(super) path: String,
    pub(super) types: BTreeMap<String, Declaration>,
    /// The value of the constant `GroupName`, in a package of API types.
    pub(super) group: Option<String>,
}

#[derive(Debug)]
pub(super) struct Declaration {
    pub(super) body: Body,
    /// Import paths by the names that the declaring file uses for them.
    imports: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) enum Body {
    Struct(Vec<GoField>),
    /// Any other type, as it is written.
    Named(String),
}

/// A field of a struct that JSON knows.
#[derive(Debug, Clone)]
pub(super) struct GoField {
    /// The type, as it is written.
    pub(super) ty: String,
    /// The name in JSON, empty where the struct is inlined.
    pub(super) json: String,
    pub(super) omitempty: bool,
    pub(super) omitzero: bool,
    /// The number in protobuf, where the field is known there.
    pub(super) number: Option<u16>,
    /// The tag `patchStrategy`, its parts; none where there is no tag.
    pub(super) patch_strategies: Vec<String>,
    /// The tag `patchMergeKey`, empty where there is none.
    pub(super) patch_merge_key: String,
}

impl Package {
    /// Reads the package at the import path `path`, whose files lie in `folder`.
    pub(super) fn read(path: &str, folder: &Path) -> Result<Self> {
        let mut package = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut files: Vec<_> = fs::read_dir(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        files.sort();
        for file in files {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_go = file.extension().is_some_and(|extension| extension == "go");
            if is_go
                && !name.ends_with("_test.go")
                && !name.starts_with("zz_")
                && name != "generated.pb.go"
            {
                package.read_file(&fs::read_to_string(&file)?)?;
            }
        }
        Ok(package)
    }

    fn read_file(&mut self, text: &str) -> Result<()> {
        let text = without_comments(text);
        let imports = imports(&text);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(group) = line.strip_prefix("const GroupName = ") {
                self.group = Some(group.trim().trim_matches('"').to_owned());
            }
            let Some((name, body)) = line
                .strip_prefix("type ")
                .and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            let body = match body.trim() {
                "struct {" => Body::Struct(fields(&mut lines)?),
                "struct {}" => Body::Struct(Vec::new()),
                other => Body::Named(other.trim_start_matches("= ").to_owned()),
            };
            let declaration = Declaration {
                body,
                imports: imports.clone(),
            };
            self.types.insert(name.to_owned(), declaration);
        }
        Ok(())
    }

    /// The import path and the name of the type that `written` names in the file of `declaration`.
    pub(super) fn resolve(
        &self,
        declaration: &Declaration,
        written: &str,
    ) -> Result<(String, String)> {
        match written.split_once('.') {
            None => Ok((self.path.clone(), written.to_owned())),
            Some((package, name)) => {
                let path = declaration.imports.get(package).ok_or_else(|| {
                    format!("{}: {written}: no import is named {package}", self.path)
                })?;
                Ok((path.clone(), name.to_owned()))
            }
        }
    }
}

fn imports(text: &str) -> BTreeMap<String, String> {
    let mut imports = BTreeMap::new();
    for line in text.lines() {
        if line.starts_with("type ") || line.starts_with("func ") {
            break;
        }
        let line = line.trim().trim_start_matches("import ");
        let Some((name, path)) = line.split_once('"') else {
            continue;
        };
        let path = path.trim_end_matches('"');
        let name = match name.trim() {
            "" => path.rsplit('/').next().unwrap_or_default(),
            name => name,
        };
        imports.insert(name.to_owned(), path.to_owned());
    }
    imports
}

/// The fields up to the brace that closes the struct.
fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<GoField>> {
    let mut fields = Vec::new();
    for line in lines {
        if line == "}" {
            return Ok(fields);
        }
        // A field without a tag is none that is sent.
        let Some((declared, tag)) = line.split_once('`') else {
            continue;
        };
        let Some(json) = tag_value(tag, "json") else {
            continue;
        };
        let mut json = json.split(',');
        let name = json.next().unwrap_or_default();
        let options: Vec<&str> = json.collect();
        if name == "-" {
            continue;
        }
        let number = match tag_value(tag, "protobuf").and_then(|tag| tag.split(',').nth(1)) {
            Some(number) => Some(number.parse().map_err(|_| format!("{line}: no number"))?),
            None => None,
        };
        let patch_strategies = tag_value(tag, "patchStrategy").unwrap_or_default();
        // An embedded struct is declared by its type alone.
        let ty = declared.split_whitespace().last().unwrap_or_default();
        fields.push(GoField {
            ty: ty.to_owned(),
            json: name.to_owned(),
            omitempty: options.contains(&"omitempty"),
            omitzero: options.contains(&"omitzero"),
            number,
            patch_strategies: patch_strategies
                .split_terminator(',')
                .map(str::to_owned)
                .collect(),
            patch_merge_key: tag_value(tag, "patchMergeKey")
                .unwrap_or_default()
                .to_owned(),
        });
    }
    Err("a struct without an end".into())
}

fn tag_value<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{key}:\""))?;
    rest.split('"').next()
}

/// The text without its comments. No tag or import has a comment's marks in it but `//` within quotes.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_block = false;
    for line in text.lines() {
        let mut rest = line;
        if in_block {
            match rest.split_once("*/") {
                Some((_, after)) => {
                    in_block = false;
                    rest = after;
                }
                None => continue,
            }
        }
        if let Some((before, after)) = rest.split_once("/*")
            && !before.contains("//")
            && !after.contains("*/")
        {
            in_block = true;
            rest = before;
        }
        let rest = match rest.find("//") {
            Some(at) if !rest[..at].contains('"') || rest[..at].ends_with(char::is_whitespace) => {
                &rest[..at]
            }
            _ => rest,
        };
        kept.push_str(rest.trim_end());
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_read_with_its_tags_and_without_comments() {
        let mut package = Package::default();
        package
            .read_file(
                "package v1\n\nimport (\n\tmetav1 \"k8s.io/apimachinery/pkg/apis/meta/v1\"\n)\n\n/* type No struct {\n*/\n\
                 type Pod struct {\n\tmetav1.TypeMeta `json:\",inline\"`\n\t// Spec is\n\tSpec *PodSpec `json:\"spec,omitempty\" \
                 protobuf:\"bytes,2,opt,name=spec\"` // why\n\thidden int\n}\n\ntype Phase string\n",
            )
            .expect("it is Go");
        assert_eq!(package.types.keys().collect::<Vec<_>>(), ["Phase", "Pod"]);
        let Body::Struct(fields) = &package.types["Pod"].body else {
            panic!("a Pod is a struct")
        };
        assert_eq!(fields.len(), 2);
        assert_eq!(
            (fields[0].ty.as_str(), fields[0].json.as_str()),
            ("metav1.TypeMeta", "")
        );
        assert_eq!(
            (fields[1].ty.as_str(), fields[1].number),
            ("*PodSpec", Some(2))
        );
        assert!(fields[1].omitempty && !fields[1].omitzero);
        let resolved = package.resolve(&package.types["Pod"], "metav1.TypeMeta");
        assert_eq!(
            resolved.expect("it is imported"),
            (
                "k8s.io/apimachinery/pkg/apis/meta/v1".into(),
                "TypeMeta".into()
            )
        );
    }
}
