use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use http::StatusCode;

use crate::breaks::{self, Break};
use crate::registry::continue_token::Token;
use crate::registry::options::{ListOptions, Match};
use crate::registry::query::Query;
use crate::registry::{Answer, Context, List};
use crate::status::Reason;
use crate::storage::{Lookup as _, Object, Snapshot, StorageError};
use crate::{Cause, Details, Status};

/// Answers the object that the request names.
pub(super) fn get(cx: &Context<'_>, query: &Query) -> Result<Answer, Status> {
    not_older_than(
        cx,
        revision(query.text("resourceVersion")).map_err(unknown)?,
    )?;
    let (group, resource) = cx.resource.storage;
    let object = cx
        .core
        .store
        .get(group, resource, namespace(cx).unwrap_or(""), &cx.info.name)
        .ok_or_else(|| Status::not_found(cx.resource.group, cx.resource.name, &cx.info.name))?;
    Ok(Answer::Object(StatusCode::OK, cx.resource, object))
}

/// Answers the objects that the request selects.
pub(super) fn list(cx: &Context<'_>, query: &Query) -> Result<Answer, Status> {
    collection(cx, &ListOptions::parse(cx, query)?).map(Answer::List)
}

/// The objects that `options` select, at one revision, as far as the limit allows.
pub(super) fn collection(cx: &Context<'_>, options: &ListOptions) -> Result<List, Status> {
    let single = single(cx, options).filter(|_| options.continue_token.is_empty());
    let Snapshot {
        revision, items, ..
    } = if options.continue_token.is_empty() {
        from_start(cx, options, single)?
    } else {
        continued(cx, options)?
    };
    // What may be of any revision comes from a cache on the real server, which does not divide it.
    let limit = match options.resource_version.as_str() {
        "0" => 0,
        _ => options.limit,
    };
    let everything = breaks::is_on(Break::NoSelection);
    let mut rest = items.into_iter();
    let mut selected = rest
        .by_ref()
        .filter(|object| everything || options.selection.matches(object));
    let items: Vec<_> = match limit {
        0 => selected.collect(),
        limit => selected.by_ref().take(limit).collect(),
    };
    let mut list = List {
        resource: cx.resource,
        items,
        revision,
        continue_token: None,
        remaining: None,
    };
    if breaks::is_on(Break::StaleList) {
        list.revision -= 1;
    }
    // Whether any of the rest is selected shows when the list goes on.
    if limit > 0 && list.items.len() == limit && rest.len() > 0 {
        let token = |object| Token::after(&key(cx, object), revision).encode();
        list.continue_token = list.items.last().map(token);
        let everything = options.selection.is_everything();
        list.remaining = everything.then_some(rest.len() as u64);
        if breaks::is_on(Break::LostItem) {
            list.items.pop();
        }
    }
    Ok(list)
}

/// The namespace that the request is about, unless it is about all of them.
pub(super) fn namespace<'a>(cx: &Context<'a>) -> Option<&'a str> {
    let namespace = cx.info.namespace.as_str();
    (cx.resource.namespaced && !namespace.is_empty()).then_some(namespace)
}

/// What a resourceVersion asks for: nothing in particular where it is empty or 0.
///
/// # Errors
/// Why it is no number. A list answers 400; others pass it on as it is, with [`unknown`].
pub(super) fn revision(resource_version: &str) -> Result<Option<u64>, String> {
    match resource_version {
        "" | "0" => Ok(None),
        text => text.parse().map(Some).map_err(|error: ParseIntError| {
            let why = match error.kind() {
                IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {why}"
            )
        }),
    }
}

/// The 500 of an error that the real server has no code for.
pub(super) fn unknown(message: String) -> Status {
    Status::new(StatusCode::INTERNAL_SERVER_ERROR, Reason::Unknown, message)
}

