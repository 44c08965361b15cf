//! `pods/binding`: a scheduler's decision, written into the Pod.

use http::StatusCode;
use serde_json::json;

use crate::admission::{Operation, admit};
use crate::registry::json::Fields as _;
use crate::registry::kinds::{field, names};
use crate::registry::{Context, Special, Strategy as _};
use crate::schema::{self, Json};
use crate::storage::{Lookup as _, Object, StorageError, Write};
use crate::{Cause, Reason, Status};

/// Assigns a Pod to a node.
pub(in crate::registry::kinds) struct Binding;

impl Special for Binding {
    fn keeps_metadata(&self) -> bool {
        false
    }

    fn create(&self, cx: &Context<'_>, mut binding: Json) -> Result<Json, Status> {
        admit(cx, Operation::Create, &mut binding)?;
        let name = pod_name(cx, &binding)?;
        let problems = problems(&binding);
        if !problems.is_empty() {
            // The real server does not make a 422 of these.
            let text: Vec<String> = problems
                .iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect();
            let code = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Status::new(code, Reason::Unknown, text.join(", ")));
        }
        loop {
            let pod = cx
                .core
                .store
                .get("", "pods", &cx.info.namespace, name)
                .ok_or_else(|| Status::not_found("", "pods", name))?;
            let mut bound = pod.value();
            bind(&mut bound, &binding, &cx.core.source.timestamp())
                .map_err(|why| Status::conflict("", "pods/binding", name, &why))?;
            if cx.dry_run {
                break;
            }
            if let Some(ty) = schema::type_of("", "v1", "Pod") {
                schema::normalize(ty, &mut bound);
            }
            let bound = Object::new(&bound, super::Pods.fields(&bound));
            let write = Write::Update(bound, pod.revision);
            match cx.core.store.apply(("", "pods"), write) {
                Ok(_) => break,
                // Somebody else wrote the Pod meanwhile: decide again on what it is now.
                Err(StorageError::Stale(_)) => {}
                Err(StorageError::Missing) => return Err(Status::not_found("", "pods", name)),
                Err(other) => return Err(Status::internal(other)),
            }
        }
        let mut success = Json::new();
        success.put("kind", "Status");
        success.put("apiVersion", "v1");
        success.put("metadata", json!({}));
        success.put("status", "Success");
        success.put("code", StatusCode::CREATED.as_u16());
        Ok(success)
    }
}

/// The Pod's name: that of the URL, or of the body where the Binding was posted to the collection `bindings`.
fn pod_name<'a>(cx: &'a Context<'_>, binding: &'a Json) -> Result<&'a str, Status> {
    let name = binding.text("metadata.name");
    if cx.info.name.is_empty() || cx.info.name == name {
        Ok(name)
    } else {
        Err(Status::bad_request(
            "name in URL does not match name in Binding object",
        ))
    }
}

fn problems(binding: &Json) -> Vec<Cause> {
    let kind = binding.text("target.kind");
    let node = binding.text("target.name");
    let mut causes = Vec::new();
    if !matches!(kind, "" | "Node") {
        causes.push(field::not_supported(
            "target.kind",
            kind,
            &["Node", "<empty>"],
        ));
    }
    if node.is_empty() {
        causes.push(field::required("target.name", ""));
    } else {
        let wrong = names::dns1123_subdomain(node);
        causes.extend(
            wrong
                .iter()
                .map(|why| field::invalid("target.name", node, why)),
        );
    }
    causes
}

/// Writes the binding into the Pod, or says why it cannot be.
fn bind(pod: &mut Json, binding: &Json, now: &str) -> Result<(), String> {
    let name = pod.text("metadata.name");
    let uid = binding.text("metadata.uid");
    if !uid.is_empty() && uid != pod.text("metadata.uid") {
        return Err(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            pod.text("metadata.uid")
        ));
    }
    if !pod.is_empty_at("metadata.deletionTimestamp") {
        return Err(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let node = pod.text("spec.nodeName");
    if !node.is_empty() {
        return Err(format!("pod {name} is already assigned to node {node:?}"));
    }
    if !pod.is_empty_at("spec.schedulingGates") {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    pod.put("spec.nodeName", binding.text("target.name"));
    pod.take("status.nominatedNodeName");
    for path in ["metadata.annotations", "metadata.labels"] {
        if let Some(added) = binding.map(path) {
            pod.map_mut(path).extend(added.clone());
        }
    }
    let scheduled = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": now,
    });
    let conditions = pod.list_mut("status.conditions");
    match conditions.iter_mut().find(|c| c["type"] == "PodScheduled") {
        Some(condition) => *condition = scheduled,
        None => conditions.push(scheduled),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn a_binding_assigns_a_node_once() {
        let mut pod =
            object(json!({"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Pending"}}));
        let binding = object(json!({
            "metadata": {"name": "p", "annotations": {"a": "b"}},
            "target": {"kind": "Node", "name": "n"},
        }));
        assert_eq!(bind(&mut pod, &binding, "now"), Ok(()));
        assert_eq!(pod["spec"]["nodeName"], "n");
        assert_eq!(pod["metadata"]["annotations"], json!({"a": "b"}));
        assert_eq!(pod["status"]["conditions"][0]["status"], "True");
        assert_eq!(
            bind(&mut pod, &binding, "now"),
            Err(r#"pod p is already assigned to node "n""#.to_owned())
        );
    }

    #[test]
    fn a_binding_names_a_node() {
        let binding = object(json!({"target": {"kind": "Pod"}}));
        let paths: Vec<String> = problems(&binding).into_iter().map(|c| c.field).collect();
        assert_eq!(paths, ["target.kind", "target.name"]);
    }
}
