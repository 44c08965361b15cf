//! Types and kinds, from the struct tags of `k8s.io/api` and `k8s.io/apimachinery`: the only published place that has the
//! order of the fields, `omitempty` and the protobuf numbers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::go::{Body, GoField, Package};
use super::modules::Modules;
use super::openapi::OpenApi;
use super::{HEADER, Result, Table};

const META: &str = "k8s.io/apimachinery/pkg/apis/meta/v1";

/// Types with encoders of their own in Go, and the shapes that stand for them.
const SPECIAL: &[(&str, &str, &str)] = &[
    (META, "FieldsV1", "FIELDS_V1"),
    (META, "MicroTime", "MICRO_TIME"),
    (META, "Time", "TIME"),
    (
        "k8s.io/apimachinery/pkg/api/resource",
        "Quantity",
        "QUANTITY",
    ),
    (
        "k8s.io/apimachinery/pkg/runtime",
        "RawExtension",
        "RAW_EXTENSION",
    ),
    (
        "k8s.io/apimachinery/pkg/util/intstr",
        "IntOrString",
        "INT_OR_STRING",
    ),
];

/// The import path of a package and the name of a type in it.
type Name = (String, String);

/// Generates the types of every stable group version that has its types in `k8s.io/api`, and the list of kinds.
pub(super) fn generate(
    modules: &Modules,
    group_versions: &[(String, String)],
) -> Result<Vec<Table>> {
    let mut generator = Generator {
        modules,
        openapi: OpenApi::read(modules)?,
        packages: BTreeMap::new(),
        wrapped: BTreeMap::new(),
        files: BTreeMap::new(),
        pending: Vec::new(),
        seen: BTreeSet::new(),
    };
    let mut kinds = generator.kinds(group_versions)?;
    kinds.sort();
    for (.., name) in &kinds {
        generator.ask(name);
    }
    while let Some(name) = generator.pending.pop() {
        generator.structure(&name)?;
    }
    let mut tables = generator.tables()?;
    tables.push(kinds_table(&kinds)?);
    Ok(tables)
}

struct Generator<'a> {
    modules: &'a Modules,
    openapi: OpenApi,
    packages: BTreeMap<String, Package>,
    /// By package: the messages of its `generated.proto`.
    wrapped: BTreeMap<String, BTreeSet<String>>,
    /// By package: by type, its row.
    files: BTreeMap<String, File>,
    pending: Vec<Name>,
    seen: BTreeSet<Name>,
}

#[derive(Default)]
struct File {
    rows: BTreeMap<String, String>,
    /// What the rows use of `schema::types`, and of other packages.
    uses: BTreeSet<String>,
    modules: BTreeSet<String>,
}