/// 504 for a revision that the server has not come to.
pub(super) fn too_large(asked: u64, current: u64) -> Status {
    Status::new(
        StatusCode::GATEWAY_TIMEOUT,
        Reason::Timeout,
        format!("Timeout: Too large resource version: {asked}, current: {current}"),
    )
    .with_details(Details {
        causes: vec![Cause::new(
            "ResourceVersionTooLarge",
            "",
            "Too large resource version",
        )],
        retry_after_seconds: 1,
        ..Details::default()
    })
}

fn not_older_than(cx: &Context<'_>, asked: Option<u64>) -> Result<(), Status> {
    let current = cx.core.store.revision();
    match asked {
        Some(asked) if asked > current => Err(too_large(asked, current)),
        _ => Ok(()),
    }
}

fn from_start(
    cx: &Context<'_>,
    options: &ListOptions,
    single: Option<(&str, &str)>,
) -> Result<Snapshot, Status> {
    let asked = revision(&options.resource_version)
        .map_err(|problem| Status::bad_request(format!("invalid resource version: {problem}")))?;
    // Without a match, a limit makes it exact: so it was before there was resourceVersionMatch.
    let exact = match options.resource_version_match {
        Some(Match::Exact) => true,
        Some(Match::NotOlderThan) => false,
        None => options.limit > 0 && single.is_none(),
    };
    if !exact {
        not_older_than(cx, asked)?;
        if let Some((namespace, name)) = single {
            let store = &cx.core.store;
            return Ok(store.snapshot_of(cx.resource.storage, namespace, name));
        }
    }
    let mut snapshot = cx
        .core
        .store
        .snapshot(
            cx.resource.storage,
            namespace(cx),
            None,
            asked.filter(|_| exact),
        )
        .map_err(|error| match error {
            StorageError::TooOld { .. } => {
                Status::expired("The resourceVersion for the provided list is too old.")
            }
            other => refused(other),
        })?;
    if let Some((namespace, name)) = single {
        let named = |object: &Arc<Object>| object.namespace == namespace && object.name == name;
        snapshot.items.retain(named);
    }
    Ok(snapshot)
}

/// Namespace and name of the one object that can be selected: such a list is a look-up, and knows no pages.
fn single<'a>(cx: &Context<'a>, options: &'a ListOptions) -> Option<(&'a str, &'a str)> {
    let name = options.selection.fields.exact("metadata.name")?;
    let namespace = match namespace(cx) {
        Some(namespace) => namespace,
        None if !cx.resource.namespaced => "",
        None => options.selection.fields.exact("metadata.namespace")?,
    };
    Some((namespace, name))
}

