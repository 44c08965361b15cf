//! `inpod cluster`: the embedded API server in the foreground.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inpod_apiserver::Server;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::manifests::Manifest;
use crate::{embedded, manifests, secrecy};

#[cfg(target_os = "linux")]
pub(crate) mod holder;

/// Run the embedded API server, for machines without a cluster
///
/// Prints one line when it is ready, and serves until it is interrupted. With a command after `--`, runs that with KUBECONFIG set,
/// and ends with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port to listen on, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Write an admin kubeconfig here
    ///
    /// It is readable by you alone, and removed when the cluster ends. A file that inpod did not write is never replaced.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Load these manifests first: a file, a folder, or - for standard input (repeatable)
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    #[command(flatten)]
    embedded: embedded::Embedded,
    /// A command to run with KUBECONFIG set
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    secrecy::keep();
    let manifests = manifests::read_all(&args.filenames)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(args, manifests))
}

async fn serve(args: Args, manifests: Vec<Manifest>) -> Result<ExitCode, Failure> {
    let server = embedded::start(&args.embedded, args.port, None).await?;
    manifests::load(&embedded::admin(&server)?, manifests, "default").await?;
    let kubeconfig = Kubeconfig::write(args.kubeconfig.as_deref(), &server.kubeconfig())?;

    let code = match args.command.split_first() {
        None => foreground(&server, kubeconfig.path()).await?,
        Some((program, arguments)) => command(program, arguments, kubeconfig.path()).await?,
    };
    drop(kubeconfig);
    server.shutdown().await;
    Ok(code)
}

/// Serves until an interrupt, a hang-up or a polite request to end.
async fn foreground(server: &Server, kubeconfig: &Path) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    writeln!(
        std::io::stdout(),
        "The cluster is ready at {}; use it with: export KUBECONFIG={}",
        server.url(),
        kubeconfig.display()
    )?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the command to its end. It shares our process group, so the terminal's signals reach it without us.
async fn command(
    program: &OsString,
    arguments: &[OsString],
    kubeconfig: &Path,
) -> Result<ExitCode, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| crate::exit::not_started(program, &error))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(crate::exit::like(status?)),
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => hand_on(&child, Signal::SIGTERM),
            _ = hangup.recv() => hand_on(&child, Signal::SIGHUP),
        }
    }
}

fn hand_on(child: &tokio::process::Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended this moment; `wait` tells.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

/// The first line of every kubeconfig we write: what tells ours from somebody else's.
const MARK: &str = "# Written by `inpod cluster`, which removes it when it ends.\n";

/// An admin kubeconfig that is there as long as this value.
#[derive(Debug)]
enum Kubeconfig {
    /// A file, removed with us.
    File(KubeconfigFile),
    /// Memory, under a name in `/proc`: nothing is left behind even by kill -9.
    #[cfg(target_os = "linux")]
    Memory(holder::Holder),
}

impl Kubeconfig {
    fn write(path: Option<&Path>, text: &str) -> Result<Self, Failure> {
        match path {
            Some(path) => Self::file(path, text),
            None => Self::anonymous(text),
        }
    }

    /// A new file under that name with mode 0600, whole from its first moment.
    fn file(path: &Path, text: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error: std::io::Error| {
            Failure::from(error).while_(format!("cannot write the kubeconfig {shown}"))
        };
        let path = std::path::absolute(path).map_err(cannot)?;
        let folder = path
            .parent()
            .ok_or_else(|| Failure::usage(format!("{shown} is no file name for a kubeconfig")))?;
        let mut file = tempfile::Builder::new()
            .prefix(".inpod-kubeconfig-")
            .tempfile_in(folder)
            .map_err(cannot)?;
        file.write_all(MARK.as_bytes())
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.flush())
            .map_err(cannot)?;
        let ours = std::fs::read(&path).is_ok_and(|old| old.starts_with(MARK.as_bytes()));
        let kept = if ours {
            file.persist(&path)
        } else {
            file.persist_noclobber(&path)
        };
        match kept {
            Ok(file) => {
                let id = id_of(&file.metadata().map_err(cannot)?);
                Ok(Self::File(KubeconfigFile { path, id }))
            }
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!(
                    "{shown} is there already and inpod did not write it; name another file with --kubeconfig"
                )))
            }
            Err(error) => Err(cannot(error.error)),
        }
    }

    #[cfg(target_os = "linux")]
    fn anonymous(text: &str) -> Result<Self, Failure> {
        Ok(Self::Memory(holder::Holder::start(text)?))
    }

    #[cfg(not(target_os = "linux"))]
    fn anonymous(text: &str) -> Result<Self, Failure> {
        let mut file = tempfile::Builder::new()
            .prefix("inpod-kubeconfig-")
            .tempfile()?;
        file.write_all(text.as_bytes())?;
        let (file, path) = file.keep()?;
        let id = id_of(&file.metadata()?);
        Ok(Self::File(KubeconfigFile { path, id }))
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(file) => &file.path,
            #[cfg(target_os = "linux")]
            Self::Memory(holder) => holder.path(),
        }
    }
}

/// Removed on drop if it is still that one: another cluster may have put its own in its place.
#[derive(Debug)]
struct KubeconfigFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl Drop for KubeconfigFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|now| id_of(&now) == self.id) {
            // Nothing is to be done about a directory that has become read-only.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn id_of(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_kubeconfig_is_private_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let kubeconfig = Kubeconfig::write(Some(&path), "kind: Config\n").unwrap();
        assert_eq!(kubeconfig.path(), path);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .ends_with("kind: Config\n")
        );
        drop(kubeconfig);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn our_own_kubeconfig_is_replaced_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, format!("{MARK}old")).unwrap();
        let kubeconfig = Kubeconfig::write(Some(&path), "new").unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("new"));
        drop(kubeconfig);

        std::fs::write(&path, "somebody else's").unwrap();
        let refused = format!("{:?}", Kubeconfig::write(Some(&path), "new").unwrap_err());
        assert!(refused.contains("inpod did not write it"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody else's");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_kubeconfig_of_a_later_cluster_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let first = Kubeconfig::write(Some(&path), "first").unwrap();
        let second = Kubeconfig::write(Some(&path), "second").unwrap();
        drop(first);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("second"));
        drop(second);
        assert!(!path.exists());
    }
}