impl Generator<'_> {
    /// Group, version, kind and type of every struct that is an object by itself.
    fn kinds(
        &mut self,
        group_versions: &[(String, String)],
    ) -> Result<Vec<(String, String, String, Name)>> {
        let mut paths = vec![META.to_owned()];
        for group in sorted(&self.modules.api)?
            .iter()
            .filter(|path| path.is_dir())
        {
            for folder in sorted(group)? {
                if folder.join("register.go").is_file() {
                    let path = folder.strip_prefix(&self.modules.api)?;
                    paths.push(format!("k8s.io/api/{}", path.display()));
                }
            }
        }
        let mut kinds = Vec::new();
        for path in paths {
            let version = path.rsplit('/').next().unwrap_or_default().to_owned();
            let stable = version[1..].bytes().all(|b| b.is_ascii_digit());
            if !stable {
                continue;
            }
            let package = self.package(&path)?;
            let Some(group) = package.group.clone() else {
                continue;
            };
            let key = (group, version);
            if path != META && !group_versions.contains(&key) {
                continue;
            }
            for (name, declaration) in &package.types {
                let Body::Struct(fields) = &declaration.body else {
                    continue;
                };
                let is_object = fields.iter().any(|field| {
                    field.json.is_empty() && field.ty.rsplit('.').next() == Some("TypeMeta")
                });
                if is_object {
                    let (group, version) = key.clone();
                    kinds.push((group, version, name.clone(), (path.clone(), name.clone())));
                }
            }
        }
        Ok(kinds)
    }

    fn package(&mut self, path: &str) -> Result<&Package> {
        if !self.packages.contains_key(path) {
            let folder = self.folder(path)?;
            let package = Package::read(path, &folder)?;
            let proto = fs::read_to_string(folder.join("generated.proto")).unwrap_or_default();
            let messages = proto
                .lines()
                .filter_map(|line| line.strip_prefix("message ")?.split(' ').next())
                .map(str::to_owned)
                .collect();
            self.wrapped.insert(path.to_owned(), messages);
            self.packages.insert(path.to_owned(), package);
        }
        Ok(&self.packages[path])
    }

    fn folder(&self, path: &str) -> Result<PathBuf> {
        if let Some(rest) = path.strip_prefix("k8s.io/api/") {
            return Ok(self.modules.api.join(rest));
        }
        if let Some(rest) = path.strip_prefix("k8s.io/apimachinery/") {
            return Ok(self.modules.apimachinery.join(rest));
        }
        Err(format!("{path} is in no module that is read").into())
    }

    fn ask(&mut self, name: &Name) {
        if self.seen.insert(name.clone()) {
            self.pending.push(name.clone());
        }
    }

    /// Writes the row of a struct.
    fn structure(&mut self, name: &Name) -> Result<()> {
        let (path, ty) = name;
        let mut rows = String::new();
        self.rows(&mut rows, path, name, &mut Vec::new())?;
        self.uses(path, "GoType");
        self.uses(path, "structure");
        let atomic = if self.openapi.is_atomic(path, ty) {
            ".atomic()"
        } else {
            ""
        };
        let row = format!(
            "pub(in crate::schema) static {}: GoType = structure({:?}, &[\n{rows}]){atomic};\n",
            screaming(ty),
            go_name(path, ty),
        );
        self.file(path).rows.insert(ty.clone(), row);
        Ok(())
    }

    /// Writes the rows of the fields of `owner`, which is itself or lies at `within` in a struct of the package `file`.
    fn rows(
        &mut self,
        rows: &mut String,
        file: &str,
        owner: &Name,
        within: &mut Vec<(String, u16)>,
    ) -> Result<()> {
        for field in self.fields(owner)? {
            if !field.json.is_empty() {
                self.field(rows, file, owner, &field, within)?;
                continue;
            }
            let embedded = self.resolve(owner, &field.ty)?;
            if embedded.1 == "TypeMeta" {
                rows.push_str("    KIND,\n    API_VERSION,\n");
                self.uses(file, "KIND");
                self.uses(file, "API_VERSION");
                continue;
            }
            let number = field.number.ok_or_else(|| {
                format!(
                    "{}.{}: {} is inlined without a number",
                    owner.0, owner.1, field.ty
                )
            })?;
            within.push((embedded.1.clone(), number));
            self.rows(rows, file, &embedded, within)?;
            within.pop();
        }
        Ok(())
    }

    fn field(
        &mut self,
        rows: &mut String,
        file: &str,
        owner: &Name,
        field: &GoField,
        within: &[(String, u16)],
    ) -> Result<()> {
        let pointer = field.ty.starts_with('*');
        let ty = self.ty(file, owner, field.ty.trim_start_matches('*'))?;
        let presence = match (field.omitempty, pointer) {
            _ if field.omitzero => "omitzero",
            (true, true) => "optional",
            (false, true) => "nullable",
            // A struct that is no pointer is never empty to Go.
            (true, false) if !ty.is_struct => "omitempty",
            _ => "always",
        };
        self.uses(file, presence);
        // 0 is no field number: a few types, as Table, are never sent as protobuf.
        let number = field.number.unwrap_or(0);
        write!(
            rows,
            "    {presence}({:?}, {number}, &{})",
            field.json, ty.expression
        )?;
        if !within.is_empty() {
            write!(rows, ".within(&{within:?})")?;
        }
        rows.push_str(&self.openapi.merge(&owner.0, &owner.1, &field.json)?);
        rows.push_str(&patch(field));
        rows.push_str(",\n");
        Ok(())
    }

    /// The expression of the type that `owner` writes as `written`, for use in the file of `file`.
    fn ty(&mut self, file: &str, owner: &Name, written: &str) -> Result<Expression> {
        if let Some(basic) = basic(written) {
            self.uses(file, basic);
            return Ok(Expression::of(basic));
        }
        if let Some(element) = written.strip_prefix("[]") {
            let element = element.trim_start_matches('*');
            let go = format!("[]{}", self.go_type(owner, element)?);
            let element = self.ty(file, owner, element)?.expression;
            return Ok(self.call(file, "list", &go, &element));
        }
        if let Some((key, value)) = written
            .strip_prefix("map[")
            .and_then(|rest| rest.split_once(']'))
        {
            let go = format!(
                "map[{}]{}",
                self.go_type(owner, key)?,
                self.go_type(owner, value)?
            );
            let value = self.ty(file, owner, value)?.expression;
            return Ok(self.call(file, "map", &go, &value));
        }
        let name = self.resolve(owner, written)?;
        let go = go_name(&name.0, &name.1);
        let special = SPECIAL
            .iter()
            .find(|(path, ty, _)| *path == name.0 && *ty == name.1);
        if let Some((_, _, constant)) = special {
            self.uses(file, constant);
            return Ok(Expression {
                expression: (*constant).to_owned(),
                is_struct: true,
            });
        }
        let body = match self.declared(&name)? {
            Body::Named(body) => body.clone(),
            Body::Struct(_) => {
                self.ask(&name);
                let constant = screaming(&name.1);
                if name.0 == file {
                    return Ok(Expression {
                        expression: constant,
                        is_struct: true,
                    });
                }
                self.file(file).modules.insert(module(&name.0));
                return Ok(Expression {
                    expression: format!("{}::{constant}", module(&name.0)),
                    is_struct: true,
                });
            }
        };
        if let Some(basic) = basic(&body) {
            let function = basic.to_lowercase();
            self.uses(file, &function);
            return Ok(Expression::of(&format!("{function}({go:?})")));
        }
        if let Some(element) = body.strip_prefix("[]") {
            // Where the named slice is a message, it is one with a single repeated field.
            let function = if self.wrapped[&name.0].contains(&name.1) {
                "items"
            } else {
                "list"
            };
            let element = self.ty(file, &name, element)?.expression;
            return Ok(self.call(file, function, &go, &element));
        }
        if let Some((_, value)) = body
            .strip_prefix("map[")
            .and_then(|rest| rest.split_once(']'))
        {
            let value = self.ty(file, &name, value)?.expression;
            return Ok(self.call(file, "map", &go, &value));
        }
        self.ty(file, &name, &body)
    }

    fn call(&mut self, file: &str, function: &str, go: &str, element: &str) -> Expression {
        self.uses(file, function);
        Expression::of(&format!("{function}({go:?}, &{element})"))
    }

    /// The type as Go's reflection spells it.
    fn go_type(&mut self, owner: &Name, written: &str) -> Result<String> {
        if basic(written).is_some() {
            return Ok(written.to_owned());
        }
        if let Some(element) = written.strip_prefix("[]") {
            return Ok(format!("[]{}", self.go_type(owner, element)?));
        }
        let (path, name) = self.resolve(owner, written)?;
        Ok(go_name(&path, &name))
    }

    fn resolve(&mut self, owner: &Name, written: &str) -> Result<Name> {
        let package = self.package(&owner.0)?;
        package.resolve(&package.types[&owner.1], written)
    }

    fn declared(&mut self, name: &Name) -> Result<&Body> {
        match self.package(&name.0)?.types.get(&name.1) {
            Some(declaration) => Ok(&declaration.body),
            None => Err(format!("{}.{} is not declared", name.0, name.1).into()),
        }
    }

    fn fields(&mut self, name: &Name) -> Result<Vec<GoField>> {
        match self.declared(name)? {
            Body::Struct(fields) => Ok(fields.clone()),
            Body::Named(_) => Err(format!("{}.{} is no struct", name.0, name.1).into()),
        }
    }

    fn file(&mut self, path: &str) -> &mut File {
        self.files.entry(path.to_owned()).or_default()
    }

    fn uses(&mut self, path: &str, name: &str) {
        self.file(path).uses.insert(name.to_owned());
    }

    fn tables(self) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for (path, file) in self.files {
            let mut text = String::from(HEADER);
            if !file.modules.is_empty() {
                writeln!(text, "use super::{};", braced(&file.modules))?;
            }
            writeln!(text, "use crate::schema::types::{};", braced(&file.uses))?;
            for row in file.rows.values() {
                write!(text, "\n{row}")?;
            }
            tables.push(Table {
                name: format!("{}.rs", module(&path)),
                text,
            });
        }
        Ok(tables)
    }
}

