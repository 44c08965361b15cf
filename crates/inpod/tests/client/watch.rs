//! Events, however they are cut on their way.

use bytes::Bytes;
use futures_util::StreamExt as _;
use inpod::{Client, Error, WatchEvent};
use serde_json::{Value, json};

use crate::over_both;
use crate::server::{Protocol, Reply, Server, reply, stream};

over_both! {
    async fn events_are_the_same_however_they_are_cut(protocol) {
        // More than a MiB on one line, and characters of several bytes to cut through.
        let large = json!({"data": "é".repeat(600_000)});
        let lines = format!(
            "{}\n\n{}\n{}\n{}\n{}\n",
            json!({"type": "ADDED", "object": large}),
            json!({"type": "MODIFIED", "object": {"a": 1}}),
            json!({"type": "OF_A_LATER_SERVER", "object": {}}),
            json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}),
            json!({"type": "DELETED", "object": {"a": 2}}),
        );
        let chunks: Vec<_> = lines.as_bytes().chunks(65_521).map(Bytes::copy_from_slice).collect();
        let server = Server::start(protocol, move |_, _| {
            let chunks = chunks.clone();
            async move { of(chunks) }
        })
        .await;
        let events = watch(&server).await.unwrap();
        let expected = [
            WatchEvent::Added(large),
            WatchEvent::Modified(json!({"a": 1})),
            WatchEvent::Bookmark { resource_version: "7".to_owned(), initial_events_end: false },
            WatchEvent::Deleted(json!({"a": 2})),
        ];
        assert_eq!(events.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), expected);
        assert_eq!(server.seen()[0].uri.query(), Some("allowWatchBookmarks=true&watch=1"));
    }

    async fn an_error_event_is_the_servers_error_and_the_last(protocol) {
        let lines = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}
{"type":"ADDED","object":{}}
"#;
        let server = Server::start(protocol, move |_, _| async move { reply(200, lines) }).await;
        let events = watch(&server).await.unwrap();
        assert_eq!(events.len(), 1);
        assert!(matches!(&events[0], Err(Error::Api(status)) if status.code == 410), "{events:?}");
    }

    async fn a_last_line_without_a_newline_is_read_or_an_error_but_not_dropped(protocol) {
        for (line, is_event) in [(r#"{"type":"ADDED","object":{}}"#, true), (r#"{"type":"ADD"#, false)] {
            let server = Server::start(protocol, move |_, _| async move { reply(200, line) }).await;
            let events = watch(&server).await.unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].is_ok(), is_event, "{events:?}");
        }
    }

    async fn a_watch_that_is_refused_is_an_error_before_the_first_event(protocol) {
        let status = "{\n  \"kind\": \"Status\",\n  \"code\": 403,\n  \"message\": \"no\"\n}";
        let server = Server::start(protocol, move |_, _| async move { reply(403, status) }).await;
        let error = watch(&server).await.unwrap_err();
        assert!(matches!(error, Error::Api(status) if status.code == 403 && status.message == "no"));
    }
}

/// All events of a watch, which ends by itself.
async fn watch(server: &Server) -> Result<Vec<Result<WatchEvent<Value>, Error>>, Error> {
    let (_account, client): (_, Client) = server.client();
    let events = client
        .watch("/api/v1/pods?allowWatchBookmarks=true")
        .await?;
    Ok(events.collect().await)
}

fn of(chunks: Vec<Bytes>) -> Reply {
    let (sender, reply) = stream();
    for chunk in chunks {
        sender.send(chunk).unwrap();
    }
    reply
}
