//! What each verb does to the objects of each kind.
//!
//! The generic verbs are written once, over [`crate::schema::Resource`]; what a kind adds is its [`Strategy`]
//! (`registry/kinds/`), and what is no object at all (reviews, token requests) is a [`Special`] on its row.

mod continue_token;
mod create;
mod delete;
pub(crate) mod json;
mod kinds;
mod options;
mod owners;
mod patch;
pub(crate) mod query;
mod read;
mod selector;
mod strategy;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod update;
pub(crate) mod validation;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use inpod::RequestInfo;

use crate::core::Core;
use crate::schema::{self, Json, Resource, Subresource};
use crate::storage::Object;
use crate::{Status, UserInfo};

pub(crate) use kinds::{
    allocate_service, name_problems, served, served_as_stored, served_item, special, strategy,
    to_storage,
};
pub(crate) use patch::Patch;
pub(crate) use strategy::{Column, Special, Strategy};

use options::{DeleteOptions, write_options};
use query::Query;

/// One request past authentication and authorization, on its way through admission and registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) core: &'a Core,
    pub(crate) info: &'a RequestInfo,
    pub(crate) user: &'a UserInfo,
    pub(crate) resource: &'static Resource,
    pub(crate) subresource: Option<&'static Subresource>,
    /// Who writes, in `metadata.managedFields`.
    pub(crate) manager: &'a str,
    /// Whether the request is a `dryRun=All`: everything happens but the write.
    pub(crate) dry_run: bool,
    /// What the client is to be told beside the answer.
    pub(crate) warnings: &'a Warnings,
}

/// What clients are told in `Warning` headers, each once, and no more than fits into the headers of an answer.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

/// The most characters of all warnings together, and of one that would be more: kube-apiserver's.
const MOST_WARNED: usize = 4096;
const MOST_OF_A_LONG_ONE: usize = 256;

impl Warnings {
    pub(crate) fn add(&self, warning: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = |text: &str| text.chars().count();
        let told: usize = all.iter().map(|told| length(told)).sum();
        if told >= MOST_WARNED || all.contains(&warning) {
            return;
        }
        if told + length(&warning) > MOST_WARNED {
            all.push(warning.chars().take(MOST_OF_A_LONG_ONE).collect());
        } else {
            all.push(warning);
        }
    }

    pub(crate) fn into_inner(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the registry answers, for the wire to encode in the form that was asked for.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A stored object, as a version of its resource serves it.
    Object(StatusCode, &'static Resource, Arc<Object>),
    /// An object that is stored nowhere: a review, a token, a Status of success. It has kind and apiVersion.
    Value(StatusCode, Json),
    /// A collection at one revision.
    List(List),
    /// What happens from a revision on.
    Watch(Watch),
}

/// A collection at one revision.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) resource: &'static Resource,
    pub(crate) items: Vec<Arc<Object>>,
    pub(crate) revision: u64,
    /// `metadata.continue`, where there is more.
    pub(crate) continue_token: Option<String>,
    /// `metadata.remainingItemCount`, where it is known.
    pub(crate) remaining: Option<u64>,
}

/// A watch that was accepted; the wire polls `events` until it ends, the client leaves or the server drains.
pub(crate) struct Watch {
    pub(crate) resource: &'static Resource,
    pub(crate) events: std::pin::Pin<Box<dyn futures_core::Stream<Item = Event> + Send>>,
}

/// One event of a watch, selectors already applied (an object that no longer matches is `Deleted`).
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Added(Arc<Object>),
    Modified(Arc<Object>),
    /// The object as it last was, at the revision of its deletion.
    Deleted(Arc<Object>),
    Bookmark {
        revision: u64,
        /// Whether it ends the initial events of a watch-list (`k8s.io/initial-events-end`).
        initial_events_end: bool,
    },
    /// The last event.
    Error(Status),
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("resource", &self.resource.name)
            .finish_non_exhaustive()
    }
}

/// A request body, decoded by its Content-Type into the kind of the resource or, for a patch, left as it came.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing was sent.
    Empty,
    /// An object of the resource's (or subresource's) kind, or `DeleteOptions`.
    Object(Json),
    /// A patch, and the fields that came twice in it.
    Patch(Patch, Vec<String>),
}

/// Does what `cx.info.verb` says. `query` is the raw query string.
///
/// # Errors
/// The Status of the real server's handlers, checks in their order.
pub(crate) fn serve(cx: Context<'_>, query: &str, input: Input) -> Result<Answer, Status> {
    let verb = cx.info.verb.as_str();
    let verbs = cx.subresource.map_or(cx.resource.verbs, |s| s.verbs);
    if !verbs.contains(&verb) {
        return Err(Status::method_not_allowed());
    }
    let query = Query::parse(query);
    if let Some(special) = special(cx.resource, cx.subresource) {
        write_options("CreateOptions", &query)?;
        let mut sent = object(input)?;
        create::ensure_namespace(&cx, &mut sent)?;
        special.default(&mut sent);
        let owners = owners::track(&cx, None, &mut sent);
        let mut created = special.create(&cx, sent)?;
        if special.keeps_metadata() {
            owners::put(&mut created, owners);
        }
        return Ok(Answer::Value(StatusCode::CREATED, created));
    }
    // The other subresources are about a container that runs, and here none does.
    if cx
        .subresource
        .is_some_and(|s| !matches!(s.name, "status" | "finalize"))
    {
        return Err(Status::method_not_allowed());
    }
    let writes = matches!(verb, "create" | "update" | "patch");
    let _turn = (writes && strategy(cx.resource).shares_a_pool()).then(|| {
        let allocation = cx.core.allocation.lock();
        allocation.unwrap_or_else(PoisonError::into_inner)
    });
    match verb {
        "get" => read::get(&cx, &query),
        "list" => read::list(&cx, &query),
        "watch" => watch::watch(&cx, &query),
        "create" => {
            write_options("CreateOptions", &query)?;
            create::create(&cx, object(input)?)
        }
        "update" => {
            write_options("UpdateOptions", &query)?;
            update::update(&cx, object(input)?)
        }
        "patch" => {
            let validation = write_options("PatchOptions", &query)?;
            let Input::Patch(patch, duplicates) = input else {
                return Err(Status::bad_request(
                    "a patch has to be sent in the request body",
                ));
            };
            patch::patch(&cx, &patch, &duplicates, validation)
        }
        "delete" | "deletecollection" => {
            let options = match &input {
                Input::Object(body) => DeleteOptions::parse(&query, Some(body))?,
                _ => DeleteOptions::parse(&query, None)?,
            };
            if verb == "delete" {
                delete::delete(&cx, &options)
            } else {
                delete::delete_collection(&cx, &query, &options)
            }
        }
        _ => Err(Status::method_not_allowed()),
    }
}

fn object(input: Input) -> Result<Json, Status> {
    match input {
        Input::Object(object) => Ok(object),
        _ => Err(Status::bad_request(
            "an object has to be sent in the request body",
        )),
    }
}

/// Puts a stored object in the order and form of its storage version's Go types.
fn normalize(resource: &Resource, object: &mut Json) {
    if let Some(ty) = storage_type(resource) {
        schema::normalize(ty, object);
    }
}

/// The type of what is stored for `resource`.
fn storage_type(resource: &Resource) -> Option<schema::Type> {
    let (group, name) = resource.storage;
    let stored = schema::resource(group, resource.version, name).unwrap_or(resource);
    schema::type_of(stored.group, stored.version, stored.kind)
}
