use proptest::prelude::*;

use super::*;

fn parse(method: &str, target: &str) -> Result<RequestInfo, RequestInfoError> {
    RequestInfo::parse(&method.parse().unwrap(), &target.parse().unwrap())
}

/// verb, group, version, namespace, resource, subresource, name
fn read(method: &str, target: &str) -> [String; 7] {
    let info = parse(method, target).unwrap();
    assert!(info.is_resource_request, "{target}");
    [
        info.verb,
        info.api_group,
        info.api_version,
        info.namespace,
        info.resource,
        info.subresource,
        info.name,
    ]
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn resource_paths_are_read_as_the_api_server_reads_them() {
    let cases = [
        (
            "GET",
            "/api/v1/namespaces",
            ["list", "", "v1", "", "namespaces", "", ""],
        ),
        (
            "GET",
            "/api/v1/namespaces/other",
            ["get", "", "v1", "other", "namespaces", "", "other"],
        ),
        (
            "PUT",
            "/api/v1/namespaces/other/finalize",
            [
                "update",
                "",
                "v1",
                "other",
                "namespaces",
                "finalize",
                "other",
            ],
        ),
        (
            "PUT",
            "/api/v1/namespaces/other/status",
            ["update", "", "v1", "other", "namespaces", "status", "other"],
        ),
        (
            "GET",
            "/api/v1/namespaces/other/pods",
            ["list", "", "v1", "other", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/namespaces/other/pods/",
            ["list", "", "v1", "other", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/namespaces/other/pods/foo",
            ["get", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "HEAD",
            "/api/v1/namespaces/other/pods/foo",
            ["get", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods",
            ["list", "", "v1", "", "pods", "", ""],
        ),
        (
            "HEAD",
            "/api/v1/pods",
            ["list", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/namespaces/other/pods/foo/log",
            ["get", "", "v1", "other", "pods", "log", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods?watch=true",
            ["watch", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/pods?watch",
            ["watch", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/pods?watch=0",
            ["list", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/pods?watch=False",
            ["list", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name%3Dfoo",
            ["list", "", "v1", "", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods?watch=1&fieldSelector=a=b,metadata.name==foo",
            ["watch", "", "v1", "", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name!=foo",
            ["list", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/watch/namespaces/other/pods",
            ["watch", "", "v1", "other", "pods", "", ""],
        ),
        (
            "GET",
            "/api/v1/watch/pods/foo",
            ["watch", "", "v1", "", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/proxy/namespaces/other/pods/foo/bar",
            ["proxy", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "POST",
            "/api/v1/namespaces/other/pods",
            ["create", "", "v1", "other", "pods", "", ""],
        ),
        (
            "PATCH",
            "/api/v1/namespaces/other/pods/foo",
            ["patch", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "DELETE",
            "/api/v1/namespaces/other/pods/foo",
            ["delete", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "DELETE",
            "/api/v1/namespaces/other/pods",
            ["deletecollection", "", "v1", "other", "pods", "", ""],
        ),
        (
            "OPTIONS",
            "/api/v1/pods",
            ["", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Abasic-user",
            [
                "get",
                "rbac.authorization.k8s.io",
                "v1",
                "",
                "clusterroles",
                "",
                "system:basic-user",
            ],
        ),
    ];
    for (method, target, expected) in cases {
        assert_eq!(
            read(method, target),
            expected.map(str::to_owned),
            "{method} {target}"
        );
    }
}

#[test]
fn other_paths_are_their_method_and_path() {
    for target in [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/apis",
        "/apis/apps",
        "/apis/apps/v1",
        "/healthz/ping",
        "/version",
    ] {
        let info = parse("GET", target).unwrap();
        assert!(!info.is_resource_request, "{target}");
        assert_eq!((info.verb.as_str(), info.path.as_str()), ("get", target));
    }
    assert_eq!(parse("POST", "/x%20y").unwrap().path, "/x y");
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for target in [
        "/api/v1/namespaces/a%2Fb/pods",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/./pods",
        "/api/v1/../v1/pods",
        "/api/v1/pods/p%0a",
        "/api/v1/pods/p%00",
        "/api/v1/pods/a%5cb",
        "/api/v1/pods/%ff",
        "/api/v1/pods/%zz",
        "/api/v1/pods/%4",
        "/api//v1/pods",
        "//api/v1/pods",
        "/api/v1/pods//",
        "/api/v1/watch",
    ] {
        assert!(parse("GET", target).is_err(), "{target}");
    }
}

#[test]
fn the_path_of_a_proxied_server_is_its_own_but_nobody_climbs_out_of_it() {
    let info = parse(
        "GET",
        "/api/v1/namespaces/team/services/https:web:/proxy/a//b%2Fc?x=%2e",
    )
    .unwrap();
    assert_eq!(
        (info.resource.as_str(), info.subresource.as_str()),
        ("services", "proxy")
    );
    assert_eq!(info.name, "https:web:");
    assert_eq!(info.parts[3..], ["a", "", "b/c"]);
    assert!(parse("GET", "/api/v1/nodes/n/proxy/a//b").is_ok());
    for target in [
        "/api/v1/namespaces/team/pods/web/proxy/../../other",
        "/api/v1/namespaces/team/pods/web/proxy/%2e%2e/x",
        "/api/v1/namespaces/team/pods/web/proxy/a%2F..%2Fb",
        "/api/v1/namespaces/team/pods/web/proxy/a%5c..%5cb",
        "/api/v1/namespaces/team/pods/web/proxy/%00",
        "/api/v1/namespaces/team/pods//proxy/a",
        "/api/v1/namespaces/team/pods/a%2Fb/proxy/a",
        "/api/v1/namespaces/team/pods/web/log//a",
        "/api/v1/namespaces/team/pods/web/%70roxy//a",
        "/api/v1/namespaces/status/pods/proxy//a",
        "/apis/example.com/v1/pets/rex/proxy//a",
    ] {
        assert!(parse("GET", target).is_err(), "{target}");
    }
}

proptest! {
    #[test]
    fn what_is_read_has_no_segment_that_climbs_or_hides_a_slash(path in "/(api/v1|apis/a/v1|x)(/(pods|namespaces|proxy|watch|a|\\.|\\.\\.|%2e|%2F|%00|))*") {
        if let Ok(info) = parse("GET", &path) {
            let segments = info.path.trim_matches('/').split('/');
            prop_assert!(segments.clone().all(|segment| !matches!(segment, "." | "..")), "{}", info.path);
            if info.subresource != "proxy" {
                prop_assert_eq!(segments.count(), path.trim_matches('/').split('/').count());
            }
        }
    }

    #[test]
    fn any_target_is_read_or_refused_without_a_panic(path in "/[a-z/%.0-9?=&,+]{0,40}", method in "GET|POST|DELETE|PATCH") {
        if let Ok(uri) = path.parse::<Uri>() {
            let _ = RequestInfo::parse(&method.parse().unwrap(), &uri);
        }
    }

    #[test]
    fn an_encoded_name_is_read_as_what_it_encodes(name in "[a-zA-Z0-9:._~ -]{1,20}") {
        prop_assume!(name != "." && name != "..");
        let encoded = percent_encoding::percent_encode(name.as_bytes(), percent_encoding::NON_ALPHANUMERIC);
        let info = parse("GET", &format!("/api/v1/namespaces/a/pods/{encoded}")).unwrap();
        prop_assert_eq!(info.name, name);
    }

    #[test]
    fn encoding_a_letter_changes_nothing(position in 1_usize..30) {
        let plain = "/api/v1/namespaces/team/pods/web/log";
        let byte = plain.as_bytes()[position];
        prop_assume!(byte != b'/');
        let encoded = format!("{}%{byte:02x}{}", &plain[..position], &plain[position + 1..]);
        prop_assert_eq!(parse("GET", &encoded), parse("GET", plain));
    }
}
