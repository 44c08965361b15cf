//! `inpod proxy` and `inpod api` as their users meet them, before a server that is played here.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

const FORBIDDEN: &str = r#"{"kind":"Status","message":"pods is forbidden: no","code":403}"#;

/// A server that answers with its request, says 403 to `/forbidden`, and never answers `/silent`. Its URL.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| answer(stream.unwrap()));
        }
    });
    url
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let len = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    let (code, text) = if head.contains("/silent") {
        // Until the other side ends.
        let _ = reader.read(&mut [0]);
        return;
    } else if head.contains("/forbidden") {
        ("403 Forbidden", FORBIDDEN.to_owned())
    } else if head.contains("/endless") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'\n'; 4096]).is_ok() {}
        return;
    } else {
        let body = String::from_utf8(body).unwrap();
        ("200 OK", format!("{}|{body}", head.lines().next().unwrap()))
    };
    let len = text.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {code}\r\nContent-Length: {len}\r\nConnection: close\r\nX-Seen: yes\r\n\r\n{text}"
    );
}

fn inpod() -> Command {
    Command::new(env!("CARGO_BIN_EXE_inpod"))
}

fn api(arguments: &[&str]) -> Output {
    inpod()
        .args(["api", "--server", &server()])
        .args(arguments)
        .output()
        .unwrap()
}

/// A proxy that has said where it serves, and what it said.
fn proxy(arguments: &[&str]) -> (Child, String) {
    let mut child = inpod()
        .args(["proxy", "--server", &server()])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line)
}

fn ask(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

fn terminate(child: &Child) {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::TERM).unwrap();
}

#[test]
fn the_proxy_says_where_it_serves_and_ends_with_0() {
    let (mut child, line) = proxy(&["--port", "0"]);
    let address = line
        .strip_prefix("Starting to serve on 127.0.0.1:")
        .map(|port| format!("127.0.0.1:{}", port.trim()))
        .unwrap();
    let mut answer = String::new();
    ask(&address, "/api").read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("GET /api HTTP/1.1|"), "{answer}");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_proxy_at_once() {
    let (mut child, line) = proxy(&["--port", "0"]);
    let address = line.trim().rsplit(' ').next().unwrap();
    let mut waiting = ask(address, "/silent");
    let mut asked = ask(address, "/api");
    asked.read_to_string(&mut String::new()).unwrap();
    terminate(&child);
    // Draining: nobody is let in, and the request still waits.
    while TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    assert!(child.try_wait().unwrap().is_none());
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    let _ = waiting.read(&mut [0]);
}

#[test]
fn a_unix_socket_is_announced_by_its_path_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let (mut child, line) = proxy(&["--unix-socket", path.to_str().unwrap()]);
    assert_eq!(line, format!("Starting to serve on {}\n", path.display()));
    assert!(path.exists());
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn an_answer_is_printed_as_it_came() {
    let output = api(&["/api/v1/pods?limit=1"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, "GET /api/v1/pods?limit=1 HTTP/1.1|");
    assert_eq!(output.status.code(), Some(0));
    let output = api(&["/x", "-X", "PATCH", "-d", "{}", "-i"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{stdout}");
    assert!(stdout.contains("\r\nx-seen: yes\r\n"), "{stdout}");
    assert!(stdout.ends_with("\r\n\r\nPATCH /x HTTP/1.1|{}"), "{stdout}");
}

#[test]
fn an_error_of_the_server_is_its_message_and_exit_code_1() {
    let output = api(&["/forbidden"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "error: pods is forbidden: no (403 Forbidden)\n");
    assert!(output.stdout.is_empty());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn who_reads_no_further_ends_it_cleanly() {
    let mut child = inpod()
        .args(["api", "/endless", "--server", &server()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_not_a_path_is_a_usage_error() {
    for path in ["api", "http://localhost/api"] {
        let output = inpod().args(["api", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{path}");
    }
}

/// The embedded cluster speaks HTTP/2, over which a body's error is a stream's reset.
#[cfg(feature = "cluster")]
#[test]
fn a_body_that_is_malformed_is_the_clients_fault_and_no_failure_of_the_server() {
    let mut child = inpod()
        .args(["cluster", "--", env!("CARGO_BIN_EXE_inpod")])
        .args(["proxy", "--port", "0"])
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let mut stream = TcpStream::connect(line.trim().rsplit(' ').next().unwrap()).unwrap();
    stream
        .write_all(
            b"POST /api/v1/namespaces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("not well-formed"), "{answer}");
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