/// The call that tells a field how a strategic merge patch changes it; empty for what is usual.
fn patch(field: &GoField) -> String {
    let has = |strategy: &str| field.patch_strategies.iter().any(|other| other == strategy);
    if has("merge") {
        format!(".patch_merges({:?})", field.patch_merge_key)
    } else if has("replace") {
        ".patch_replaces()".into()
    } else {
        // `retainKeys` alone tells those who make patches to say which keys stay.
        String::new()
    }
}

/// What a `use` takes from one module.
fn braced(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names[..] {
        [name] => name.to_owned(),
        _ => format!("{{{}}}", names.join(", ")),
    }
}

/// A Rust expression of type `GoType`.
struct Expression {
    expression: String,
    is_struct: bool,
}

impl Expression {
    fn of(expression: &str) -> Self {
        Self {
            expression: expression.to_owned(),
            is_struct: false,
        }
    }
}

fn kinds_table(kinds: &[(String, String, String, Name)]) -> Result<Table> {
    let modules = kinds.iter().map(|(.., (path, _))| module(path)).collect();
    let mut text = String::from(HEADER);
    writeln!(text, "use super::{};", braced(&modules))?;
    writeln!(text, "use crate::schema::types::GoType;\n")?;
    writeln!(
        text,
        "/// Group, version and kind, in order, with the type."
    )?;
    writeln!(
        text,
        "pub(in crate::schema) static KINDS: &[((&str, &str, &str), &GoType)] = &["
    )?;
    for (group, version, kind, (path, name)) in kinds {
        writeln!(
            text,
            "    (({group:?}, {version:?}, {kind:?}), &{}::{}),",
            module(path),
            screaming(name)
        )?;
    }
    text.push_str("];\n");
    Ok(Table {
        name: "kinds.rs".into(),
        text,
    })
}