fn continued(cx: &Context<'_>, options: &ListOptions) -> Result<Snapshot, Status> {
    let token = Token::decode(&options.continue_token)
        .map_err(|problem| Status::bad_request(format!("invalid continue token: {problem}")))?;
    if !matches!(options.resource_version.as_str(), "" | "0") {
        return Err(Status::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let start = match namespace(cx) {
        Some(namespace) => format!("{namespace}/{}", token.start),
        None => token.start.clone(),
    };
    // A negative revision is that of a token that was given out for an expired one: it goes on with what is there now.
    let revision = u64::try_from(token.rv).ok();
    cx.core
        .store
        .snapshot(cx.resource.storage, namespace(cx), Some(&start), revision)
        .map_err(|error| match error {
            StorageError::TooOld { .. } => {
                let mut status = Status::expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a new \
                     list without the continue parameter, or use the continue token in this response to retrieve the \
                     remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
                     that were created, modified, or deleted between the time the first chunk was returned and now may show \
                     up in the list.",
                );
                status.continue_token = Some(token.clone().at_newest().encode());
                status
            }
            other => refused(other),
        })
}

/// A storage error of a read as a Status.
pub(super) fn refused(error: StorageError) -> Status {
    match error {
        StorageError::TooOld { .. } => Status::expired(error.to_string()),
        StorageError::TooLarge { asked, current } => too_large(asked, current),
        other => Status::internal(other),
    }
}

/// The key of `object` below the namespace of the list.
fn key(cx: &Context<'_>, object: &Arc<Object>) -> String {
    match namespace(cx) {
        Some(_) => object.name.clone(),
        None => object.key(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Input;
    use crate::registry::testing::Server;

    fn server(names: &[&str]) -> Server {
        let server = Server::new();
        for name in names {
            let body = json!({"metadata": {"name": name, "labels": {"name": name}}});
            server.write("create", "", "", body).expect("created");
        }
        server
    }

    fn list(server: &Server, query: &str) -> Result<List, Status> {
        match server.serve("list", "", query, Input::Empty)? {
            Answer::List(list) => Ok(list),
            other => panic!("no list: {other:?}"),
        }
    }

    fn names(list: &List) -> Vec<&str> {
        list.items.iter().map(|o| o.name.as_str()).collect()
    }

    #[test]
    fn a_list_goes_on_at_its_revision() {
        let server = server(&["a", "b", "c"]);
        let first = list(&server, "limit=2").expect("listed");
        assert_eq!(names(&first), ["a", "b"]);
        assert_eq!(first.remaining, Some(1));
        server
            .serve("delete", "c", "", Input::Empty)
            .expect("deleted");
        let token = first.continue_token.expect("there is more");
        let rest = list(&server, &format!("limit=2&continue={token}")).expect("listed");
        assert_eq!(names(&rest), ["c"]);
        assert_eq!(rest.revision, first.revision);
        assert_eq!(rest.continue_token, None);
    }

    #[test]
    fn a_token_of_an_old_revision_is_answered_with_a_fresh_one() {
        let server = server(&["a", "b", "c"]);
        let old = list(&server, "").expect("listed").revision;
        let first = list(&server, "limit=1").expect("listed");
        for n in 0..30 {
            let body = json!({"metadata": {"name": "a"}, "spec": n});
            server.write("update", "a", "", body).expect("updated");
        }
        let token = first.continue_token.expect("there is more");
        let status = list(&server, &format!("continue={token}")).expect_err("expired");
        assert_eq!(
            (status.code.as_u16(), status.reason),
            (410, Reason::Expired)
        );
        let fresh = status.continue_token.expect("a fresh token");
        let rest = list(&server, &format!("continue={fresh}")).expect("listed");
        assert_eq!(names(&rest), ["b", "c"]);
        let query = format!("resourceVersion={old}&resourceVersionMatch=Exact");
        let status = list(&server, &query).expect_err("expired");
        assert_eq!(
            status.message,
            "The resourceVersion for the provided list is too old."
        );
    }

    #[test]
    fn selectors_choose_and_hide_how_many_remain() {
        let server = server(&["a", "b", "c"]);
        let some = list(&server, "labelSelector=name+in+(a,c)&limit=1").expect("listed");
        assert_eq!(names(&some), ["a"]);
        assert!(some.continue_token.is_some());
        assert_eq!(some.remaining, None);
        let one = list(&server, "fieldSelector=metadata.name%3Db").expect("listed");
        assert_eq!(names(&one), ["b"]);
        let none = list(&server, "fieldSelector=metadata.name%3Dx").expect("listed");
        assert!(none.items.is_empty());
    }

    #[test]
    fn a_revision_can_be_asked_for() {
        let server = server(&["a", "b"]);
        let exact = list(&server, "resourceVersion=3&resourceVersionMatch=Exact").expect("listed");
        assert_eq!((names(&exact), exact.revision), (vec!["a"], 3));
        let legacy = list(&server, "resourceVersion=3&limit=5").expect("listed");
        assert_eq!(legacy.revision, 3);
        let newer = list(&server, "resourceVersion=3").expect("listed");
        assert_eq!(newer.revision, 4);
        let status = list(&server, "resourceVersion=99").expect_err("not yet");
        assert_eq!(status.code, 504);
        assert_eq!(
            status.message,
            "Timeout: Too large resource version: 99, current: 4"
        );
        let status = list(&server, "resourceVersion=x").expect_err("no number");
        assert_eq!(status.code, 400);
    }
}
