//! `TokenReviews`: whom a token speaks for.

use serde_json::{Value, json};

use super::api_version;
use crate::Status;
use crate::registry::json::Fields as _;
use crate::registry::{Context, Special};
use crate::schema::Json;

/// Answers `TokenReviews`.
pub(super) struct TokenReviews;

impl Special for TokenReviews {
    fn create(&self, cx: &Context<'_>, review: Json) -> Result<Json, Status> {
        let token = review.text("spec.token");
        if token.is_empty() {
            return Err(Status::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let audiences: Vec<String> = review.texts("spec.audiences").map(str::to_owned).collect();
        let status = match cx.core.tokens.verify(token, &audiences) {
            Ok((user, audiences)) => {
                json!({"authenticated": true, "user": user, "audiences": audiences})
            }
            Err(error) => json!({"user": {}, "error": error}),
        };
        Ok(super::object(json!({
            "kind": cx.resource.kind,
            "apiVersion": api_version(cx.resource),
            "metadata": review.get("metadata").cloned().unwrap_or_else(|| json!({})),
            "spec": review.get("spec").unwrap_or(&Value::Null),
            "status": status,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kinds::testing::Cluster;

    const GROUP: &str = "authentication.k8s.io";

    #[test]
    fn a_good_token_tells_its_user_and_a_bad_one_why_it_is_bad() {
        let cluster = Cluster::new();
        let account = json!({"metadata": {"namespace": "default", "name": "a", "uid": "sa-1"}});
        cluster.store("", "serviceaccounts", account);
        let answer = cluster
            .special(
                "",
                "serviceaccounts",
                "a/token",
                json!({"spec": {"audiences": ["vault"]}}),
            )
            .expect("a token");
        let token = answer["status"]["token"].clone();
        let review = |spec: Value| {
            let review = cluster.special(GROUP, "tokenreviews", "", json!({"spec": spec}));
            review.expect("an answer")["status"].clone()
        };

        let good = review(json!({"token": token, "audiences": ["vault", "other"]}));
        assert_eq!(good["authenticated"], true);
        assert_eq!(good["user"]["username"], "system:serviceaccount:default:a");
        assert_eq!(good["audiences"], json!(["vault"]));

        let foreign = review(json!({"token": token}));
        assert_eq!(foreign.get("authenticated"), None);
        assert_eq!(foreign["user"], json!({}));
        assert!(
            foreign["error"]
                .as_str()
                .expect("why")
                .contains("is invalid for the target audiences")
        );
        assert_eq!(
            review(json!({"token": "nonsense"}))["error"],
            "invalid bearer token"
        );
    }

    #[test]
    fn a_review_is_about_a_token() {
        let status = Cluster::new()
            .special(GROUP, "tokenreviews", "", json!({"spec": {}}))
            .expect_err("refused");
        assert_eq!(status.code, 400);
        assert_eq!(
            status.message,
            "token is required for TokenReview in authentication"
        );
    }
}
