use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Form, Program};
use crate::{Cache, Error, folder, tool};

/// A client that nobody here wrote.
#[derive(Debug)]
pub struct Client {
    /// What it is called on the command line and in the report.
    pub name: &'static str,
    /// Builds what it needs, where that is not in the cache, and says how to run it.
    pub prepare: fn(&Cache) -> Result<Vec<Program>, Error>,
}

/// All of them, in the report's order.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "kubectl",
        prepare: kubectl,
    },
    Client {
        name: "client-go",
        prepare: client_go,
    },
    Client {
        name: "python",
        prepare: python,
    },
    Client {
        name: "lightkube",
        prepare: lightkube,
    },
    Client {
        name: "javascript",
        prepare: javascript,
    },
    Client {
        name: "java",
        prepare: java,
    },
    Client {
        name: "kube-rs",
        prepare: kube_rs,
    },
];

/// Client and operation of what must pass, whatever the report says: what the page, and SPECIFICATION.md after it, promise.
pub const PROMISED: &[(&str, &str)] = &[
    ("kubectl", "get"),
    ("kubectl", "describe"),
    ("kubectl", "create"),
    ("kubectl", "label"),
    ("kubectl", "annotate"),
    ("kubectl", "patch --type=merge"),
    ("kubectl", "patch --type=json"),
    ("kubectl", "delete"),
    ("kubectl", "wait --for=jsonpath"),
    ("kubectl", "wait --for=delete"),
    ("kubectl", "create token"),
    ("kubectl", "auth can-i"),
    ("kubectl", "auth whoami"),
    ("kubectl", "--as"),
    ("client-go", "in-cluster configuration"),
    ("python", "in-cluster configuration"),
    ("javascript", "in-cluster configuration"),
];

/// The role of a program that works on objects of its own.
const EDIT: &str = "edit";

/// That of what also asks for nodes, roles and everything else.
const ADMIN: &str = "cluster-admin";

/// The program that `KUBECTL` names, else the one that belongs to the real control plane of the tests.
fn kubectl(_: &Cache) -> Result<Vec<Program>, Error> {
    let kubectl = match std::env::var_os("KUBECTL").filter(|path| !path.is_empty()) {
        Some(path) => path,
        None => inpod_real::Binaries::build()?
            .program("kubectl")
            .into_os_string(),
    };
    let script = folder().join("kubectl/operations.sh");
    Ok(vec![Program {
        command: vec!["sh".into(), script.into()],
        environment: vec![("KUBECTL", kubectl)],
        role: ADMIN,
        form: Form::Lines,
    }])
}

fn client_go(cache: &Cache) -> Result<Vec<Program>, Error> {
    let source = folder().join("go");
    let built = cache.once("client-go", std::slice::from_ref(&source), |folder| {
        let mut go = tool::tool("go", "golang-go, 1.26 or newer")?;
        go.args(["build", "-C"])
            .arg(&source)
            .arg("-o")
            .arg(folder.join("client"));
        tool::build(go.arg(".").env("CGO_ENABLED", "0"))
    })?;
    Ok(vec![editor([built.join("client")])])
}

fn python(cache: &Cache) -> Result<Vec<Program>, Error> {
    in_python(cache, "python")
}

fn lightkube(cache: &Cache) -> Result<Vec<Program>, Error> {
    in_python(cache, "lightkube")
}

/// The program `main.py` of a folder, with what its `requirements.txt` names.
fn in_python(cache: &Cache, name: &str) -> Result<Vec<Program>, Error> {
    let source = folder().join(name);
    let requirements = source.join("requirements.txt");
    let built = cache.once(name, std::slice::from_ref(&requirements), |folder| {
        let mut python = tool::tool("python3", "python3 python3-venv")?;
        tool::build(python.args(["-m", "venv"]).arg(folder))?;
        let mut pip = tool::mortal("TERM", folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--requirement"]);
        tool::build(pip.arg(&requirements))
    })?;
    Ok(vec![editor([
        built.join("bin/python"),
        source.join("main.py"),
    ])])
}

/// The program is copied beside its modules, because that is where Node looks for them.
fn javascript(cache: &Cache) -> Result<Vec<Program>, Error> {
    const DEBIAN: &str = "nodejs npm, Node 20 or newer";
    let node = tool::on_path("node", DEBIAN)?;
    let source = folder().join("javascript");
    let built = cache.once("javascript", std::slice::from_ref(&source), |folder| {
        tool::copy(&source, folder)?;
        let mut npm = tool::tool("npm", DEBIAN)?;
        npm.current_dir(folder);
        tool::build(npm.args(["ci", "--silent", "--no-audit", "--no-fund"]))
    })?;
    Ok(vec![editor([node, built.join("main.js")])])
}

/// Java compiles the one source file when it starts it.
fn java(cache: &Cache) -> Result<Vec<Program>, Error> {
    const DEBIAN: &str = "openjdk-17-jdk-headless maven, Java 17 or newer";
    let java = tool::on_path("java", DEBIAN)?;
    let source = folder().join("java");
    let pom = source.join("pom.xml");
    let built = cache.once("java", std::slice::from_ref(&pom), |folder| {
        let mut maven = tool::tool("mvn", DEBIAN)?;
        maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom);
        let mut output = OsString::from("-DoutputDirectory=");
        output.push(folder);
        tool::build(maven.arg("dependency:copy-dependencies").arg(output))
    })?;
    Ok(vec![editor([
        java,
        // Its performance data would be a file in /tmp.
        "-XX:-UsePerfData".into(),
        "-classpath".into(),
        built.join("*"),
        source.join("Main.java"),
    ])])
}

