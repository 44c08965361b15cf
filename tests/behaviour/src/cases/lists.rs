//! Lists: the versions they may be asked at, and their division into pages.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::json;

use crate::{Failure, Outcome, Session, case_list, delete, get, patch, post};

case_list!["lists":
    a_version_chooses_what_is_listed,
    a_version_to_come_times_out,
    versions_that_are_no_number_are_refused,
    an_empty_collection_has_a_version,
    items_are_in_the_order_of_their_keys,
    a_label_selects_across_namespaces,
    pages_are_of_one_version,
    pages_with_selectors_do_not_tell_how_many_remain,
    pages_go_across_namespaces,
    a_page_goes_on_with_what_it_is_asked,
    a_page_at_an_exact_version_goes_on_there,
    a_limit_at_any_version_is_ignored,
    malformed_continue_tokens_are_refused,
    a_token_without_a_version_goes_on_with_what_is_there,
    a_list_is_served_as_table_and_as_metadata,
];

/// The path of a new namespace's config maps.
async fn config_maps(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/configmaps"))
}

/// Makes a config map with a label, and answers its resourceVersion.
async fn made(s: &mut Session, all: &str, name: &str, label: &str) -> Result<String, Failure> {
    let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
    s.set_up(post(all, &body)).await?.version()
}

/// Lists what is selected by a selector that excludes what every namespace has.
fn own(all: &str) -> crate::Request {
    get(all).query("labelSelector", "l")
}

/// Writes something, so that the next list is of another version and its token another one.
async fn another_version(s: &mut Session, all: &str) -> Outcome {
    let labelled = json!({"metadata": {"name": "zz"}});
    s.set_up(post(all, &labelled)).await?;
    s.set_up(delete(format!("{all}/zz"))).await?;
    Ok(())
}

async fn a_version_chooses_what_is_listed(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let mut versions = vec![
        made(s, &all, "a", "1").await?,
        made(s, &all, "b", "1").await?,
    ];
    let changed = json!({"data": {"k": "v"}});
    let changed = s.send(patch(format!("{all}/a"), "merge", &changed)).await?;
    versions.push(changed.version()?);
    s.set_up(delete(format!("{all}/b"))).await?;
    // The newest is seen by a list that asks for nothing; what may be of any version is at least that from then on.
    s.send(own(&all)).await?;
    s.send(own(&all).query("resourceVersion", "")).await?;
    s.send(own(&all).query("resourceVersion", "0")).await?;
    s.send(
        own(&all)
            .query("resourceVersion", "0")
            .query("resourceVersionMatch", "NotOlderThan"),
    )
    .await?;
    for version in &versions {
        let at = || own(&all).query("resourceVersion", version);
        s.send(at()).await?;
        s.send(at().query("resourceVersionMatch", "NotOlderThan"))
            .await?;
        s.send(at().query("resourceVersionMatch", "Exact")).await?;
        s.send(at().query("limit", "5")).await?;
        s.send(
            at().query("resourceVersionMatch", "NotOlderThan")
                .query("limit", "5"),
        )
        .await?;
    }
    Ok(())
}

async fn a_version_to_come_times_out(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    let to_come = |path: &str| get(path).query("resourceVersion", "9000000000");
    s.send(to_come(&all)).await?;
    s.send(to_come(&all).query("resourceVersionMatch", "Exact"))
        .await?;
    s.send(to_come(&all).query("limit", "1")).await?;
    s.send(to_come(&format!("{all}/a"))).await?;
    Ok(())
}

async fn versions_that_are_no_number_are_refused(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for version in ["x", "-1", "1.5", "99999999999999999999", " 1"] {
        let at = || get(&all).query("resourceVersion", version);
        s.send(at().query("labelSelector", "none")).await?;
        s.send(
            at().query("resourceVersionMatch", "Exact")
                .query("labelSelector", "none"),
        )
        .await?;
        s.send(get(format!("{all}/a")).query("resourceVersion", version))
            .await?;
    }
    Ok(())
}

