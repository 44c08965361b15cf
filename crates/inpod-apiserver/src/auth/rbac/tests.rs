use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::testing::FakeStore;

use super::index::GROUP;

fn role(store: &FakeStore, namespace: &str, name: &str, rules: &Value) {
    let resource = if namespace.is_empty() {
        "clusterroles"
    } else {
        "roles"
    };
    let object = json!({"metadata": {"name": name, "namespace": namespace}, "rules": rules});
    store.put(GROUP, resource, &object);
}

fn bind(store: &FakeStore, namespace: &str, name: &str, to: (&str, &str), subjects: &Value) {
    let resource = match namespace {
        "" => "clusterrolebindings",
        _ => "rolebindings",
    };
    let object = json!({
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": GROUP, "kind": to.0, "name": to.1},
        "subjects": subjects,
    });
    store.put(GROUP, resource, &object);
}

fn asked(verb: &str, namespace: &str, resource: &str, subresource: &str) -> Attributes {
    Attributes {
        verb: verb.into(),
        namespace: namespace.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        is_resource_request: true,
        ..Attributes::default()
    }
}

fn path(verb: &str, path: &str) -> Attributes {
    Attributes {
        verb: verb.into(),
        path: path.into(),
        ..Attributes::default()
    }
}

fn user(name: &str) -> UserInfo {
    UserInfo::new(name, ["system:authenticated"])
}

/// The role `reader` (get and list of pods), bound to `default/app` everywhere and to alice in `team`.
fn cluster() -> (Arc<FakeStore>, Rbac) {
    let store = Arc::new(FakeStore::default());
    let rules = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
    role(&store, "", "reader", &rules);
    let account = json!([
        {"kind": "User", "name": "nobody"},
        {"kind": "ServiceAccount", "name": "app", "namespace": "default"},
    ]);
    bind(&store, "", "readers", ("ClusterRole", "reader"), &account);
    let alice =
        json!([{"kind": "User", "name": "alice"}, {"kind": "ServiceAccount", "name": "local"}]);
    bind(&store, "team", "readers", ("ClusterRole", "reader"), &alice);
    let rbac = Rbac::new(store.clone());
    (store, rbac)
}

fn reason(decision: Decision) -> String {
    match decision {
        Decision::Allow(reason) => reason,
        Decision::NoOpinion(reason) => panic!("not allowed: {reason}"),
    }
}

#[test]
fn a_decision_names_the_binding_it_rests_on() {
    let (_, rbac) = cluster();
    let pods = asked("list", "team", "pods", "");
    assert_eq!(
        reason(rbac.decide(&user("system:serviceaccount:default:app"), &pods)),
        r#"RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to ServiceAccount "app/default""#
    );
    assert_eq!(
        reason(rbac.decide(&user("alice"), &pods)),
        r#"RBAC: allowed by RoleBinding "readers/team" of ClusterRole "reader" to User "alice""#
    );
    assert_eq!(
        reason(rbac.decide(&user("system:serviceaccount:team:local"), &pods)),
        r#"RBAC: allowed by RoleBinding "readers/team" of ClusterRole "reader" to ServiceAccount "local/team""#
    );
}

#[test]
fn a_role_binding_speaks_for_its_own_namespace_only() {
    let (_, rbac) = cluster();
    for namespace in ["default", ""] {
        let decision = rbac.decide(&user("alice"), &asked("list", namespace, "pods", ""));
        assert_eq!(decision, Decision::NoOpinion(String::new()));
    }
}

#[test]
fn masters_may_everything_without_any_role() {
    let rbac = Rbac::new(Arc::new(FakeStore::default()));
    let admin = UserInfo::new("admin", [MASTERS]);
    assert_eq!(
        rbac.decide(&admin, &asked("delete", "", "nodes", "")),
        Decision::Allow(String::new())
    );
}

#[test]
fn a_change_of_roles_is_seen_by_the_next_decision() {
    let (store, rbac) = cluster();
    let secrets = asked("get", "", "secrets", "");
    let app = user("system:serviceaccount:default:app");
    assert_eq!(
        rbac.decide(&app, &secrets),
        Decision::NoOpinion(String::new())
    );
    role(
        &store,
        "",
        "reader",
        &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
    );
    assert!(matches!(rbac.decide(&app, &secrets), Decision::Allow(_)));
    store.remove(GROUP, "clusterrolebindings", "", "readers");
    assert_eq!(
        rbac.decide(&app, &secrets),
        Decision::NoOpinion(String::new())
    );
}

