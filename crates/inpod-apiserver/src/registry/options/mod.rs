//! The options of each verb, from the query string or (of a delete) the body, and what may not be combined.

mod delete;
mod list;

pub(crate) use delete::DeleteOptions;
pub(crate) use list::{ListOptions, Match};

use crate::registry::kinds::field::{forbidden, not_supported};
use crate::registry::query::Query;
use crate::registry::validation::manager;
use crate::schema::FieldValidation;
use crate::{Cause, Status};

/// The group of the options' kinds, in messages.
const META: &str = "meta.k8s.io";

/// Checks `CreateOptions`, `UpdateOptions` or `PatchOptions`, as `kind` says, and answers what is done about unknown fields.
///
/// # Errors
/// 422 for values that are not known.
pub(crate) fn write_options(kind: &str, query: &Query) -> Result<FieldValidation, Status> {
    let mut causes = Vec::new();
    if kind == "PatchOptions" && query.get("force").is_some() {
        causes.push(forbidden(
            "force",
            "may not be specified for non-apply patch",
        ));
    }
    causes.extend(manager(query.text("fieldManager"), "fieldManager"));
    let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
    causes.extend(dry_run_problems(&dry_run));
    let validation = match query.text("fieldValidation") {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        other => {
            let known = ["", "Ignore", "Strict", "Warn"];
            causes.push(not_supported("fieldValidation", other, &known));
            FieldValidation::Warn
        }
    };
    refuse(kind, causes)?;
    Ok(validation)
}

fn dry_run_problems(values: &[String]) -> Option<Cause> {
    values
        .iter()
        .any(|v| v != "All")
        .then(|| not_supported("dryRun", values.to_vec(), &["All"]))
}

fn refuse(kind: &str, causes: Vec<Cause>) -> Result<(), Status> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(META, kind, "", causes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_refused() {
        assert_eq!(
            write_options("CreateOptions", &Query::parse("dryRun=x")).map_err(|e| e.message),
            Err(
                "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\""
                    .to_owned()
            )
        );
        assert_eq!(
            write_options("UpdateOptions", &Query::parse("fieldValidation=Strict")),
            Ok(FieldValidation::Strict)
        );
    }
}
