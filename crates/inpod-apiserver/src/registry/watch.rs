use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::breaks::{self, Break};
use crate::registry::options::ListOptions;
use crate::registry::query::Query;
use crate::registry::read::{namespace, refused, revision, unknown};
use crate::registry::selector::Selection;
use crate::registry::{Answer, Context, Event, Watch};
use crate::storage::{Change, ChangeKind, Lookup as _, Object, StorageError, Subscription};
use crate::{Source, Status};

/// Between two bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Between the last bookmark and the end.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// The shortest a watch is where the client does not say; the longest is twice that.
const MIN_TIMEOUT_SECONDS: u64 = 1800;

/// Answers what happens to the objects that the request selects, from a revision on.
pub(super) fn watch(cx: &Context<'_>, query: &Query) -> Result<Answer, Status> {
    let options = ListOptions::parse(cx, query)?;
    let events = match Watcher::new(cx, &options) {
        Ok(watcher) => Box::pin(futures_util::stream::unfold(watcher, |mut watcher| async {
            let event = watcher.next().await?;
            Some((event, watcher))
        })) as Pin<Box<dyn futures_core::Stream<Item = Event> + Send>>,
        // What the real server's cache finds out is told inside the stream.
        Err(Refusal::Event(status)) => Box::pin(futures_util::stream::iter([Event::Error(status)])),
        Err(Refusal::Status(status)) => return Err(status),
    };
    Ok(Answer::Watch(Watch {
        resource: cx.resource,
        events,
    }))
}

enum Refusal {
    Event(Status),
    Status(Status),
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Event(refused(error))
    }
}

/// One watch: what it still has to say, and where it is in the event log.
struct Watcher {
    subscription: Subscription,
    /// Nothing up to here is of interest; the store may not have come to it yet.
    from: u64,
    namespace: Option<String>,
    selection: Selection,
    ready: VecDeque<Event>,
    bookmarks: bool,
    /// Fires at the next bookmark or at the end.
    timer: Pin<Box<Sleep>>,
    end: Instant,
    ended: bool,
}

impl Watcher {
    fn new(cx: &Context<'_>, options: &ListOptions) -> Result<Self, Refusal> {
        let store = &cx.core.store;
        let asked = revision(&options.resource_version)
            .map_err(|problem| Refusal::Status(unknown(problem)))?;
        let timeout = match options.timeout_seconds.unwrap_or(0) {
            0 => some_timeout(&*cx.core.source),
            // A negative one is over before it begins.
            seconds => u64::try_from(seconds).unwrap_or(0),
        };
        let mut ready = VecDeque::new();
        let from = match asked {
            Some(asked) if options.send_initial_events != Some(true) => asked,
            _ => {
                if let Some(asked) = asked {
                    // Nothing from before it is wanted, but it has to have been.
                    store.subscribe(&[], asked).map(drop).or_else(future_only)?;
                }
                let snapshot = store.snapshot(cx.resource.storage, namespace(cx), None, None)?;
                if options.send_initial_events == Some(true) {
                    let selected = snapshot
                        .items
                        .into_iter()
                        .filter(|object| options.selection.matches(object));
                    ready.extend(selected.map(Event::Added));
                    if options.allow_watch_bookmarks && !breaks::is_on(Break::NoBookmark) {
                        ready.push_back(Event::Bookmark {
                            revision: snapshot.revision,
                            initial_events_end: true,
                        });
                    }
                }
                snapshot.revision
            }
        };
        let subscription = store.subscribe(&[cx.resource.storage], from.min(store.revision()))?;
        // A timeout that the clock cannot reach is none.
        let end = Instant::now() + Duration::from_secs(timeout.min(u64::from(u32::MAX)));
        let mut watcher = Self {
            subscription,
            from,
            namespace: namespace(cx).map(str::to_owned),
            selection: options.selection.clone(),
            ready,
            bookmarks: options.allow_watch_bookmarks,
            timer: Box::pin(sleep_until(end)),
            end,
            ended: false,
        };
        watcher.wind();
        Ok(watcher)
    }

