//! `inpod api PATH`: direct REST, as curl with the address, the trust and the token put in.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::process::ExitCode;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use inpod::{Body, RequestInfo};

use crate::connect::{self, Connect};

/// How much of an answer that is an error is read for its message, in bytes.
const MAX_ERROR: usize = 1024 * 1024;

/// Asks the API server for a path, and prints the answer as it comes.
///
/// The server, whom to trust and the token are found as in any Pod. The answer is printed exactly as the server sent it. To a
/// terminal, the server is asked to indent it (the query parameter `pretty`), as it does for curl; elsewhere only with --pretty,
/// so that scripts get what they ask for.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Path and query, for example /api/v1/namespaces/default/pods?limit=5
    #[arg(value_parser = target)]
    path: PathAndQuery,

    /// Method; GET, or POST with --data
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = method)]
    request: Option<Method>,

    /// Request body: the text itself, @FILE, or - for standard input
    ///
    /// JSON unless a Content-Type header says otherwise; with PATCH, a JSON merge patch.
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,

    /// Header of the request (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,

    /// Print the answer's status line and headers first
    #[arg(short, long)]
    include: bool,

    /// Watch: print events, one a line, until the server or you end it
    #[arg(short, long, conflicts_with_all = ["data", "request"])]
    watch: bool,

    /// Ask for indented JSON wherever the answer goes
    #[arg(long)]
    pretty: bool,

    #[command(flatten)]
    connect: Connect,
}

/// Why there is no answer to print, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    #[error("cannot read the data from {from}: {source}")]
    Data { from: String, source: io::Error },
    #[error(transparent)]
    Client(#[from] inpod::Error),
    /// An answer that is not 2xx.
    #[error("{message} ({code})")]
    Answer { message: String, code: StatusCode },
    #[error("the server's answer broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
}

/// Asks, and prints the answer to standard output.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Error> {
    let mut stdout = io::stdout();
    let client = args.connect.client()?;
    let response = client.send(args.request(stdout.is_terminal())?).await?;
    match print(response, args.include, &mut stdout).await {
        // Who reads no further has what they wanted: `inpod api … | head`.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn request(&self, to_terminal: bool) -> Result<Request<Body>, Error> {
        let data = self.data.as_deref().map(data).transpose()?;
        let method = self.request.clone().unwrap_or(match data {
            Some(_) => Method::POST,
            None => Method::GET,
        });
        let mut request = Request::new(match &data {
            Some(data) => Body::from(data.clone()),
            None => Body::empty(),
        });
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        if data.is_some() && !request.headers().contains_key(CONTENT_TYPE) {
            let kind = HeaderValue::from_static(match method {
                Method::PATCH => "application/merge-patch+json",
                _ => "application/json",
            });
            request.headers_mut().insert(CONTENT_TYPE, kind);
        }
        *request.uri_mut() = self.uri(&method, to_terminal);
        *request.method_mut() = method;
        Ok(request)
    }

    /// The target, with the parameters that the flags stand for where the caller did not set them.
    fn uri(&self, method: &Method, to_terminal: bool) -> Uri {
        let mut target = self.path.to_string();
        if self.watch && !has_parameter(&self.path, "watch") {
            add_parameter(&mut target, "watch=1");
        }
        let pretty = self.pretty || (to_terminal && !self.watch);
        if pretty && !has_parameter(&self.path, "pretty") && is_for_the_server(method, &self.path) {
            add_parameter(&mut target, "pretty=true");
        }
        target
            .parse()
            .unwrap_or_else(|_| Uri::from(self.path.clone()))
    }
}

async fn print(
    response: Response<Body>,
    include: bool,
    output: &mut impl Write,
) -> Result<(), Error> {
    let code = response.status();
    if include {
        write!(output, "{:?} {code}\r\n", response.version()).map_err(Error::Output)?;
        for (name, value) in response.headers() {
            let head = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat();
            output.write_all(&head).map_err(Error::Output)?;
        }
        output.write_all(b"\r\n").map_err(Error::Output)?;
        output.flush().map_err(Error::Output)?;
    }
    let mut body = response.into_body();
    if !code.is_success() {
        let body = Limited::new(body, MAX_ERROR)
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        if include {
            output.write_all(&body).map_err(Error::Output)?;
            output.flush().map_err(Error::Output)?;
        }
        let message = message(&body);
        return Err(Error::Answer { message, code });
    }
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(Error::Broken)?.into_data() {
            output.write_all(&data).map_err(Error::Output)?;
            output.flush().map_err(Error::Output)?;
        }
    }
    Ok(())
}

/// What an answer that is not 2xx says: the message of a Status, or else its first line.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body)
            .trim()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    // It may quote anybody's object, whose escape sequences are not for this terminal.
    let text: String = text
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect();
    if text.is_empty() {
        "the server gave no reason".to_owned()
    } else {
        text
    }
}