async fn an_empty_collection_has_a_version(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for resource in ["secrets", "pods", "services", "endpoints", "events"] {
        let all = format!("/api/v1/namespaces/{ns}/{resource}");
        s.send(get(&all)).await?;
        s.send(get(&all).query("limit", "1")).await?;
    }
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases");
    s.send(get(leases)).await?;
    s.send(get("/api/v1/namespaces/no-such-namespace/secrets"))
        .await?;
    Ok(())
}

async fn items_are_in_the_order_of_their_keys(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for name in ["b", "a-b", "a", "a.b", "a0", "10", "9", "ab"] {
        made(s, &all, name, "1").await?;
    }
    s.send(own(&all)).await?;
    Ok(())
}

async fn a_label_selects_across_namespaces(s: &mut Session) -> Outcome {
    let label = s.name("label");
    let (one, two) = (config_maps(s).await?, config_maps(s).await?);
    for (all, name) in [(&two, "a"), (&one, "b"), (&one, "a")] {
        made(s, all, name, &label).await?;
    }
    let everywhere = || get("/api/v1/configmaps").query("labelSelector", &format!("l={label}"));
    s.send(everywhere()).await?;
    s.send(everywhere().query("fieldSelector", "metadata.name=a"))
        .await?;
    s.send(everywhere().query("fieldSelector", "metadata.namespace=default"))
        .await?;
    Ok(())
}

async fn pages_are_of_one_version(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for name in ["a", "b", "c", "d", "e"] {
        made(s, &all, name, "1").await?;
    }
    let mut page = s.send(get(&all).query("limit", "2")).await?;
    // What happens in between is not seen.
    s.set_up(patch(
        format!("{all}/c"),
        "merge",
        &json!({"data": {"k": "v"}}),
    ))
    .await?;
    s.set_up(delete(format!("{all}/d"))).await?;
    made(s, &all, "bb", "1").await?;
    while let Ok(token) = page.text("/metadata/continue") {
        page = s
            .send(get(&all).query("limit", "2").query("continue", &token))
            .await?;
    }
    Ok(())
}

async fn pages_with_selectors_do_not_tell_how_many_remain(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("e", "1")] {
        made(s, &all, name, label).await?;
    }
    for (parameter, selector, limit) in [
        ("labelSelector", "l=1", "2"),
        // As many as there are, with others behind the last.
        ("labelSelector", "l=2", "2"),
        ("labelSelector", "l=3", "2"),
        ("fieldSelector", "metadata.name!=b", "3"),
        ("fieldSelector", "metadata.name=b", "1"),
        ("labelSelector", "", "4"),
    ] {
        let list = || get(&all).query(parameter, selector).query("limit", limit);
        let mut page = s.send(list()).await?;
        while let Ok(token) = page.text("/metadata/continue") {
            page = s.send(list().query("continue", &token)).await?;
        }
        another_version(s, &all).await?;
    }
    Ok(())
}

async fn pages_go_across_namespaces(s: &mut Session) -> Outcome {
    let label = s.name("label");
    let (one, two) = (config_maps(s).await?, config_maps(s).await?);
    for (all, name) in [(&one, "a"), (&one, "b"), (&two, "a"), (&two, "b")] {
        made(s, all, name, &label).await?;
    }
    let list = || {
        get("/api/v1/configmaps")
            .query("labelSelector", &format!("l={label}"))
            .query("limit", "3")
    };
    let page = s.send(list()).await?;
    let token = page.text("/metadata/continue")?;
    s.send(list().query("continue", &token)).await?;
    Ok(())
}

