//! Connections to the cluster's address.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use libtest_mimic::{Failed, Trial};

use crate::harness::{REDIRECT_TO, User, binary, expect, run, stdout, trial};

pub(crate) fn trials(user: User) -> Vec<Trial> {
    let mut trials: Vec<_> = ["blocking", "nonblocking", "timeout", "mapped", "thread"]
        .into_iter()
        .map(|how| {
            trial(user, &format!("a_{how}_connect_is_led"), move |user| {
                led(user, how)
            })
        })
        .collect();
    trials.push(trial(user, "other_connects_go_where_they_want", others));
    trials.push(trial(user, "a_dead_server_refuses", refused));
    trials.push(trial(
        user,
        "fast_open_is_refused_so_that_clients_connect",
        fast_open,
    ));
    trials
}

/// A server that greets.
fn server() -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"hello"));
        }
    });
    Ok(address)
}

fn connect(user: User, how: &str, to: SocketAddr) -> Result<String, Failed> {
    let binary = binary().to_str().ok_or("a path in UTF-8")?;
    let output = run(user, &[binary, "--connect", how])
        .env(REDIRECT_TO, to.to_string())
        .output()?;
    Ok(stdout(&output))
}

fn led(user: User, how: &str) -> Result<(), Failed> {
    expect(connect(user, how, server()?)?, "hello")
}

fn others(user: User) -> Result<(), Failed> {
    let address = server()?;
    expect(connect(user, &address.to_string(), address)?, "hello")?;
    expect(connect(user, "unix", address)?, "connected")
}

fn refused(user: User) -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    expect(connect(user, "blocking", address)?, "ConnectionRefused")
}

fn fast_open(user: User) -> Result<(), Failed> {
    expect(connect(user, "fastopen", server()?)?, "Unsupported")
}