/// The table's constant of a type that Go has built in.
fn basic(written: &str) -> Option<&'static str> {
    match written {
        "string" => Some("STRING"),
        "bool" => Some("BOOL"),
        "int32" => Some("INT32"),
        "int64" => Some("INT64"),
        "[]byte" => Some("BYTES"),
        "interface{}" => Some("ANY"),
        _ => None,
    }
}

/// `core_v1` for `k8s.io/api/core/v1`.
fn module(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let version = parts.next().unwrap_or_default();
    format!("{}_{version}", parts.next().unwrap_or_default())
}

/// `v1.Pod`, as Go's reflection spells it.
fn go_name(path: &str, name: &str) -> String {
    format!("{}.{name}", path.rsplit('/').next().unwrap_or_default())
}

/// `POD_SPEC` for `PodSpec`, `POD_IP` for `PodIP`.
fn screaming(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut constant = String::new();
    for (i, c) in characters.iter().enumerate() {
        let after_lower = i > 0 && !characters[i - 1].is_uppercase();
        let before_lower = characters
            .get(i + 1)
            .is_some_and(|next| next.is_lowercase());
        if i > 0 && c.is_uppercase() && (after_lower || before_lower) {
            constant.push('_');
        }
        constant.extend(c.to_uppercase());
    }
    constant
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| !path.ends_with("testdata"));
    paths.sort();
    paths.retain(|path| path.is_dir());
    Ok(paths)
}