    /// The next event; none after the last.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                biased;
                changes = self.subscription.next() => self.take(changes),
                () = &mut self.timer => self.rung(),
            }
        }
    }

    fn take(&mut self, changes: Result<Vec<Arc<Change>>, StorageError>) {
        match changes {
            Ok(changes) => {
                let events = changes.iter().filter_map(|change| self.event(change));
                let mut events: Vec<Event> = events.collect();
                if breaks::is_on(Break::BackwardEvents) {
                    events.reverse();
                }
                self.ready.extend(events);
            }
            Err(error) => {
                self.ended = true;
                self.ready.push_back(Event::Error(refused(error)));
            }
        }
    }

    /// The timer has fired: the end, or time for a bookmark.
    fn rung(&mut self) {
        if Instant::now() >= self.end {
            self.ended = true;
            return;
        }
        let changes = self.subscription.take();
        let quiet = changes.as_ref().is_ok_and(Vec::is_empty);
        self.take(changes);
        // A bookmark promises that everything before it was said.
        if quiet || !self.ended {
            self.ready.push_back(Event::Bookmark {
                revision: self.subscription.revision().max(self.from),
                initial_events_end: false,
            });
        }
        self.wind();
    }

    /// Sets the timer to what comes next.
    fn wind(&mut self) {
        let now = Instant::now();
        let next = now + BOOKMARKS;
        let last = self.end.checked_sub(LAST_BOOKMARK).unwrap_or(now);
        let at = if !self.bookmarks || now >= last {
            self.end
        } else {
            next.min(last)
        };
        self.timer.as_mut().reset(at);
    }

    /// What `change` is to this watch: an object may enter and leave what is selected.
    fn event(&self, change: &Change) -> Option<Event> {
        let elsewhere = self
            .namespace
            .as_ref()
            .is_some_and(|namespace| *namespace != change.object.namespace);
        if elsewhere || change.revision() <= self.from {
            return None;
        }
        let was = change
            .old
            .as_ref()
            .filter(|old| self.selection.matches(old));
        let object = change.object.clone();
        if change.kind == ChangeKind::Deleted {
            return was.map(|_| Event::Deleted(object));
        }
        match (was, self.selection.matches(&change.object)) {
            (None, true) => Some(Event::Added(object)),
            (Some(_), true) => Some(Event::Modified(object)),
            (Some(old), false) => {
                let left: Object = old.at_revision(change.revision());
                Some(Event::Deleted(Arc::new(left)))
            }
            (None, false) => None,
        }
    }
}

/// Lets a revision pass that the log no longer has.
fn future_only(error: StorageError) -> Result<(), StorageError> {
    match error {
        StorageError::TooOld { .. } => Ok(()),
        other => Err(other),
    }
}

