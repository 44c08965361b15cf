//! What this binary is besides the tests.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are programs"
)]

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;

use inpod_sandbox::{Command, Error, Files, Redirect, View, block_signals, spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, connect as connect_socket, sendto,
    socket_with,
};

use crate::harness::{CLUSTER, MOUNT_PATH, REDIRECT_TO, UPDATES};

fn files(n: u32) -> Files {
    let token = format!("token-{n}").into_bytes();
    [
        ("token".to_owned(), token),
        ("namespace".to_owned(), b"default".to_vec()),
    ]
    .into()
}

/// A small `inpod run`: exits as its command did, with 128 and more for a signal.
pub(crate) fn run(command: &[OsString]) -> ! {
    let mask = block_signals();
    let (program, args) = command.split_first().expect("a command");
    let command = Command::new(program).args(args).signal_mask(mask);

    let mut view = View::default();
    view.volumes.insert(MOUNT_PATH.into(), files(0));
    view.hosts.push((
        CLUSTER.ip(),
        vec!["kubernetes.default.svc".into(), "kubernetes".into()],
    ));
    view.environment.insert(
        "KUBERNETES_SERVICE_HOST".into(),
        Some(CLUSTER.ip().to_string().into()),
    );
    view.environment.insert("POD_NAMESPACE".into(), None);
    if let Some(home) = std::env::var_os("HOME") {
        view.hidden.push(Path::new(&home).join(".kube"));
    }
    let to = std::env::var(REDIRECT_TO)
        .ok()
        .and_then(|to| to.parse().ok());
    let to = to.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 1)));
    view.redirects.push(Redirect::new(CLUSTER, to));

    let sandbox = match spawn(&view, &command) {
        Ok(sandbox) => Arc::new(sandbox),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(match error {
                Error::NotFound { .. } => 127,
                Error::NotExecutable { .. } => 126,
                _ => 1,
            })
        }
    };
    if std::env::var_os(UPDATES).is_some() {
        let sandbox = Arc::clone(&sandbox);
        std::thread::spawn(move || {
            for n in 1.. {
                sandbox
                    .update(Path::new(MOUNT_PATH), &files(n))
                    .expect("an update");
                std::thread::yield_now();
            }
        });
    }
    let status = match sandbox.wait() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    std::process::exit(
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
    )
}

/// Connects to the cluster's address and prints what it says.
pub(crate) fn connect(how: &OsStr) {
    let mapped = SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x0a60, 1], CLUSTER.port()));
    let said = match how.to_str().unwrap_or_default() {
        "blocking" => TcpStream::connect(CLUSTER).and_then(read),
        "mapped" => TcpStream::connect(mapped).and_then(read),
        "thread" => {
            let thread = std::thread::spawn(|| TcpStream::connect(CLUSTER).and_then(read));
            thread.join().expect("no panic")
        }
        "timeout" => {
            TcpStream::connect_timeout(&CLUSTER, std::time::Duration::from_secs(5)).and_then(read)
        }
        "nonblocking" => nonblocking(),
        "fastopen" => fast_open(),
        "unix" => unix(),
        address => TcpStream::connect(address).and_then(read),
    };
    match said {
        Ok(said) => print!("{said}"),
        Err(error) => print!("{:?}", error.kind()),
    }
}

fn read(mut stream: TcpStream) -> std::io::Result<String> {
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn nonblocking() -> std::io::Result<String> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::NONBLOCK,
        None,
    )?;
    match connect_socket(&socket, &CLUSTER) {
        Err(rustix::io::Errno::INPROGRESS) => {}
        other => return Ok(format!("not in progress but {other:?}")),
    }
    poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None)?;
    rustix::net::sockopt::socket_error(&socket)??;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    read(stream)
}

fn fast_open() -> std::io::Result<String> {
    const MSG_FASTOPEN: u32 = 0x2000_0000;
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::empty(),
        None,
    )?;
    sendto(
        &socket,
        b"x",
        SendFlags::from_bits_retain(MSG_FASTOPEN),
        &CLUSTER,
    )?;
    Ok("sent".into())
}

fn unix() -> std::io::Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    UnixStream::connect(&path)?;
    listener.accept()?;
    Ok("connected".into())
}

/// Says each time it is interrupted, and how often in all once something is typed.
pub(crate) fn count_interrupts() {
    let interrupt = SigSet::from(Signal::SIGINT);
    interrupt.thread_block().expect("a mask");
    let signals = SignalFd::new(&interrupt).expect("a signalfd");
    println!("ready");
    let keyboard = std::io::stdin();
    let mut count = 0;
    loop {
        let mut ready = [
            PollFd::new(&signals, PollFlags::IN),
            PollFd::new(&keyboard, PollFlags::IN),
        ];
        poll(&mut ready, None).expect("a poll");
        if !ready[0].revents().is_empty() {
            signals.read_signal().expect("a signal");
            count += 1;
            println!("interrupted");
        } else if !ready[1].revents().is_empty() {
            break;
        }
    }
    println!("in all {count}.");
    std::process::exit(5);
}