fn data(argument: &str) -> Result<Bytes, Error> {
    let read = match argument.strip_prefix('@') {
        _ if argument == "-" => {
            let mut data = Vec::new();
            io::stdin().lock().read_to_end(&mut data).map(|_| data)
        }
        Some(file) => fs::read(file),
        None => return Ok(Bytes::copy_from_slice(argument.as_bytes())),
    };
    read.map(Bytes::from).map_err(|source| Error::Data {
        from: match argument.strip_prefix('@') {
            Some(file) => file.to_owned(),
            None => "standard input".to_owned(),
        },
        source,
    })
}

/// Whether the API server itself answers, and not a program behind it, whose parameters are its own.
fn is_for_the_server(method: &Method, path: &PathAndQuery) -> bool {
    let info = RequestInfo::parse(method, &Uri::from(path.clone()));
    info.is_ok_and(|info| info.subresource != "proxy" && info.verb != "proxy")
}

fn has_parameter(path: &PathAndQuery, name: &str) -> bool {
    path.query().is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    })
}

fn add_parameter(target: &mut String, parameter: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str(parameter);
}

fn target(text: &str) -> Result<PathAndQuery, String> {
    if text.contains("://") {
        return Err(
            "give the path alone, such as /api: the server is found (or said with --server URL)"
                .into(),
        );
    }
    if !text.starts_with('/') {
        return Err(format!(
            "a path begins with / (did you mean /{text}?), such as /api/v1/namespaces/default/pods"
        ));
    }
    text.parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())
}

fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it must be NAME:VALUE, such as Accept:application/yaml")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| error.to_string())?;
    if name == HOST {
        return Err("the Host is that of the server".into());
    }
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &[&str]) -> Result<Args, String> {
        Cli::try_parse_from([&["api"], line].concat())
            .map(|cli| cli.args)
            .map_err(|error| error.to_string())
    }

    fn request(line: &[&str]) -> Request<Body> {
        parse(line).unwrap().request(false).unwrap()
    }

    #[test]
    fn data_makes_it_a_post_of_json_and_patch_a_merge_patch() {
        let get = request(&["/api"]);
        assert_eq!(get.method(), Method::GET);
        assert!(get.headers().is_empty());
        let post = request(&["/api", "-d", "{}"]);
        assert_eq!(post.method(), Method::POST);
        assert_eq!(post.headers()[CONTENT_TYPE], "application/json");
        let patch = request(&["/api", "-X", "patch", "-d", "{}"]);
        assert_eq!(patch.method(), Method::PATCH);
        assert_eq!(
            patch.headers()[CONTENT_TYPE],
            "application/merge-patch+json"
        );
        let said = request(&["/api", "-d", "x", "-H", "content-type: application/yaml"]);
        assert_eq!(said.headers()[CONTENT_TYPE], "application/yaml");
    }

    #[test]
    fn flags_add_parameters_that_the_path_does_not_set() {
        let uri = |line: &[&str], to_terminal| {
            let args = parse(line).unwrap();
            args.uri(&Method::GET, to_terminal).to_string()
        };
        let pods = "/api/v1/pods";
        assert_eq!(uri(&[pods], false), pods);
        assert_eq!(uri(&[pods], true), "/api/v1/pods?pretty=true");
        assert_eq!(
            uri(&["/api/v1/pods?limit=1", "--pretty"], false),
            "/api/v1/pods?limit=1&pretty=true"
        );
        assert_eq!(uri(&["/api?pretty=0"], true), "/api?pretty=0");
        assert_eq!(uri(&[pods, "--watch"], true), "/api/v1/pods?watch=1");
        assert_eq!(uri(&["/a?watch=true", "--watch"], true), "/a?watch=true");
        let behind = "/api/v1/namespaces/n/services/s/proxy/x";
        assert_eq!(uri(&[behind], true), behind);
    }

    #[test]
    fn what_is_not_a_path_is_refused_with_the_path_it_may_mean() {
        let error = parse(&["api/v1"]).unwrap_err();
        assert!(error.contains("did you mean /api/v1?"), "{error}");
        let error = parse(&["https://10.96.0.1/api"]).unwrap_err();
        assert!(error.contains("path alone"), "{error}");
        let error = parse(&["/api", "-H", "Host: evil.com"]).unwrap_err();
        assert!(error.contains("that of the server"), "{error}");
    }

    #[test]
    fn the_message_is_that_of_the_status_or_the_first_line() {
        assert_eq!(message(br#"{"kind":"Status","message":"no"}"#), "no");
        assert_eq!(message(br#"{"message":"no:\n* a\n* b"}"#), "no:\n* a\n* b");
        assert_eq!(message(br#"{"message":"\u001b[2Jno"}"#), "[2Jno");
        assert_eq!(message(b"bad gateway\r\nmore"), "bad gateway");
        assert_eq!(message(b"  \n"), "the server gave no reason");
    }
}
