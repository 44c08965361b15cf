//! `SubjectAccessReviews`, local and about oneself: may somebody do something?

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{api_version, field};
use crate::auth::{Attributes, Decision};
use crate::registry::json::Fields as _;
use crate::registry::selector::{FieldSelector, LabelSelector};
use crate::registry::{Context, Special, validation};
use crate::schema::Json;
use crate::{Cause, Status, UserInfo};

/// Answers the three kinds of access reviews.
pub(super) enum AccessReviews {
    /// `SelfSubjectAccessReviews`, which `kubectl auth can-i` asks.
    Own,
    /// `SubjectAccessReviews`.
    Any,
    /// `LocalSubjectAccessReviews`, for those who may ask about one namespace only.
    Local,
}

impl Special for AccessReviews {
    fn create(&self, cx: &Context<'_>, mut review: Json) -> Result<Json, Status> {
        if matches!(self, Self::Local) {
            review.default_to("metadata.namespace", cx.info.namespace.as_str());
        }
        let causes = self.problems(&review);
        if !causes.is_empty() {
            // The real server has forgotten the kind by then.
            return Err(Status::invalid(cx.resource.group, "", "", causes));
        }
        let other;
        let user = match self {
            Self::Own => cx.user,
            Self::Any | Self::Local => {
                other = subject(&review);
                &other
            }
        };
        let mut status = match cx.core.rbac.decide(user, &attributes(&review)) {
            Decision::Allow(reason) => answer(true, reason),
            Decision::NoOpinion(reason) => answer(false, reason),
        };
        let ignored = ignored_selectors(&review);
        if !ignored.is_empty() {
            status.put("evaluationError", ignored);
        }
        Ok(super::object(json!({
            "kind": cx.resource.kind,
            "apiVersion": api_version(cx.resource),
            "metadata": review.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": review.get("spec").unwrap_or(&Value::Null),
            "status": status,
        })))
    }
}

impl AccessReviews {
    fn problems(&self, review: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let resource = review.map("spec.resourceAttributes");
        let path = review.map("spec.nonResourceAttributes");
        if resource.is_some() == path.is_some() {
            let value = path.map_or(Value::Null, internal);
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            causes.push(field::invalid("spec", value, detail));
        }
        let nobody = review.is_empty_at("spec.user") && review.is_empty_at("spec.groups");
        if nobody && !matches!(self, Self::Own) {
            let detail = "at least one of user or group must be specified";
            causes.push(field::invalid("spec.user", "", detail));
        }
        for kind in ["fieldSelector", "labelSelector"] {
            let selector = format!("spec.resourceAttributes.{kind}");
            causes.extend(selector_problem(review, &selector));
        }
        let mut metadata = review.map("metadata").cloned().unwrap_or_default();
        let mut detail = "must be empty";
        if matches!(self, Self::Local) {
            metadata.shift_remove("namespace");
            detail = "must be empty except for namespace";
        }
        metadata.retain(|_, value| !value.is_null());
        if !metadata.is_empty() {
            causes.push(field::invalid("metadata", metadata, detail));
        }
        if matches!(self, Self::Local) {
            let namespace = resource.map(|attributes| attributes.text("namespace"));
            if let Some(namespace) = namespace.filter(|n| *n != review.text("metadata.namespace")) {
                let path = "spec.resourceAttributes.namespace";
                causes.push(field::invalid(
                    path,
                    namespace,
                    "must match metadata.namespace",
                ));
            }
            if let Some(path) = path {
                let detail = "disallowed on this kind of request";
                causes.push(field::invalid(
                    "spec.nonResourceAttributes",
                    internal(path),
                    detail,
                ));
            }
        }
        causes
    }
}

/// The attributes of a path, under the names that they have within the real server.
fn internal(path: &Json) -> Value {
    json!({"Path": path.text("path"), "Verb": path.text("verb")})
}

fn selector_problem(review: &Json, path: &str) -> Option<Cause> {
    let selector = review.map(path)?;
    let raw = selector.text("rawSelector");
    let has_requirements = !selector.is_empty_at("requirements");
    match (raw, has_requirements) {
        ("", false) => {
            let detail =
                format!("when {path} is specified, requirements or rawSelector is required");
            Some(field::required(format!("{path}.requirements"), &detail))
        }
        ("", true) | (_, false) => None,
        (raw, true) => {
            let detail = "may not specified at the same time as requirements";
            Some(field::invalid(format!("{path}.rawSelector"), raw, detail))
        }
    }
}

/// What of the selectors cannot be read and is left out, which makes the question a broader one.
fn ignored_selectors(review: &Json) -> String {
    let mut ignored = Vec::new();
    for kind in ["fieldSelector", "labelSelector"] {
        let path = format!("spec.resourceAttributes.{kind}");
        let Some(selector) = review.map(&path) else {
            continue;
        };
        let raw = selector.text("rawSelector");
        let (good, all) = if raw.is_empty() {
            let is_good = |requirement: &&Json| match kind {
                "fieldSelector" => is_field_requirement(requirement),
                _ => is_label_requirement(requirement),
            };
            let requirements = selector.objects("requirements");
            let good = requirements.filter(is_good).count();
            (good, selector.list("requirements").len())
        } else {
            let good = match kind {
                "fieldSelector" => FieldSelector::parse(raw).is_ok(),
                _ => LabelSelector::parse(raw).is_ok(),
            };
            (usize::from(good), 1)
        };
        if good < all {
            let partially = if good > 0 { "partially " } else { "" };
            ignored.push(format!("{path} {partially}ignored due to parse error"));
        }
    }
    ignored.join("; ")
}