async fn a_page_goes_on_with_what_it_is_asked(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("e", "1")] {
        made(s, &all, name, label).await?;
    }
    let page = s.send(own(&all).query("limit", "2")).await?;
    let token = page.text("/metadata/continue")?;
    let rest = |path: &str| get(path).query("continue", &token);
    s.send(rest(&all).query("labelSelector", "l=1")).await?;
    s.send(rest(&all).query("labelSelector", "l").query("limit", "1"))
        .await?;
    s.send(rest(&all).query("labelSelector", "l").query("limit", "0"))
        .await?;
    s.send(rest(&all).query("fieldSelector", "metadata.name=a"))
        .await?;
    s.send(
        rest(&all)
            .query("resourceVersion", "0")
            .query("labelSelector", "l=2"),
    )
    .await?;
    s.send(rest(&all).query("resourceVersion", "1")).await?;
    s.send(
        rest(&all)
            .query("resourceVersion", "1")
            .query("resourceVersionMatch", "Exact"),
    )
    .await?;
    // A token holds a key, not the resource or namespace that it was given out for.
    let secrets = all.replace("configmaps", "secrets");
    s.send(rest(&secrets)).await?;
    Ok(())
}

async fn a_page_at_an_exact_version_goes_on_there(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    made(s, &all, "a", "1").await?;
    made(s, &all, "b", "1").await?;
    let version = made(s, &all, "c", "1").await?;
    s.set_up(delete(format!("{all}/b"))).await?;
    s.set_up(delete(format!("{all}/c"))).await?;
    let list = || own(&all).query("limit", "1");
    let mut page = s
        .send(
            list()
                .query("resourceVersion", &version)
                .query("resourceVersionMatch", "Exact"),
        )
        .await?;
    while let Ok(token) = page.text("/metadata/continue") {
        page = s.send(list().query("continue", &token)).await?;
    }
    Ok(())
}

async fn a_limit_at_any_version_is_ignored(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    made(s, &all, "a", "1").await?;
    let version = made(s, &all, "b", "1").await?;
    s.send(own(&all)).await?;
    let limited = || own(&all).query("limit", "1");
    s.send(limited().query("resourceVersion", "0")).await?;
    s.send(
        limited()
            .query("resourceVersion", &version)
            .query("resourceVersionMatch", "NotOlderThan"),
    )
    .await?;
    Ok(())
}

async fn malformed_continue_tokens_are_refused(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for token in [
        "x",
        "!!",
        "e30=",
        "e30",
        "bm8",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEi\nLCJydiI6MSwic3RhcnQiOiIuIn0",
    ] {
        s.send(get(&all).query("continue", token)).await?;
        s.send(
            get(&all)
                .query("continue", token)
                .query("fieldSelector", "metadata.name=a"),
        )
        .await?;
    }
    for content in [
        r#"{"v":"meta.k8s.io/v2","rv":1,"start":"a"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#,
        r#"{"v":"meta.k8s.io/v1","start":"a"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#,
        r#"{"v":"meta.k8s.io/v1","rv":1}"#,
        r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a/../../b"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":"1","start":"a"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":9000000000,"start":"a"}"#,
        r#"["meta.k8s.io/v1"]"#,
        r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a""#,
    ] {
        let token = BASE64_URL_SAFE_NO_PAD.encode(content);
        s.send(get(&all).query("continue", &token)).await?;
    }
    Ok(())
}

async fn a_token_without_a_version_goes_on_with_what_is_there(s: &mut Session) -> Outcome {
    let all = config_maps(s).await?;
    for name in ["a", "b", "c", "d"] {
        made(s, &all, name, "1").await?;
    }
    // What a client is given in place of a token that has expired.
    let token =
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"a\u0000"}"#);
    let mut page = s
        .send(own(&all).query("limit", "1").query("continue", &token))
        .await?;
    s.set_up(delete(format!("{all}/d"))).await?;
    while let Ok(token) = page.text("/metadata/continue") {
        page = s
            .send(own(&all).query("limit", "1").query("continue", &token))
            .await?;
    }
    Ok(())
}

async fn a_list_is_served_as_table_and_as_metadata(s: &mut Session) -> Outcome {
    // Their rows tell times, not ages.
    let ns = s.namespace().await?;
    let all = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles");
    made(s, &all, "a", "1").await?;
    made(s, &all, "b", "1").await?;
    for accept in [
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ] {
        s.send(own(&all).query("limit", "1").accept(accept)).await?;
        another_version(s, &all).await?;
        s.send(get(&all).query("labelSelector", "none").accept(accept))
            .await?;
    }
    Ok(())
}
