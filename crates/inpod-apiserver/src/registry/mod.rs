//! What each verb does to the objects of each kind.
//!
//! The generic verbs are written once, over [`crate::schema::Resource`]; what a kind adds is its [`Strategy`]
//! (`registry/kinds/`), and what is no object at all (reviews, token requests) is a [`Special`] on its row.

pub(crate) mod json;
mod kinds;
mod strategy;
pub(crate) mod table;

use std::sync::Arc;

use http::StatusCode;
use inpod::RequestInfo;

use crate::core::Core;
use crate::schema::{Json, Resource, Subresource};
use crate::storage::Object;
use crate::{Status, UserInfo};

pub(crate) use kinds::{
    name_problems, served, served_as_stored, served_item, special, strategy, to_storage,
};
pub(crate) use strategy::{Column, Special, Strategy};

/// One request past authentication and authorization, on its way through admission and registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) core: &'a Core,
    pub(crate) info: &'a RequestInfo,
    pub(crate) user: &'a UserInfo,
    pub(crate) resource: &'static Resource,
    pub(crate) subresource: Option<&'static Subresource>,
    /// Whether the request is a `dryRun=All`: everything happens but the write.
    pub(crate) dry_run: bool,
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
    /// `application/merge-patch+json`, RFC 7386.
    MergePatch(serde_json::Value),
    /// `application/json-patch+json`, RFC 6902.
    JsonPatch(serde_json::Value),
}

/// Does what `cx.info.verb` says. `query` is the raw query string.
pub(crate) fn serve(cx: Context<'_>, query: &str, input: Input) -> Result<Answer, Status> {
    let _ = (cx, query, input);
    Err(Status::internal("not yet"))
}
