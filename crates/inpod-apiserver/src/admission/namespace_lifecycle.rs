//! `NamespaceLifecycle`: nothing is created where there is no namespace or one that is going away, and three namespaces stay.

use super::{Operation, forbidden};
use crate::registry::Context;
use crate::registry::json::Fields as _;
use crate::schema::Json;
use crate::storage::Lookup as _;
use crate::{Cause, Status};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) fn admit(
    cx: &Context<'_>,
    operation: Operation<'_>,
    object: &Json,
) -> Result<(), Status> {
    if cx.resource.storage == ("", "namespaces") {
        return match operation {
            Operation::Delete(namespace) => may_delete(namespace.text("metadata.name")),
            _ => Ok(()),
        };
    }
    // A review must not tell whether there is such a namespace.
    let exempt = cx.resource.name == "localsubjectaccessreviews";
    let name = &cx.info.namespace;
    if name.is_empty() || exempt || !matches!(operation, Operation::Create) {
        return Ok(());
    }
    let Some(namespace) = cx.core.store.get("", "namespaces", "", name) else {
        return Err(Status::not_found("", "namespaces", name));
    };
    if namespace.field("status.phase") == Some("Terminating") {
        return Err(terminating(cx, object, name));
    }
    Ok(())
}

fn may_delete(name: &str) -> Result<(), Status> {
    if IMMORTAL.contains(&name) {
        let why = "this namespace may not be deleted";
        return Err(Status::forbidden("", "namespaces", name, why));
    }
    Ok(())
}

/// The 403 that controllers recognize by its cause, and stop trying.
fn terminating(cx: &Context<'_>, object: &Json, namespace: &str) -> Status {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut status = forbidden(cx, object, &why);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause::new(
            "NamespaceTerminating",
            "metadata.namespace",
            format!("namespace {namespace} is being terminated"),
        ));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_a_cluster_lives_in_stay() {
        let refused = may_delete("kube-system").unwrap_err();
        assert_eq!(
            refused.message,
            r#"namespaces "kube-system" is forbidden: this namespace may not be deleted"#
        );
        assert!(may_delete("kube-node-lease").is_ok());
    }
}
