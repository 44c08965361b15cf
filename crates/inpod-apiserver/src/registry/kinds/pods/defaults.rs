//! What a Pod's spec says when its author says nothing: `SetDefaults_Pod` and those it stands on.

use serde_json::{Value, json};

use super::CONTAINER_LISTS;
use crate::registry::json::Fields as _;
use crate::schema::Json;

/// Fills in the defaults of a Pod.
pub(super) fn set(pod: &mut Json) {
    set_spec(pod.map_mut("spec"));
    for list in CONTAINER_LISTS {
        pod.objects_mut(list).for_each(set_container);
    }
    for list in ["spec.containers", "spec.initContainers"] {
        pod.objects_mut(list).for_each(requests_from_limits);
    }
    if pod.boolean("spec.hostNetwork") == Some(true) {
        for list in ["spec.containers", "spec.initContainers"] {
            pod.objects_mut(list).for_each(publish_ports_on_host);
        }
    }
    pod.objects_mut("spec.volumes").for_each(set_volume);
    sync_pod_ips(pod);
}

/// Keeps `podIP` and `podIPs` the same; where both are there and differ, `podIP` wins.
pub(super) fn sync_pod_ips(pod: &mut Json) {
    let first = pod.objects("status.podIPs").next();
    let first = first.map(|ip| ip.text("ip").to_owned()).unwrap_or_default();
    let ip = pod.text("status.podIP").to_owned();
    if ip.is_empty() && !first.is_empty() {
        pod.put("status.podIP", first);
    } else if ip != first {
        pod.put("status.podIPs", json!([{"ip": ip}]));
    }
}

fn set_spec(spec: &mut Json) {
    // `serviceAccount` is the old name of `serviceAccountName`.
    if spec.text("serviceAccountName").is_empty() && !spec.text("serviceAccount").is_empty() {
        let name = spec.text("serviceAccount").to_owned();
        spec.put("serviceAccountName", name);
    }
    if !spec.text("serviceAccountName").is_empty() {
        let name = spec.text("serviceAccountName").to_owned();
        spec.put("serviceAccount", name);
    }
    spec.default_to("restartPolicy", "Always");
    spec.default_to("dnsPolicy", "ClusterFirst");
    spec.default_to("securityContext", json!({}));
    spec.default_to("terminationGracePeriodSeconds", 30);
    if spec.int("terminationGracePeriodSeconds") < Some(0) {
        spec.put("terminationGracePeriodSeconds", 1);
    }
    spec.default_to("schedulerName", "default-scheduler");
    spec.default_to("enableServiceLinks", true);
}

fn set_container(container: &mut Json) {
    let policy = pull_policy(container.text("image"));
    container.default_to("imagePullPolicy", policy);
    container.default_to("terminationMessagePath", "/dev/termination-log");
    container.default_to("terminationMessagePolicy", "File");
    container.default_to("resources", json!({}));
    for port in container.objects_mut("ports") {
        port.default_to("protocol", "TCP");
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.existing_mut(probe) {
            set_probe(probe);
        }
    }
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        if let Some(hook) = container.existing_mut(hook) {
            set_handler(hook);
        }
    }
    for variable in container.objects_mut("env") {
        if let Some(reference) = variable.existing_mut("valueFrom.fieldRef") {
            reference.default_to("apiVersion", "v1");
        }
        if let Some(reference) = variable.existing_mut("valueFrom.fileKeyRef") {
            reference.default_to("optional", false);
        }
    }
}

fn set_probe(probe: &mut Json) {
    probe.default_nonzero("timeoutSeconds", 1);
    probe.default_nonzero("periodSeconds", 10);
    probe.default_nonzero("successThreshold", 1);
    probe.default_nonzero("failureThreshold", 3);
    set_handler(probe);
}

fn set_handler(handler: &mut Json) {
    if let Some(get) = handler.existing_mut("httpGet") {
        get.default_to("path", "/");
        get.default_to("scheme", "HTTP");
    }
    if let Some(grpc) = handler.existing_mut("grpc") {
        grpc.default_to("service", "");
    }
}