fn is_field_requirement(requirement: &Json) -> bool {
    let one = requirement.list("values").len() == 1;
    one && matches!(requirement.text("operator"), "In" | "NotIn")
}

fn is_label_requirement(requirement: &Json) -> bool {
    let values: Vec<&str> = requirement.texts("values").collect();
    let count = match requirement.text("operator") {
        "In" | "NotIn" => !values.is_empty(),
        "Exists" | "DoesNotExist" => values.is_empty(),
        _ => false,
    };
    count
        && validation::label_key(requirement.text("key")).is_empty()
        && values
            .iter()
            .all(|value| validation::label_value(value).is_empty())
}

fn subject(review: &Json) -> UserInfo {
    let extra: BTreeMap<String, Vec<String>> = review
        .map("spec.extra")
        .into_iter()
        .flatten()
        .map(|(key, values)| {
            let values = values.as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned);
            (key.clone(), values.collect())
        })
        .collect();
    UserInfo {
        username: review.text("spec.user").to_owned(),
        uid: review.text("spec.uid").to_owned(),
        groups: review.texts("spec.groups").map(str::to_owned).collect(),
        extra,
    }
}

fn attributes(review: &Json) -> Attributes {
    if let Some(path) = review.map("spec.nonResourceAttributes") {
        return Attributes {
            verb: path.text("verb").to_owned(),
            path: path.text("path").to_owned(),
            ..Attributes::default()
        };
    }
    let of = |field: &str| {
        let path = format!("spec.resourceAttributes.{field}");
        review.text(&path).to_owned()
    };
    let version = of("version");
    Attributes {
        verb: of("verb"),
        namespace: of("namespace"),
        group: of("group"),
        version: if version.is_empty() {
            "*".to_owned()
        } else {
            version
        },
        resource: of("resource"),
        subresource: of("subresource"),
        name: of("name"),
        path: String::new(),
        is_resource_request: true,
    }
}

fn answer(allowed: bool, reason: String) -> Json {
    let mut status = Json::new();
    status.put("allowed", allowed);
    if !reason.is_empty() {
        status.put("reason", reason);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kinds::testing::Cluster;

    const GROUP: &str = "authorization.k8s.io";

    fn cluster() -> Cluster {
        let cluster = Cluster::of(UserInfo::new("jane", ["system:authenticated"]));
        let rbac = "rbac.authorization.k8s.io";
        cluster.store(
            rbac,
            "clusterroles",
            json!({
                "metadata": {"name": "reader"},
                "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
            }),
        );
        cluster.store(
            rbac,
            "clusterrolebindings",
            json!({
                "metadata": {"name": "janes"},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "reader"},
                "subjects": [{"kind": "User", "apiGroup": rbac, "name": "jane"}],
            }),
        );
        cluster
    }

    fn pods(verb: &str) -> Value {
        json!({"namespace": "default", "verb": verb, "resource": "pods"})
    }

    #[test]
    fn jane_learns_what_she_may_and_why() {
        let cluster = cluster();
        let ask = |verb: &str| {
            let review = json!({"spec": {"resourceAttributes": pods(verb)}});
            let answer = cluster.special(GROUP, "selfsubjectaccessreviews", "", review);
            answer.expect("an answer")
        };
        let answer = ask("get");
        assert_eq!(answer["spec"]["resourceAttributes"], pods("get"));
        assert_eq!(answer["status"]["allowed"], true);
        assert_eq!(
            answer["status"]["reason"],
            "RBAC: allowed by ClusterRoleBinding \"janes\" of ClusterRole \"reader\" to User \"jane\""
        );
        assert_eq!(ask("delete")["status"], json!({"allowed": false}));
    }

    #[test]
    fn a_review_is_about_somebody_and_one_thing() {
        let cluster = cluster();
        let refuse = |resource: &str, body: Value| {
            let status = cluster
                .special(GROUP, resource, "", body)
                .expect_err("refused");
            assert_eq!(status.code, 422);
            status.message
        };
        assert_eq!(
            refuse(
                "subjectaccessreviews",
                json!({"spec": {"resourceAttributes": pods("get")}})
            ),
            ".authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or group must be specified"
        );
        assert_eq!(
            refuse("selfsubjectaccessreviews", json!({"spec": {}})),
            ".authorization.k8s.io \"\" is invalid: spec: Invalid value: null: exactly one of nonResourceAttributes or \
             resourceAttributes must be specified"
        );
        let elsewhere = json!({"spec": {"user": "x", "resourceAttributes": {"namespace": "other", "verb": "get"}}});
        assert_eq!(
            refuse("localsubjectaccessreviews", elsewhere),
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \"other\": must match \
             metadata.namespace"
        );
    }

    #[test]
    fn a_question_about_another_is_answered_for_that_one() {
        let cluster = cluster();
        let body = json!({"spec": {"user": "joe", "resourceAttributes": pods("get")}});
        let answer = cluster
            .special(GROUP, "localsubjectaccessreviews", "", body)
            .expect("an answer");
        assert_eq!(answer["status"]["allowed"], false);
        assert_eq!(answer["metadata"], json!({"namespace": "default"}));
    }
}
