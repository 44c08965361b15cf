//! What `kubectl get pods` shows.

use serde_json::{Value, json};

use crate::registry::json::Fields as _;
use crate::registry::kinds::age;
use crate::schema::Json;

/// The cells of a Pod's row.
pub(super) fn cells(pod: &Json, now: i64) -> Vec<Value> {
    let summary = summarize(pod);
    let ip = pod.objects("status.podIPs").next();
    let ip = ip.map(|ip| ip.text("ip")).unwrap_or_default();
    vec![
        json!(pod.text("metadata.name")),
        json!(format!("{}/{}", summary.ready, summary.total)),
        json!(summary.status),
        json!(summary.restarts(now)),
        age::age(pod, now),
        json!(or_none(ip)),
        json!(or_none(pod.text("spec.nodeName"))),
        json!(or_none(pod.text("status.nominatedNodeName"))),
        json!(readiness_gates(pod)),
    ]
}

/// What the containers' states add up to.
#[derive(Debug, Default)]
struct Summary {
    status: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// When a container last ended before it was started again; RFC 3339, which sorts as text.
    last_restart: String,
}

impl Summary {
    fn restarts(&self, now: i64) -> String {
        if self.restarts == 0 || self.last_restart.is_empty() {
            return self.restarts.to_string();
        }
        let ago = age::since(&self.last_restart, now);
        format!("{} ({ago} ago)", self.restarts)
    }

    fn count_restarts(&mut self, container: &Json) {
        self.restarts += container.int("restartCount").unwrap_or_default();
        let ended = container.text("lastState.terminated.finishedAt");
        if ended > self.last_restart.as_str() {
            ended.clone_into(&mut self.last_restart);
        }
    }
}

