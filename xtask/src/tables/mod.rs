//! `cargo xtask tables`: facts about Kubernetes' kinds, from the files that the Go modules publish. Names and numbers only.
//!
//! | table | from |
//! |---|---|
//! | resources, verbs, short names, group versions | `k8s.io/kubernetes` `api/discovery/*.json` |
//! | types, fields, their order, `omitempty` and protobuf numbers | the struct tags of `k8s.io/api` and `k8s.io/apimachinery` |
//! | default roles and bindings | `k8s.io/kubernetes` `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata` |

mod discovery;
mod modules;
mod served;

use std::path::{Path, PathBuf};
use std::{error, fs, io};

use modules::Modules;

/// A chore's error is read by whoever runs it, and by nothing else.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

/// A generated file: its name under the folder of tables, and its text.
struct Table {
    name: String,
    text: String,
}

/// Generates every table and writes what changed; with `check`, fails if anything did.
pub(crate) fn run(check: bool) -> Result<()> {
    let modules = Modules::download()?;
    let tables = vec![discovery::generate(&modules)?];
    let folder = folder();
    fs::create_dir_all(&folder)?;
    for Table { name, text } in tables {
        let path = folder.join(&name);
        let old = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        if old == text {
            continue;
        }
        if check {
            return Err(format!(
                "{} is not what `cargo xtask tables` generates: run it and commit the result",
                path.display()
            )
            .into());
        }
        fs::write(&path, text)?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/inpod-apiserver/src/schema/tables")
}