/// Requests that are not set are what the limits are.
fn requests_from_limits(container: &mut Json) {
    let Some(limits) = container.map("resources.limits").cloned() else {
        return;
    };
    let requests = container.map_mut("resources.requests");
    for (resource, limit) in limits {
        requests.entry(resource).or_insert(limit);
    }
}

fn publish_ports_on_host(container: &mut Json) {
    for port in container.objects_mut("ports") {
        if let Some(number) = port.int("containerPort") {
            port.default_nonzero("hostPort", number);
        }
    }
}

fn set_volume(volume: &mut Json) {
    const FILE_MODE: i64 = 0o644;
    if !volume
        .iter()
        .any(|(key, source)| key != "name" && !source.is_null())
    {
        volume.put("emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.existing_mut(source) {
            source.default_to("defaultMode", FILE_MODE);
        }
    }
    if let Some(path) = volume.existing_mut("hostPath") {
        path.default_to("type", "");
    }
    if let Some(image) = volume.existing_mut("image") {
        let policy = pull_policy(image.text("reference"));
        image.default_to("pullPolicy", policy);
    }
    if let Some(claim) = volume.existing_mut("ephemeral.volumeClaimTemplate.spec") {
        claim.default_to("volumeMode", "Filesystem");
    }
    volume
        .objects_mut("downwardAPI.items")
        .for_each(set_downward_file);
    for source in volume.objects_mut("projected.sources") {
        if let Some(token) = source.existing_mut("serviceAccountToken") {
            token.default_to("expirationSeconds", 3600);
        }
        source
            .objects_mut("downwardAPI.items")
            .for_each(set_downward_file);
    }
}

fn set_downward_file(file: &mut Json) {
    if let Some(reference) = file.existing_mut("fieldRef") {
        reference.default_to("apiVersion", "v1");
    }
}

/// `Always` for the tag `latest`, which is what an image without tag and digest has; else `IfNotPresent`.
fn pull_policy(image: &str) -> Value {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = match last.split_once(':') {
        Some((_, tag)) => tag,
        None if digest.is_none() && !last.is_empty() => "latest",
        None => "",
    };
    let policy = if tag == "latest" {
        "Always"
    } else {
        "IfNotPresent"
    };
    policy.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::{object, pretty};

    #[test]
    fn a_minimal_pod_gets_what_a_real_server_gives_it() {
        let mut pod = object(json!({"spec": {"containers": [{"name": "a", "image": "nginx"}]}}));
        set(&mut pod);
        insta::assert_snapshot!(pretty(pod));
    }

    #[test]
    fn defaults_are_stable() {
        let mut pod = object(json!({
            "spec": {
                "serviceAccount": "old",
                "hostNetwork": true,
                "containers": [{
                    "name": "a",
                    "image": "nginx:1.2",
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": "1"}},
                    "livenessProbe": {"httpGet": {"port": 80}},
                    "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                }],
                "volumes": [
                    {"name": "empty"},
                    {"name": "s", "secret": {"secretName": "s"}},
                    {"name": "p", "projected": {"sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                    ]}},
                ],
            },
        }));
        set(&mut pod);
        let once = pod.clone();
        set(&mut pod);
        assert_eq!(pod, once);
        insta::assert_snapshot!(pretty(pod));
    }

    #[test]
    fn the_tag_decides_how_an_image_is_pulled() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:0123", "IfNotPresent"),
            ("nginx:latest@sha256:0123", "Always"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn the_single_address_wins_over_the_list() {
        let mut pod =
            object(json!({"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}]}}));
        sync_pod_ips(&mut pod);
        assert_eq!(pod["status"]["podIPs"], json!([{"ip": "10.0.0.1"}]));
        let mut pod = object(json!({"status": {"podIPs": [{"ip": "10.0.0.2"}]}}));
        sync_pod_ips(&mut pod);
        assert_eq!(pod["status"]["podIP"], "10.0.0.2");
    }
}
