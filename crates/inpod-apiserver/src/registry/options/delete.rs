use super::{dry_run_problems, refuse};
use crate::Status;
use crate::registry::json::Fields as _;
use crate::registry::kinds::field::{invalid, not_supported};
use crate::registry::query::Query;
use crate::schema::Json;

/// `meta/v1` `DeleteOptions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) dry_run: Vec<String>,
}

impl DeleteOptions {
    /// Reads the options from the body or, where there is none, from the query string.
    ///
    /// # Errors
    /// 400 where a parameter cannot be read, 422 where they contradict each other.
    pub(crate) fn parse(query: &Query, body: Option<&Json>) -> Result<Self, Status> {
        let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let options = match body {
            Some(body) => Self {
                grace_period_seconds: body.int("gracePeriodSeconds"),
                uid: owned(body.text("preconditions.uid")),
                resource_version: owned(body.text("preconditions.resourceVersion")),
                orphan_dependents: body.boolean("orphanDependents"),
                propagation_policy: owned(body.text("propagationPolicy")),
                dry_run: body.texts("dryRun").map(str::to_owned).collect(),
            },
            None => Self {
                grace_period_seconds: query
                    .number("gracePeriodSeconds")
                    .map_err(Status::bad_request)?,
                uid: owned(query.text("uid")),
                resource_version: owned(query.text("resourceVersion")),
                orphan_dependents: query.flag("orphanDependents"),
                propagation_policy: query.get("propagationPolicy").map(str::to_owned),
                dry_run: query.all("dryRun").map(str::to_owned).collect(),
            },
        };
        let mut causes = Vec::new();
        if let Some(policy) = options.propagation_policy.as_deref() {
            let path = "propagationPolicy";
            if options.orphan_dependents.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(invalid(path, policy, why));
            }
            if !matches!(policy, "Foreground" | "Background" | "Orphan") {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                causes.push(not_supported(path, policy, &known));
            }
        }
        causes.extend(dry_run_problems(&options.dry_run));
        refuse("DeleteOptions", causes)?;
        Ok(options)
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn the_body_of_a_delete_is_read_before_the_query() {
        let body = object(json!({
            "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}, "propagationPolicy": "Orphan"
        }));
        let query = Query::parse("gracePeriodSeconds=7");
        let options = DeleteOptions::parse(&query, Some(&body)).expect("valid");
        assert_eq!(options.grace_period_seconds, Some(0));
        assert_eq!(options.uid.as_deref(), Some("u"));
        let options = DeleteOptions::parse(&query, None).expect("valid");
        assert_eq!(options.grace_period_seconds, Some(7));
        let both = object(json!({"orphanDependents": true, "propagationPolicy": "Orphan"}));
        assert_eq!(
            DeleteOptions::parse(&query, Some(&both)).map_err(|e| e.message),
            Err(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents \
                 and deletionPropagation cannot be both set"
                    .to_owned()
            )
        );
    }
}
