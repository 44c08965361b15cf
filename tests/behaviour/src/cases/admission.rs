//! What becomes of an object before it is stored.

use serde_json::{Value, json};

use crate::{Failure, Outcome, Session, case_list, get, patch, post};

case_list!["admission":
    each_container_gets_the_mount,
    a_mount_of_ones_own_stays,
    automount_is_off_by_account_or_pod,
    an_account_lends_its_pull_secrets,
    an_account_that_is_missing,
    a_pod_may_not_change_its_account,
    a_pod_gets_defaults,
    a_service_gets_defaults,
    other_kinds_get_defaults,
    pods_are_checked,
    services_are_checked,
];

fn container(name: &str) -> Value {
    json!({"name": name, "image": "i"})
}

async fn pods(s: &mut Session) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(format!("/api/v1/namespaces/{ns}/pods"))
}

async fn create(s: &mut Session, pods: &str, name: &str, spec: Value) -> Outcome {
    let pod = json!({"metadata": {"name": name}, "spec": spec});
    s.send(post(pods, &pod)).await?;
    Ok(())
}

async fn each_container_gets_the_mount(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let spec = json!({
        "containers": [container("a"), container("b")],
        "initContainers": [container("c")],
        "volumes": [{"name": "v", "emptyDir": {}}],
    });
    create(s, &pods, "p", spec).await
}

