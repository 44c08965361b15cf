//! The codecs against the objects that `k8s.io/api` publishes in each of its encodings, every field set: what is decoded from
//! one must be what stands in the others, to the order of the keys.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use inpod_apiserver::schema::{
    FieldValidation, Json, decode_json, decode_protobuf, decode_yaml, normalize, type_of,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// The release that the tables are of.
const MODULE: &str = "k8s.io/api@v0.37.2/testdata/HEAD";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published");
    let mut trials: Vec<_> = objects(&committed)
        .map(|stem| trial("committed", stem))
        .collect();
    if let Some(folder) = module() {
        trials.extend(objects(&folder).map(|stem| trial("module", stem)));
    } else {
        let name = format!("module: {MODULE} is not in Go's module cache (go mod download)");
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The module's folder in Go's cache, where it was downloaded.
fn module() -> Option<PathBuf> {
    let cache = if let Some(cache) = env::var_os("GOMODCACHE") {
        PathBuf::from(cache)
    } else {
        let output = Command::new("go")
            .args(["env", "GOMODCACHE"])
            .output()
            .ok()?;
        PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())
    };
    let folder = cache.join(MODULE);
    folder.is_dir().then_some(folder)
}

/// The paths of the objects of kinds that the tables have, without extension.
fn objects(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut stems: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pb"))
        .map(|path| path.with_extension(""))
        .collect();
    stems.sort();
    stems.into_iter().filter(|stem| {
        let json = json(stem);
        let text = |key: &str| {
            json.get(key)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
        };
        let api_version = text("apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        type_of(group, version, text("kind")).is_some()
    })
}

fn trial(from: &str, stem: PathBuf) -> Trial {
    let kind = stem
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Trial::test(
        format!("{from}: {kind} is the same in every encoding"),
        move || check(&stem),
    )
}

fn check(stem: &Path) -> Result<(), Failed> {
    let published = json(stem);
    let text = |key: &str| {
        published
            .get(key)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
    };
    let (group, version) = text("apiVersion")
        .split_once('/')
        .unwrap_or(("", text("apiVersion")));
    let ty = type_of(group, version, text("kind")).ok_or("the tables do not have the kind")?;

    let protobuf = decode_protobuf(&read(stem, "pb"))?;
    same("protobuf", &protobuf, &published)?;

    let decoded = decode_json(ty, &read(stem, "json"), FieldValidation::Strict)?;
    same("JSON", &decoded.value, &published)?;

    let decoded = decode_yaml(ty, &read(stem, "yaml"), FieldValidation::Strict)?;
    same("YAML", &decoded.value, &published)?;

    let mut reversed = published.clone();
    reverse(&mut reversed);
    normalize(ty, &mut reversed);
    same("normalized", &reversed, &published)
}

fn same(what: &str, ours: &Json, published: &Json) -> Result<(), Failed> {
    let (ours, published) = (pretty(ours), pretty(published));
    let differs = ours
        .lines()
        .zip(published.lines())
        .position(|(ours, published)| ours != published);
    match differs {
        None if ours.len() == published.len() => Ok(()),
        at => {
            let at = at.unwrap_or(ours.lines().count().min(published.lines().count()));
            let around = |text: &str| {
                text.lines()
                    .skip(at.saturating_sub(5))
                    .take(10)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            let (ours, published) = (around(&ours), around(&published));
            Err(format!(
                "{what}, line {}: ours:\n{ours}\npublished:\n{published}",
                at + 1
            )
            .into())
        }
    }
}

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).expect("JSON can be written")
}

/// Puts the keys of every object in reverse order.
fn reverse(json: &mut Json) {
    let entries: Vec<_> = std::mem::take(json).into_iter().collect();
    for (key, mut value) in entries.into_iter().rev() {
        reverse_in(&mut value);
        json.insert(key, value);
    }
}

fn reverse_in(value: &mut serde_json::Value) {
    match value {
        // An object within another one is JSON of any type, whose order stands.
        serde_json::Value::Object(json) if json.contains_key("apiVersion") => {}
        serde_json::Value::Object(json) => reverse(json),
        serde_json::Value::Array(list) => list.iter_mut().for_each(reverse_in),
        _ => {}
    }
}

fn json(stem: &Path) -> Json {
    serde_json::from_slice(&read(stem, "json")).expect("it is published as JSON")
}

fn read(stem: &Path, extension: &str) -> Vec<u8> {
    let mut path = stem.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    fs::read(path).expect("it is published in every encoding")
}
