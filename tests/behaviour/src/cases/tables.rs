//! Tables, as `kubectl get` asks for them: the columns of each kind, and the cells of objects that show them.

use serde_json::{Value, json};

use crate::{Answer, Failure, Outcome, Session, case_list, get, post};

case_list!["tables":
    of_config_maps,
    of_secrets,
    of_service_accounts,
    of_services,
    of_pods,
    of_nodes,
    of_namespaces,
    of_events,
    of_leases,
    of_endpoints_and_slices,
    of_roles_and_bindings,
    of_an_object_with_more_or_less_of_it,
];

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Shows columns and cells; what tells a time depends on when it is asked.
fn show(s: &mut Session, table: &Answer) {
    let columns = table.at("/columnDefinitions");
    let mut timeless = Vec::new();
    for (i, column) in columns.as_array().into_iter().flatten().enumerate() {
        let name = column["name"].as_str().unwrap_or_default();
        let shown = json!([name, column["type"], column["format"], column["priority"]]);
        s.observe("column", shown);
        if !["Age", "Last Seen", "First Seen", "Created At"].contains(&name) {
            timeless.push(i);
        }
    }
    let rows = table.at("/rows");
    for row in rows.as_array().into_iter().flatten() {
        let cells: Vec<Value> = timeless.iter().map(|i| row["cells"][*i].clone()).collect();
        s.observe("row", cells);
    }
}

/// Makes objects, and shows the table of those with the label `l`.
async fn of(s: &mut Session, collection: &str, objects: Vec<Value>) -> Outcome {
    for (number, mut object) in objects.into_iter().enumerate() {
        object["metadata"]["name"] = format!("a{number}").into();
        object["metadata"]["labels"] = json!({"l": "1"});
        s.set_up(post(collection, &object)).await?;
    }
    let table = s
        .ask_aside(get(collection).query("labelSelector", "l").accept(TABLE))
        .await?;
    s.observe("status", table.status);
    show(s, &table);
    Ok(())
}

async fn in_namespace(s: &mut Session, resource: &str) -> Result<String, Failure> {
    let ns = s.namespace().await?;
    Ok(match resource.split_once('/') {
        Some((group, resource)) => format!("/apis/{group}/v1/namespaces/{ns}/{resource}"),
        None => format!("/api/v1/namespaces/{ns}/{resource}"),
    })
}

async fn of_config_maps(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "configmaps").await?;
    let objects = vec![
        json!({}),
        json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AAE="}}),
    ];
    of(s, &all, objects).await
}

async fn of_secrets(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "secrets").await?;
    let objects = vec![
        json!({}),
        json!({"type": "example.com/t", "stringData": {"a": "1", "b": "2"}}),
    ];
    of(s, &all, objects).await
}

async fn of_service_accounts(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "serviceaccounts").await?;
    let objects = vec![
        json!({}),
        json!({"secrets": [{"name": "a"}, {"name": "b"}]}),
    ];
    of(s, &all, objects).await
}

async fn of_services(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "services").await?;
    let objects = vec![
        json!({"spec": {"clusterIP": "None", "ports": [{"port": 80}]}}),
        json!({"spec": {"clusterIP": "None", "selector": {"a": "1", "b": "2"}, "ports": [
            {"name": "a", "port": 80, "protocol": "UDP"}, {"name": "b", "port": 443},
        ]}}),
        json!({"spec": {"type": "ExternalName", "externalName": "example.com"}}),
    ];
    of(s, &all, objects).await
}

async fn of_pods(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "pods").await?;
    let container = json!({"name": "c", "image": "i:1"});
    let objects = vec![
        json!({"spec": {"containers": [container]}}),
        json!({"spec": {"containers": [container, {"name": "d", "image": "j:2"}], "nodeName": "n"}}),
        json!({"spec": {"containers": [container], "initContainers": [{"name": "e", "image": "k"}],
               "readinessGates": [{"conditionType": "example.com/ready"}]}}),
    ];
    of(s, &all, objects).await
}

async fn of_nodes(s: &mut Session) -> Outcome {
    let name = s.name("node");
    let node = json!({
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": true},
    });
    s.set_up(post("/api/v1/nodes", &node)).await?;
    let one = format!("/api/v1/nodes/{name}");
    s.clean_up_later(&one);
    let table = s.ask_aside(get(one).accept(TABLE)).await?;
    show(s, &table);
    Ok(())
}

async fn of_namespaces(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let one = format!("/api/v1/namespaces/{ns}");
    let table = s.ask_aside(get(one).accept(TABLE)).await?;
    show(s, &table);
    Ok(())
}

async fn of_events(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "events").await?;
    let ns = all.split('/').nth(4).unwrap_or_default().to_owned();
    let about = json!({"kind": "Pod", "namespace": ns, "name": "p"});
    let objects = vec![
        json!({"involvedObject": about}),
        json!({
            "involvedObject": about, "reason": "Started", "message": "it did\n", "type": "Normal", "count": 3,
            "source": {"component": "kubelet", "host": "n"},
        }),
    ];
    of(s, &all, objects).await
}

async fn of_leases(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "coordination.k8s.io/leases").await?;
    let objects = vec![json!({}), json!({"spec": {"holderIdentity": "h"}})];
    of(s, &all, objects).await
}

async fn of_endpoints_and_slices(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "endpoints").await?;
    let ns = all.split('/').nth(4).unwrap_or_default().to_owned();
    let addresses = |count: u8| -> Vec<Value> {
        (1..=count)
            .map(|n| json!({"ip": format!("192.0.2.{n}")}))
            .collect()
    };
    let objects = vec![
        json!({}),
        json!({"subsets": [{"addresses": addresses(2), "ports": [{"port": 80}]}]}),
        json!({"subsets": [{"addresses": addresses(5), "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}]}),
    ];
    of(s, &all, objects).await?;
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices");
    let endpoints: Vec<Value> = (1..=4)
        .map(|n| json!({"addresses": [format!("192.0.2.{n}")]}))
        .collect();
    let objects = vec![
        json!({"addressType": "IPv4", "endpoints": []}),
        json!({"addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "a", "port": 80}, {"name": "b"}]}),
    ];
    of(s, &slices, objects).await
}

async fn of_roles_and_bindings(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "rbac.authorization.k8s.io/roles").await?;
    of(s, &all, vec![json!({"rules": []})]).await?;
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a0"});
    let objects = vec![
        json!({"roleRef": reference}),
        json!({"roleRef": reference, "subjects": [
            {"kind": "User", "name": "jane"}, {"kind": "User", "name": "john"}, {"kind": "Group", "name": "all"},
            {"kind": "ServiceAccount", "name": "default", "namespace": "other"},
        ]}),
    ];
    let bindings = all.replace("/roles", "/rolebindings");
    of(s, &bindings, objects).await
}

async fn of_an_object_with_more_or_less_of_it(s: &mut Session) -> Outcome {
    let all = in_namespace(s, "configmaps").await?;
    s.set_up(post(&all, &json!({"metadata": {"name": "a"}})))
        .await?;
    for include in ["None", "Metadata", "Object", "", "Everything"] {
        let request = get(format!("{all}/a"))
            .query("includeObject", include)
            .accept(TABLE);
        let table = s.ask_aside(request).await?;
        s.observe("status", table.status);
        s.observe("message", table.at("/message"));
        s.observe("object", table.at("/rows/0/object"));
    }
    Ok(())
}