async fn a_mount_of_ones_own_stays(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let mut own = container("a");
    own["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    let spec = json!({"containers": [own], "volumes": volumes});
    create(s, &pods, "p", spec).await?;
    let spec = json!({"containers": [own, container("b")], "volumes": volumes});
    create(s, &pods, "q", spec).await?;
    let named = json!([{"name": "kube-api-access-zzzzz", "emptyDir": {}}]);
    let spec = json!({"containers": [container("a")], "volumes": named});
    create(s, &pods, "r", spec).await
}

async fn automount_is_off_by_account_or_pod(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let accounts = pods.replace("/pods", "/serviceaccounts");
    let off = json!({"metadata": {"name": "off"}, "automountServiceAccountToken": false});
    s.set_up(post(&accounts, &off)).await?;
    for (name, account, automount) in [
        ("a", "off", Value::Null),
        ("b", "off", json!(true)),
        ("c", "off", json!(false)),
        ("d", "default", json!(false)),
    ] {
        let spec = json!({
            "containers": [container("c")], "serviceAccountName": account, "automountServiceAccountToken": automount,
        });
        create(s, &pods, name, spec).await?;
    }
    Ok(())
}

async fn an_account_lends_its_pull_secrets(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let accounts = pods.replace("/pods", "/serviceaccounts");
    let body =
        json!({"metadata": {"name": "a"}, "imagePullSecrets": [{"name": "x"}, {"name": "y"}]});
    s.set_up(post(&accounts, &body)).await?;
    for (name, own) in [("a", json!([])), ("b", json!([{"name": "z"}]))] {
        let spec = json!({
            "containers": [container("c")], "serviceAccountName": "a", "imagePullSecrets": own,
        });
        create(s, &pods, name, spec).await?;
    }
    Ok(())
}

async fn an_account_that_is_missing(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    for (name, field) in [("a", "serviceAccountName"), ("b", "serviceAccount")] {
        let spec = json!({"containers": [container("c")], field: "none"});
        create(s, &pods, name, spec).await?;
    }
    let spec = json!({
        "containers": [container("c")], "serviceAccountName": "default", "serviceAccount": "other",
    });
    create(s, &pods, "c", spec).await
}

async fn a_pod_may_not_change_its_account(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    create(s, &pods, "p", json!({"containers": [container("c")]})).await?;
    for change in [
        json!({"spec": {"serviceAccountName": "other"}}),
        json!({"spec": {"automountServiceAccountToken": false}}),
        json!({"spec": {"activeDeadlineSeconds": 5}}),
        json!({"spec": {"nodeName": "n"}}),
        json!({"spec": {"restartPolicy": "Never"}}),
    ] {
        let answer = s
            .ask_aside(patch(format!("{pods}/p"), "merge", &change))
            .await?;
        s.observe("status", answer.status);
        s.observe("reason", answer.at("/reason"));
        // What follows is what differs, as Go's structs are printed.
        let message = answer.at("/details/causes/0/message");
        let sentence = message.as_str().and_then(|text| text.lines().next());
        s.observe("why", sentence);
    }
    Ok(())
}

async fn a_pod_gets_defaults(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let mut full = container("a");
    full["ports"] = json!([{"containerPort": 80}]);
    full["livenessProbe"] = json!({"httpGet": {"port": 80}});
    full["env"] = json!([{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    full["resources"] = json!({"limits": {"cpu": "0.5", "memory": "1Gi"}});
    full["lifecycle"] = json!({"preStop": {"httpGet": {"port": 80}}});
    let spec = json!({
        "containers": [full, {"name": "b", "image": "i:latest"}, {"name": "c", "image": "i@sha256:abc"}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "s"}},
            {"name": "b", "configMap": {"name": "c"}},
            {"name": "c", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {"name": "e", "hostPath": {"path": "/p"}},
            {"name": "f"},
        ],
        "securityContext": {},
        "tolerations": [{"key": "k", "operator": "Exists"}],
    });
    create(s, &pods, "p", spec).await?;
    let spec = json!({"containers": [container("a")], "hostNetwork": true});
    create(s, &pods, "q", spec).await
}

async fn a_service_gets_defaults(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let services = format!("/api/v1/namespaces/{ns}/services");
    for (name, spec) in [
        ("a", json!({"clusterIP": "None", "ports": [{"port": 80}]})),
        (
            "b",
            json!({"clusterIP": "None", "selector": {"a": "1"}, "sessionAffinity": "ClientIP", "ports": [
                {"name": "x", "port": 80, "targetPort": "http"}, {"name": "y", "port": 81, "protocol": "UDP"},
            ]}),
        ),
        (
            "c",
            json!({"type": "ExternalName", "externalName": "example.com"}),
        ),
    ] {
        let body = json!({"metadata": {"name": name}, "spec": spec});
        s.send(post(&services, &body)).await?;
    }
    Ok(())
}

async fn other_kinds_get_defaults(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let core = |resource: &str| format!("/api/v1/namespaces/{ns}/{resource}");
    let named = |name: &str| json!({"name": name});
    s.send(post(
        core("secrets"),
        &json!({"metadata": named("a"), "stringData": {"k": "v"}, "data": {"k": "b2xk", "l": ""}}),
    ))
    .await?;
    s.send(post(
        core("endpoints"),
        &json!({"metadata": named("a"), "subsets": [{"addresses": [{"ip": "192.0.2.2"}, {"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
    ))
    .await?;
    s.send(post(
        format!("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"),
        &json!({"metadata": named("a"), "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 80}]}),
    ))
    .await?;
    s.send(post(
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"),
        &json!({"metadata": named("a"), "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}),
    ))
    .await?;
    let node = s.name("node");
    let answer = s
        .send(post("/api/v1/nodes", &json!({"metadata": {"name": node}})))
        .await?;
    s.clean_up_later(format!("/api/v1/nodes/{node}"));
    s.observe("made", answer.status);
    s.send(get(format!("/api/v1/namespaces/{ns}"))).await?;
    Ok(())
}

async fn pods_are_checked(s: &mut Session) -> Outcome {
    let pods = pods(s).await?;
    let volume = json!([{"name": "v", "emptyDir": {}}]);
    for spec in [
        json!({}),
        json!({"containers": []}),
        json!({"containers": [{"name": "A", "image": ""}]}),
        json!({"containers": [container("a"), container("a")]}),
        json!({"containers": [container("a")], "initContainers": [container("a")]}),
        json!({"containers": [container("a")], "volumes": [volume[0], volume[0]]}),
        json!({"containers": [{"name": "a", "image": "i", "volumeMounts": [{"name": "none", "mountPath": "/m"}]}]}),
        json!({"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 0}, {"containerPort": 65536}]}]}),
        json!({"containers": [{"name": "a", "image": "i", "env": [{"name": ""}, {"name": "a=b"}]}]}),
        json!({"containers": [{"name": "a", "image": "i", "imagePullPolicy": "Sometimes"}]}),
        json!({"containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]}),
        json!({"containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "many"}}}]}),
        json!({"containers": [container("a")], "restartPolicy": "Perhaps"}),
        json!({"containers": [container("a")], "dnsPolicy": "Perhaps"}),
        json!({"containers": [container("a")], "activeDeadlineSeconds": 0}),
        json!({"containers": [container("a")], "terminationGracePeriodSeconds": -1}),
        json!({"containers": [container("a")], "hostname": "A_b"}),
        json!({"containers": [container("a")], "nodeName": "A_b"}),
        json!({"containers": [container("a")], "nodeSelector": {"a b": "c"}}),
    ] {
        create(s, &pods, "p", spec).await?;
    }
    Ok(())
}

async fn services_are_checked(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let services = format!("/api/v1/namespaces/{ns}/services");
    for spec in [
        json!({}),
        json!({"clusterIP": "None", "ports": [{"port": 0}]}),
        json!({"clusterIP": "None", "ports": [{"port": 80}, {"port": 81}]}),
        json!({"clusterIP": "None", "ports": [{"name": "a", "port": 80}, {"name": "a", "port": 80}]}),
        json!({"clusterIP": "None", "ports": [{"port": 80, "protocol": "ICMP"}]}),
        json!({"clusterIP": "None", "ports": [{"port": 80, "targetPort": "not_a_port"}]}),
        json!({"clusterIP": "nowhere", "ports": [{"port": 80}]}),
        json!({"clusterIP": "192.0.2.1", "ports": [{"port": 80}]}),
        json!({"clusterIP": "2001:db8::1", "ports": [{"port": 80}]}),
        json!({"clusterIP": "None", "selector": {"a": "1"}, "ipFamilyPolicy": "RequireDualStack"}),
        json!({"type": "Strange", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName"}),
        json!({"type": "ExternalName", "externalName": "not_a_name"}),
        json!({"clusterIP": "None", "selector": {"a b": "c"}, "ports": [{"port": 80}]}),
        json!({"clusterIP": "None", "sessionAffinity": "Some", "ports": [{"port": 80}]}),
        json!({"clusterIP": "None", "externalIPs": ["127.0.0.1"], "ports": [{"port": 80}]}),
        json!({"clusterIP": "None", "externalIPs": ["::ffff:127.0.0.1"], "ports": [{"port": 80}]}),
    ] {
        let body = json!({"metadata": {"name": "a"}, "spec": spec});
        s.send(post(&services, &body)).await?;
    }
    Ok(())
}