#[test]
fn a_binding_to_a_role_that_is_gone_is_named_in_the_refusal() {
    let (store, rbac) = cluster();
    store.remove(GROUP, "clusterroles", "", "reader");
    bind(
        &store,
        "team",
        "second",
        ("Role", "gone"),
        &json!([{"kind": "User", "name": "alice"}]),
    );
    let refused =
        |user_name: &str| rbac.decide(&user(user_name), &asked("get", "team", "pods", ""));
    assert_eq!(
        refused("alice"),
        Decision::NoOpinion(
            "rbac: RBAC: [clusterrole.rbac.authorization.k8s.io \"reader\" not found, role.rbac.authorization.k8s.io \"gone\" not found]".into()
        )
    );
    assert_eq!(
        refused("system:serviceaccount:default:app"),
        Decision::NoOpinion(
            "rbac: RBAC: clusterrole.rbac.authorization.k8s.io \"reader\" not found".into()
        )
    );
}

#[test]
fn a_refusal_is_the_real_servers_sentence() {
    let (_, rbac) = cluster();
    let app = user("system:serviceaccount:default:default");
    let message = |asked: &Attributes| rbac.require(&app, asked).expect_err("refused");
    let status = message(&asked("list", "default", "pods", ""));
    assert_eq!(
        status.message,
        "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(status.code, http::StatusCode::FORBIDDEN);
    assert_eq!(json!(status.details), json!({"kind": "pods"}));

    let status = message(&Attributes {
        group: "apps".into(),
        name: "web".into(),
        ..asked("update", "", "deployments", "scale")
    });
    assert_eq!(
        status.message,
        "deployments.apps \"web\" is forbidden: User \"system:serviceaccount:default:default\" cannot update resource \"deployments/scale\" in API group \"apps\" at the cluster scope"
    );
    assert_eq!(
        json!(status.details),
        json!({"name": "web", "group": "apps", "kind": "deployments"})
    );

    let status = message(&path("get", "/<a&b>"));
    assert_eq!(
        status.message,
        "forbidden: User \"system:serviceaccount:default:default\" cannot get path \"/&lt;a&amp;b&gt;\""
    );
    assert_eq!(json!(status.details), json!({}));
}

#[test]
fn the_rules_of_a_user_are_those_of_all_bindings() {
    let (store, rbac) = cluster();
    role(
        &store,
        "",
        "paths",
        &json!([{"verbs": ["get"], "nonResourceURLs": ["/api/*"]}]),
    );
    bind(
        &store,
        "",
        "z-paths",
        ("ClusterRole", "paths"),
        &json!([{"kind": "Group", "name": "system:authenticated"}]),
    );
    assert_eq!(
        Value::from(rbac.rules(&user("alice"), "team")).to_string(),
        concat!(
            r#"{"resourceRules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]}],"#,
            r#""nonResourceRules":[{"verbs":["get"],"nonResourceURLs":["/api/*"]}],"incomplete":false}"#
        )
    );
}

#[test]
fn a_permission_is_held_where_it_was_given() {
    let (_, rbac) = cluster();
    let rule = |verbs: &[&str]| {
        [Rule::of(
            &json!({"verbs": verbs, "apiGroups": [""], "resources": ["pods"]}),
        )]
    };
    assert_eq!(rbac.holds(&user("alice"), "team", &rule(&["get"])), Ok(()));
    assert!(rbac.holds(&user("alice"), "", &rule(&["get"])).is_err());
    assert_eq!(
        rbac.holds(&user("alice"), "team", &rule(&["get", "delete"])),
        Err(concat!(
            "user \"alice\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n",
            "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}"
        )
        .into())
    );
}

#[test]
fn a_subresource_needs_a_rule_of_its_own() {
    let allows = |resource: &str, subresource: &str| {
        Rule::of(&json!({"verbs": ["get"], "apiGroups": [""], "resources": [resource]}))
            .allows(&asked("get", "default", "pods", subresource))
    };
    assert!(allows("pods", ""));
    assert!(!allows("pods", "log"));
    assert!(allows("pods/log", "log"));
    assert!(allows("*/log", "log"));
    assert!(!allows("*/log", ""));
    assert!(!allows("*/log", "xlog"));
    assert!(allows("*", "log"));
    assert!(!allows("pods/*", "log"));
}

#[test]
fn a_rule_that_is_not_one_allows_nothing() {
    for value in [
        json!(null),
        json!("x"),
        json!({"verbs": "*", "apiGroups": null, "resources": [1]}),
    ] {
        assert!(
            !Rule::of(&value).allows(&asked("get", "", "pods", "")),
            "{value}"
        );
        assert!(!Rule::of(&value).allows(&path("get", "/")), "{value}");
    }
}

/// The rule spelled out by the letter of its documentation, one possibility at a time, instead of matched.
fn oracle(rule: &Rule, asked: &Attributes) -> bool {
    let is = |items: &[String], options: &[String]| options.iter().any(|o| items.contains(o));
    let star = || "*".to_owned();
    if !is(&rule.verbs, &[star(), asked.verb.clone()]) {
        return false;
    }
    if !asked.is_resource_request {
        let mut options = vec![asked.path.clone(), star()];
        options.extend((0..=asked.path.len()).map(|end| format!("{}*", &asked.path[..end])));
        return is(&rule.non_resource_urls, &options);
    }
    let resources = if asked.subresource.is_empty() {
        vec![star(), asked.resource.clone()]
    } else {
        vec![
            star(),
            format!("{}/{}", asked.resource, asked.subresource),
            format!("*/{}", asked.subresource),
        ]
    };
    is(&rule.api_groups, &[star(), asked.group.clone()])
        && is(&rule.resources, &resources)
        && (rule.resource_names.is_empty() || rule.resource_names.contains(&asked.name))
}

/// Few words, so that rules and requests often meet.
fn words(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(of).prop_map(str::to_owned), 0..4)
}