fn summarize(pod: &Json) -> Summary {
    let mut summary = Summary {
        status: first_of(&[pod.text("status.reason"), pod.text("status.phase")]),
        total: pod.list("spec.containers").len(),
        ..Summary::default()
    };
    if pod
        .objects("status.conditions")
        .any(|c| c.text("type") == "PodScheduled" && c.text("reason") == "SchedulingGated")
    {
        "SchedulingGated".clone_into(&mut summary.status);
    }
    summary.total += pod
        .objects("spec.initContainers")
        .filter(|container| is_sidecar(container))
        .count();
    let (sidecars, initializing) = initialization(pod, &mut summary);
    if !initializing || has_condition(pod, "Initialized") {
        summary.restarts = sidecars.restarts;
        summary.last_restart = sidecars.last_restart;
        running(pod, &mut summary);
    }
    if !pod.is_empty_at("metadata.deletionTimestamp") {
        if pod.text("status.reason") == "NodeLost" {
            "Unknown".clone_into(&mut summary.status);
        } else if !matches!(pod.text("status.phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut summary.status);
        }
    }
    summary
}

/// Counts the init containers; the restarts of sidecars among them, and whether initialization still goes on (or failed).
fn initialization(pod: &Json, summary: &mut Summary) -> (Summary, bool) {
    let specs = pod.list("spec.initContainers").len();
    let mut sidecars = Summary::default();
    for (i, container) in pod.objects("status.initContainerStatuses").enumerate() {
        let sidecar = pod
            .objects("spec.initContainers")
            .any(|spec| spec.text("name") == container.text("name") && is_sidecar(spec));
        summary.count_restarts(container);
        if sidecar {
            sidecars.count_restarts(container);
        }
        let terminated = container.map("state.terminated");
        if terminated.is_some_and(|state| exit_code(state) == 0) {
            continue;
        }
        if sidecar && container.boolean("started") == Some(true) {
            summary.ready += usize::from(container.boolean("ready") == Some(true));
            continue;
        }
        let waiting = container.text("state.waiting.reason");
        summary.status = match terminated {
            Some(state) => format!("Init:{}", ended(state)),
            None if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
            None => format!("Init:{i}/{specs}"),
        };
        return (sidecars, true);
    }
    (sidecars, false)
}

/// Counts the containers proper, the last one first: the first one has the last word.
fn running(pod: &Json, summary: &mut Summary) {
    let mut any_running = false;
    let mut failure = String::new();
    for container in pod.objects("status.containerStatuses").rev() {
        summary.count_restarts(container);
        let waiting = container.text("state.waiting.reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut summary.status);
        } else if let Some(state) = container.map("state.terminated") {
            summary.status = ended(state);
            if exit_code(state) != 0 {
                failure.clone_from(&summary.status);
            }
        } else if container.boolean("ready") == Some(true)
            && container.map("state.running").is_some()
        {
            any_running = true;
            summary.ready += 1;
        }
    }
    // One container's end is not the Pod's while another one runs.
    if summary.status == "Completed" {
        if any_running && has_condition(pod, "Ready") {
            "Running".clone_into(&mut summary.status);
        } else if !failure.is_empty() {
            summary.status = failure;
        } else if any_running {
            "NotReady".clone_into(&mut summary.status);
        }
    }
}

fn readiness_gates(pod: &Json) -> String {
    let gates = pod.list("spec.readinessGates").len();
    if gates == 0 {
        return "<none>".to_owned();
    }
    let open = pod
        .objects("spec.readinessGates")
        .filter(|gate| has_condition(pod, gate.text("conditionType")))
        .count();
    format!("{open}/{gates}")
}

/// An init container that keeps running beside the others.
fn is_sidecar(container: &Json) -> bool {
    container.text("restartPolicy") == "Always"
}

/// Whether the first condition of that type is true.
fn has_condition(pod: &Json, condition: &str) -> bool {
    pod.objects("status.conditions")
        .find(|c| c.text("type") == condition)
        .is_some_and(|c| c.text("status") == "True")
}

fn exit_code(state: &Json) -> i64 {
    state.int("exitCode").unwrap_or_default()
}

/// How a container ended.
fn ended(state: &Json) -> String {
    match (
        state.text("reason"),
        state.int("signal").unwrap_or_default(),
    ) {
        ("", 0) => format!("ExitCode:{}", exit_code(state)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn first_of(texts: &[&str]) -> String {
    texts
        .iter()
        .find(|text| !text.is_empty())
        .map(|text| (*text).to_owned())
        .unwrap_or_default()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[expect(clippy::needless_pass_by_value, reason = "it is given a literal")]
    fn status_of(status: Value) -> String {
        let pod = json!({
            "spec": {
                "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
                "containers": [{"name": "a"}, {"name": "b"}],
            },
            "status": status,
        });
        summarize(&object(pod)).status
    }

    #[test]
    fn the_status_tells_where_a_pod_is_stuck() {
        let waiting = |reason: &str| json!({"name": "i", "state": {"waiting": {"reason": reason}}});
        assert_eq!(status_of(json!({"phase": "Pending"})), "Pending");
        assert_eq!(
            status_of(json!({"phase": "Failed", "reason": "Evicted"})),
            "Evicted"
        );
        assert_eq!(
            status_of(
                json!({"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing")]})
            ),
            "Init:0/2"
        );
        assert_eq!(
            status_of(
                json!({"phase": "Pending", "initContainerStatuses": [waiting("ErrImagePull")]})
            ),
            "Init:ErrImagePull"
        );
        assert_eq!(
            status_of(
                json!({"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 3}}}]})
            ),
            "Init:ExitCode:3"
        );
        assert_eq!(
            status_of(json!({"phase": "Running", "containerStatuses": [
                {"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
            ]})),
            "CrashLoopBackOff"
        );
    }

    #[test]
    fn a_container_that_is_done_does_not_hide_one_that_runs() {
        let done =
            json!({"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let runs = json!({"name": "b", "ready": true, "state": {"running": {}}});
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(
            status_of(json!({"containerStatuses": [done, runs], "conditions": ready})),
            "Running"
        );
        assert_eq!(
            status_of(json!({"containerStatuses": [done, runs]})),
            "NotReady"
        );
        assert_eq!(status_of(json!({"containerStatuses": [done]})), "Completed");
    }

    #[test]
    fn a_row_has_every_column() {
        let pod = object(json!({
            "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {
                "nodeName": "n",
                "containers": [{"name": "a"}],
                "initContainers": [{"name": "s", "restartPolicy": "Always"}],
                "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}],
            },
            "status": {
                "phase": "Running",
                "podIPs": [{"ip": "10.0.0.1"}],
                "conditions": [{"type": "x", "status": "True"}],
                "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "restartCount": 1}],
                "containerStatuses": [{
                    "name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
                    "lastState": {"terminated": {"finishedAt": "1970-01-01T00:01:00Z"}},
                }],
            },
        }));
        assert_eq!(
            cells(&pod, 3600),
            [
                "p",
                "2/2",
                "Running",
                "3 (59m ago)",
                "60m",
                "10.0.0.1",
                "n",
                "<none>",
                "1/2"
            ]
        );
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_terminating() {
        let mut pod = object(json!({
            "metadata": {"deletionTimestamp": "1970-01-01T00:00:00Z"},
            "status": {"phase": "Running"},
        }));
        assert_eq!(summarize(&pod).status, "Terminating");
        pod.put("status.phase", "Succeeded");
        assert_eq!(summarize(&pod).status, "Succeeded");
    }
}
