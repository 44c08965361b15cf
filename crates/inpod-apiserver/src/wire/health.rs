//! `/healthz`, `/livez` and `/readyz`, and each check by itself.
//!
//! A server that answers is healthy and, since it does not take connections before it is set up, ready: there is one check.

use http::StatusCode;

use super::reply::{self, Response};
use crate::registry::query::Query;

const CHECK: &str = "ping";

/// The answer for `path`, which begins with one of the three; a slash at its end makes it another path.
pub(super) fn serve(path: &str, query: &Query) -> Response {
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.split_once('/') {
        None => all(path, query),
        Some((_, CHECK)) => reply::plain(StatusCode::OK, "ok"),
        Some(_) => reply::page_not_found(),
    }
}

fn all(name: &str, query: &Query) -> Response {
    if query.get("verbose").is_none() {
        return reply::text(StatusCode::OK, "ok");
    }
    let (known, unknown): (Vec<_>, Vec<_>) =
        query.all("exclude").partition(|check| *check == CHECK);
    let result = if known.is_empty() {
        "ok"
    } else {
        "excluded: ok"
    };
    let mut lines = vec![format!("[+]{CHECK} {result}")];
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(|check| format!("{check:?}")).collect();
        lines.push(format!(
            "warn: some health checks cannot be excluded: no matches for {}",
            unknown.join(",")
        ));
    }
    lines.push(format!("{name} check passed\n"));
    reply::text(StatusCode::OK, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;

    fn text(path: &str, query: &str) -> String {
        match serve(path, &Query::parse(query)).into_body() {
            Body::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Body::Stream(_) => String::new(),
        }
    }

    #[test]
    fn the_answer_is_ok_or_a_list_of_the_checks() {
        assert_eq!(text("/readyz", ""), "ok");
        assert_eq!(text("/readyz/ping", ""), "ok");
        assert_eq!(text("/livez/etcd", ""), "404 page not found\n");
        assert_eq!(
            text("/livez", "verbose&exclude=ping&exclude=x"),
            "[+]ping excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n"
        );
    }
}