fn word(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

prop_compose! {
    fn any_rule()(
        verbs in words(&["get", "list", "*"]),
        api_groups in words(&["", "apps", "*"]),
        resources in words(&["pods", "pods/log", "*/log", "*", "*/", "log", "pods/*"]),
        resource_names in words(&["a", "b", ""]),
        non_resource_urls in words(&["/", "/api", "/api*", "/api/*", "*", "/ap", "/healthz"]),
    ) -> Rule {
        Rule { verbs, api_groups, resources, resource_names, non_resource_urls }
    }
}

/// A rule is about resources or about paths, never both.
fn valid_rule() -> impl Strategy<Value = Rule> {
    (any_rule(), any::<bool>()).prop_map(|(rule, about_paths)| {
        if about_paths {
            let Rule {
                verbs,
                non_resource_urls,
                ..
            } = rule;
            Rule {
                verbs,
                non_resource_urls,
                ..Rule::default()
            }
        } else {
            Rule {
                non_resource_urls: Vec::new(),
                ..rule
            }
        }
    })
}

prop_compose! {
    fn any_request()(
        verb in word(&["get", "list", "watch"]),
        group in word(&["", "apps"]),
        resource in word(&["pods", "log", "nodes"]),
        subresource in word(&["", "log", "status"]),
        name in word(&["", "a", "c"]),
        path in word(&["/", "/api", "/api/", "/api/v1", "/apis", "/healthz"]),
        is_resource_request: bool,
    ) -> Attributes {
        Attributes {
            verb, group, resource, subresource, name, path, is_resource_request,
            ..Attributes::default()
        }
    }
}

proptest! {
    #[test]
    fn a_rule_allows_what_its_documentation_says(rule in any_rule(), request in any_request()) {
        prop_assert_eq!(rule.allows(&request), oracle(&rule, &request));
    }

    #[test]
    fn what_a_covered_rule_allows_the_holder_is_allowed(
        held in prop::collection::vec(any_rule(), 0..3),
        asked in any_rule(),
        request in any_request(),
    ) {
        let covered = covers::missing(&held, std::slice::from_ref(&asked)).is_empty();
        if covered && asked.allows(&request) {
            prop_assert!(held.iter().any(|rule| rule.allows(&request)));
        }
    }

    #[test]
    fn everybody_holds_what_they_hold(rules in prop::collection::vec(valid_rule(), 0..4)) {
        prop_assert_eq!(covers::missing(&rules, &rules), Vec::<String>::new());
    }
}
