//! What the parameters of a list may be, and may not be together.

use crate::{Outcome, Session, case_list, get};

case_list!["lists":
    options_that_contradict_each_other_are_refused,
    numbers_that_are_none_are_refused,
    flags_are_read_leniently,
    parameters_of_other_verbs_are_ignored,
];

/// Lists nothing, with one query after the other.
async fn try_all(s: &mut Session, queries: &[&str]) -> Outcome {
    let ns = s.namespace().await?;
    for query in queries {
        s.send(get(format!("/api/v1/namespaces/{ns}/secrets?{query}")))
            .await?;
    }
    Ok(())
}

async fn options_that_contradict_each_other_are_refused(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "resourceVersionMatch=Exact",
            "resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch=exact",
            "resourceVersionMatch=x&resourceVersion=1",
            "resourceVersionMatch=Exact&resourceVersion=0",
            "resourceVersionMatch=Exact&resourceVersion=0&limit=1",
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            "resourceVersionMatch=x&continue=x&sendInitialEvents=true",
            "resourceVersionMatch=",
            "sendInitialEvents=true",
            "sendInitialEvents=false",
            "sendInitialEvents=",
            "sendInitialEvents=true&resourceVersion=0&resourceVersionMatch=NotOlderThan",
            "resourceVersion=x&resourceVersionMatch=y",
            "resourceVersion=x&labelSelector==",
        ],
    )
    .await
}

async fn numbers_that_are_none_are_refused(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "limit=x",
            "limit=",
            "limit=1.5",
            "limit=-1",
            "limit=+1",
            "limit=%2B1",
            "limit=0x10",
            "limit=1_000",
            "limit=99999999999999999999",
            "limit=9223372036854775807",
            "limit=1&limit=x",
            "timeoutSeconds=x",
            "timeoutSeconds=",
            "timeoutSeconds=-1",
            "timeoutSeconds=1.5",
            "timeoutSeconds=10",
            "limit=x&timeoutSeconds=y",
        ],
    )
    .await
}

async fn flags_are_read_leniently(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "watch=false",
            "watch=0",
            "watch=False",
            "watch=FALSE",
            "watch=fAlse",
            "allowWatchBookmarks=true",
            "allowWatchBookmarks=x",
            "allowWatchBookmarks=",
        ],
    )
    .await
}

async fn parameters_of_other_verbs_are_ignored(s: &mut Session) -> Outcome {
    try_all(
        s,
        &[
            "dryRun=x",
            "fieldManager=x",
            "propagationPolicy=x",
            "unknown=x",
            "LIMIT=x",
            "pretty=false",
            "timeout=5s",
        ],
    )
    .await
}
