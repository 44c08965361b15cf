//! `SelfSubjectReviews` and `SelfSubjectRulesReviews`: who am I, and what may I do?

use serde_json::json;

use super::api_version;
use crate::Status;
use crate::registry::json::Fields as _;
use crate::registry::{Context, Special};
use crate::schema::Json;

/// Answers `SelfSubjectReviews`, which `kubectl auth whoami` asks.
pub(super) struct SelfSubjectReviews;

impl Special for SelfSubjectReviews {
    fn keeps_metadata(&self) -> bool {
        false
    }

    fn create(&self, cx: &Context<'_>, _review: Json) -> Result<Json, Status> {
        Ok(super::object(json!({
            "kind": cx.resource.kind,
            "apiVersion": api_version(cx.resource),
            "metadata": {"creationTimestamp": cx.core.source.timestamp()},
            "status": {"userInfo": cx.user},
        })))
    }
}

/// Answers `SelfSubjectRulesReviews`, which `kubectl auth can-i --list` asks.
pub(super) struct SelfSubjectRulesReviews;

impl Special for SelfSubjectRulesReviews {
    fn keeps_metadata(&self) -> bool {
        false
    }

    fn create(&self, cx: &Context<'_>, review: Json) -> Result<Json, Status> {
        let namespace = review.text("spec.namespace");
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        Ok(super::object(json!({
            "kind": cx.resource.kind,
            "apiVersion": api_version(cx.resource),
            "metadata": {},
            // The real server does not repeat the question.
            "spec": {},
            "status": cx.core.rbac.rules(cx.user, namespace),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserInfo;
    use crate::registry::kinds::testing::Cluster;

    #[test]
    fn a_user_is_told_who_it_is() {
        let cluster = Cluster::of(UserInfo::new("jane", ["system:authenticated"]));
        let answer = cluster
            .special("authentication.k8s.io", "selfsubjectreviews", "", json!({}))
            .expect("an answer");
        assert_eq!(
            answer["status"]["userInfo"],
            json!({"username": "jane", "groups": ["system:authenticated"]})
        );
    }

    #[test]
    fn rules_are_those_of_a_namespace() {
        let cluster = Cluster::of(UserInfo::new("jane", []));
        let ask = |spec| {
            cluster.special(
                "authorization.k8s.io",
                "selfsubjectrulesreviews",
                "",
                json!({"spec": spec}),
            )
        };
        assert_eq!(
            ask(json!({})).expect_err("refused").message,
            "no namespace on request"
        );
        let answer = ask(json!({"namespace": "default"})).expect("an answer");
        assert_eq!(answer["spec"], json!({}));
        assert_eq!(answer["status"]["incomplete"], false);
    }
}