/// A program of ours, and the tests that the crates' authors publish with them and mark as needing a cluster.
fn kube_rs(cache: &Cache) -> Result<Vec<Program>, Error> {
    let source = folder().join("rust");
    let manifest = source.join("Cargo.toml");
    let built = cache.once("kube-rs", std::slice::from_ref(&source), |folder| {
        let target = cache.shared("rust-target");
        let mut cargo = cargo(&target)?;
        tool::build(
            cargo
                .args(["build", "--quiet", "--locked", "--manifest-path"])
                .arg(&manifest),
        )?;
        let built = target.join("debug/inpod-clients-rust");
        std::fs::copy(&built, folder.join("client")).map_err(Error::file(&built))?;
        Ok(())
    })?;
    let mut programs = vec![editor([built.join("client")])];

    let workspace = folder().join("kube-tests");
    let inputs = [workspace.clone(), source.join("Cargo.lock")];
    let built = cache.once("kube-tests", &inputs, |folder| {
        kube_tests(&workspace, &manifest, &cache.shared("rust-target"), folder)
    })?;
    programs.extend(KUBE_CRATES.map(|name| Program {
        command: vec![
            "sh".into(),
            crate::folder().join("kube-tests.sh").into(),
            built.join(name).with_extension("test").into(),
        ],
        environment: vec![],
        role: ADMIN,
        form: Form::Libtest(name),
    }));
    Ok(programs)
}

const KUBE_CRATES: [&str; 3] = ["kube", "kube-client", "kube-runtime"];

/// Without these, tests are left out. kube-client's are also compiled for another TLS library, which would have to be installed.
const KUBE_FEATURES: &str = "kube/derive,kube/runtime,kube/ws,kube/jsonpatch,kube/unstable-client,kube/unstable-runtime,\
                             kube-client/rustls-tls,kube-client/ws,kube-client/jsonpatch,kube-client/unstable-client";

/// Builds the tests of the crates as they were published, in a workspace of copies; publishing left out only that the tests of two
/// of them need the third.
fn kube_tests(
    workspace: &Path,
    manifest: &Path,
    target: &Path,
    folder: &Path,
) -> Result<(), Error> {
    tool::copy(workspace, folder)?;
    for name in KUBE_CRATES {
        let copy = folder.join(name);
        tool::copy(&published(manifest, name)?, &copy)?;
        if name != "kube" {
            let path = copy.join("Cargo.toml");
            let mut text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
            text.push_str(
                "\n[dev-dependencies.kube]\npath = \"../kube\"\nfeatures = [\"derive\", \"ws\"]\n",
            );
            std::fs::write(&path, text).map_err(Error::file(&path))?;
        }
    }
    let mut cargo = cargo(target)?;
    cargo
        .current_dir(folder)
        .args([
            "test",
            "--quiet",
            "--locked",
            "--workspace",
            "--lib",
            "--no-run",
        ])
        .args(["--message-format=json", "--features", KUBE_FEATURES]);
    for message in tool::output(&mut cargo)?.split(|byte| *byte == b'\n') {
        let message: Value = serde_json::from_slice(message).unwrap_or_default();
        let Some(executable) = message["executable"].as_str() else {
            continue;
        };
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let copy = folder.join(name.replace('_', "-")).with_extension("test");
        std::fs::copy(executable, &copy).map_err(Error::file(&copy))?;
    }
    Ok(())
}

/// The folder of a dependency, as it was published.
fn published(manifest: &Path, name: &str) -> Result<PathBuf, Error> {
    let mut cargo = tool::tool("cargo", CARGO)?;
    cargo.args([
        "metadata",
        "--quiet",
        "--locked",
        "--format-version=1",
        "--manifest-path",
    ]);
    let metadata: Value =
        serde_json::from_slice(&tool::output(cargo.arg(manifest))?).unwrap_or_default();
    metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == name))
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .ok_or_else(|| Error::Built(format!("cargo metadata knows no package {name}")))
}

const CARGO: &str = "cargo; or better, rustup's";

fn cargo(target: &Path) -> Result<std::process::Command, Error> {
    let mut cargo = tool::tool("cargo", CARGO)?;
    cargo
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    Ok(cargo)
}

/// A program that may work on the objects of its namespace.
fn editor<const N: usize>(command: [PathBuf; N]) -> Program {
    Program {
        command: command.map(PathBuf::into_os_string).into(),
        environment: vec![],
        role: EDIT,
        form: Form::Lines,
    }
}