/// Watches end at random times, so that the clients of a server do not come back all at once.
fn some_timeout(source: &dyn Source) -> u64 {
    let mut bytes = [0; 8];
    source.fill(&mut bytes);
    MIN_TIMEOUT_SECONDS + u64::from_le_bytes(bytes) % MIN_TIMEOUT_SECONDS
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::Input;
    use crate::registry::testing::Server;

    fn watch(server: &Server, query: &str) -> Watch {
        match server.serve("watch", "", query, Input::Empty) {
            Ok(Answer::Watch(watch)) => watch,
            other => panic!("no watch: {other:?}"),
        }
    }

    fn create(server: &Server, name: &str, label: &str) {
        let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
        server.write("create", "", "", body).expect("created");
    }

    fn label(server: &Server, name: &str, label: &str) {
        let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
        server.write("update", name, "", body).expect("updated");
    }

    async fn next(watch: &mut Watch) -> Value {
        let object = |kind: &str, o: &Object| json!([kind, o.name, o.revision]);
        match watch.events.next().await {
            Some(Event::Added(o)) => object("ADDED", &o),
            Some(Event::Modified(o)) => object("MODIFIED", &o),
            Some(Event::Deleted(o)) => object("DELETED", &o),
            Some(Event::Bookmark {
                revision,
                initial_events_end,
            }) => json!(["BOOKMARK", revision, initial_events_end]),
            Some(Event::Error(status)) => json!(["ERROR", status.code.as_u16(), status.message]),
            None => Value::Null,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_list_says_what_is_there_and_where_that_ends() {
        let server = Server::new();
        create(&server, "a", "1");
        create(&server, "b", "1");
        let mut watch = watch(
            &server,
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=100",
        );
        create(&server, "c", "1");
        assert_eq!(next(&mut watch).await, json!(["ADDED", "a", 3]));
        assert_eq!(next(&mut watch).await, json!(["ADDED", "b", 4]));
        assert_eq!(next(&mut watch).await, json!(["BOOKMARK", 4, true]));
        assert_eq!(next(&mut watch).await, json!(["ADDED", "c", 5]));
        let start = Instant::now();
        assert_eq!(next(&mut watch).await, json!(["BOOKMARK", 5, false]));
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(next(&mut watch).await, json!(["BOOKMARK", 5, false]));
        assert_eq!(start.elapsed().as_secs(), 98);
        assert_eq!(next(&mut watch).await, Value::Null);
        assert_eq!(start.elapsed().as_secs(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_enters_and_leaves_what_is_selected() {
        let server = Server::new();
        create(&server, "a", "no");
        let mut watch = watch(
            &server,
            "resourceVersion=3&labelSelector=l%3Dyes&timeoutSeconds=5",
        );
        label(&server, "a", "yes");
        label(&server, "a", "no");
        label(&server, "a", "other");
        label(&server, "a", "yes");
        server
            .serve("delete", "a", "", Input::Empty)
            .expect("deleted");
        assert_eq!(next(&mut watch).await, json!(["ADDED", "a", 4]));
        assert_eq!(next(&mut watch).await, json!(["DELETED", "a", 5]));
        assert_eq!(next(&mut watch).await, json!(["ADDED", "a", 7]));
        assert_eq!(next(&mut watch).await, json!(["DELETED", "a", 8]));
        assert_eq!(next(&mut watch).await, Value::Null);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_of_one_name_sees_nothing_else() {
        let server = Server::new();
        create(&server, "a", "1");
        create(&server, "b", "1");
        let mut watch = watch(&server, "fieldSelector=metadata.name%3Db&timeoutSeconds=5");
        label(&server, "a", "2");
        label(&server, "b", "2");
        assert_eq!(next(&mut watch).await, json!(["ADDED", "b", 4]));
        assert_eq!(next(&mut watch).await, json!(["MODIFIED", "b", 6]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revision_that_is_gone_is_an_event_and_one_to_come_is_waited_for() {
        let server = Server::new();
        create(&server, "a", "1");
        for n in 0..25 {
            label(&server, "a", &format!("x{n}"));
        }
        let mut old = watch(&server, "resourceVersion=1");
        assert_eq!(
            next(&mut old).await,
            json!(["ERROR", 410, "too old resource version: 1 (8)"])
        );
        assert_eq!(next(&mut old).await, Value::Null);
        let mut to_come = watch(&server, "resourceVersion=30&timeoutSeconds=5");
        label(&server, "a", "y");
        label(&server, "a", "z");
        label(&server, "a", "0");
        assert_eq!(next(&mut to_come).await, json!(["MODIFIED", "a", 31]));
        let mut list = watch(
            &server,
            "resourceVersion=99999&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        );
        assert_eq!(
            next(&mut list).await,
            json!([
                "ERROR",
                504,
                "Timeout: Too large resource version: 99999, current: 31"
            ])
        );
    }
}
