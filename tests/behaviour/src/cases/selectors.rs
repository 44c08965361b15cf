//! Label and field selectors of lists.

use serde_json::{Value, json};

use crate::{Outcome, Session, case_list, get, post};

case_list!["lists":
    labels_select,
    malformed_label_selectors_are_refused,
    names_and_namespaces_select,
    malformed_field_selectors_are_refused,
    fields_that_are_not_indexed_are_refused,
    fields_of_pods_select,
    fields_of_secrets_select,
    fields_of_services_select,
    fields_of_namespaces_select,
    fields_of_events_select,
    fields_of_nodes_select,
];

/// The items' metadata is enough to see what is selected.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Lists with one field selector after the other.
async fn by_fields(s: &mut Session, all: &str, selectors: &[&str]) -> Outcome {
    for selector in selectors {
        s.send(get(all).query("fieldSelector", selector).accept(METADATA))
            .await?;
    }
    Ok(())
}

/// Makes objects of the given names in `all`.
async fn make(s: &mut Session, all: &str, objects: &[(&str, Value)]) -> Outcome {
    for (name, object) in objects {
        let mut object = object.clone();
        object["metadata"]["name"] = json!(name);
        s.set_up(post(all, &object)).await?;
    }
    Ok(())
}

async fn labels_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/configmaps");
    for (name, labels) in [
        ("a", json!({"own": "", "l": "1", "x.example/k": "v"})),
        ("b", json!({"own": "", "l": "2", "in": "notin"})),
        ("c", json!({"own": "", "l": ""})),
        ("d", json!({"own": "", "n": "10"})),
        ("e", json!({"own": ""})),
    ] {
        let body = json!({"metadata": {"name": name, "labels": labels}});
        s.set_up(post(&all, &body)).await?;
    }
    for selector in [
        "l",
        "!l",
        "! l",
        "l=1",
        "l==1",
        "l!=1",
        "l = 1",
        " l == 1 ",
        "l in (1,2)",
        "l in (1, 2,)",
        "l in ()",
        "l notin (1)",
        "l notin (1,2,)",
        "l notin ()",
        "l=",
        "l!=",
        "l=1,x.example/k=v",
        "l,n",
        "l,!in",
        "x.example/k",
        "in=notin",
        "in in (notin)",
        "n>9",
        "n<9",
        "n>10",
        "n<11",
        "l>0",
        "l\t=\n1",
        "l=1,l=2",
        "l in (1),l notin (2)",
    ] {
        let selector = format!("own,{selector}");
        s.send(get(&all).query("labelSelector", &selector).accept(METADATA))
            .await?;
    }
    // Of a parameter that is there twice the first counts.
    s.send(
        get(&all)
            .query("labelSelector", "l=1")
            .query("labelSelector", "l=2")
            .accept(METADATA),
    )
    .await?;
    Ok(())
}

async fn malformed_label_selectors_are_refused(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    let long = "x".repeat(64);
    let long_value = format!("l={long}");
    let long_prefix = format!("{}/l", "x".repeat(254));
    for selector in [
        "=",
        "=1",
        "!",
        "!!l",
        "!l=1",
        ",",
        ",l",
        "l,",
        "l,,n",
        "l l",
        "l=1=2",
        "l===1",
        "l=!1",
        "l in",
        "l in 1",
        "l in (",
        "l in (1",
        "l in (1,",
        "l in (1 2)",
        "l in (=)",
        "l in (1))",
        "l notin",
        "l>",
        "l>x",
        "l<1.5",
        "l>=1",
        "()",
        "l=-",
        "l=a b",
        "l=a_",
        "l=é",
        "-",
        "a/b/c",
        "/l",
        "a/",
        "X.example/l",
        "-x/l",
        "l in (-,_)",
        "l=\"1\"",
        "l='1'",
        "l;n",
        &long,
        &long_value,
        &long_prefix,
    ] {
        s.send(get(&all).query("labelSelector", selector)).await?;
    }
    Ok(())
}

async fn names_and_namespaces_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    make(s, &all, &[("a", json!({})), ("b", json!({}))]).await?;
    let here = format!("metadata.namespace={ns}");
    let here_and_a = format!("metadata.namespace=={ns},metadata.name=a");
    let not_here = format!("metadata.namespace!={ns}");
    let selectors = [
        "",
        ",",
        "metadata.name=a",
        "metadata.name==a",
        "metadata.name!=a",
        "metadata.name=x",
        "metadata.name=",
        "metadata.name!=",
        "metadata.name=a,metadata.name=b",
        "metadata.name!=a,metadata.name!=b",
        "metadata.name=a,",
        &here,
        &here_and_a,
        &not_here,
        "metadata.namespace=default",
        "metadata.name=A",
        "metadata.name=a/b",
    ];
    by_fields(s, &all, &selectors).await?;
    let everywhere = [here.as_str(), &here_and_a];
    by_fields(s, "/api/v1/secrets", &everywhere).await
}

async fn malformed_field_selectors_are_refused(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    make(s, &all, &[("a", json!({})), ("b", json!({}))]).await?;
    let selectors = [
        "metadata.name",
        "!metadata.name",
        "=",
        "==",
        "!=",
        "=,metadata.name=a",
        "=a",
        "!=a",
        "metadata.name=a=b",
        "metadata.name===a",
        "metadata.name=a\\",
        "metadata.name=\\x",
        "metadata.name=\\=",
        "metadata.name=a\\,b",
        "metadata.name in (a)",
        "metadata.name = a",
        "metadata.name=a, metadata.name=b",
        "metadata.name>a",
        "a,metadata.name=b",
    ];
    by_fields(s, &all, &selectors).await
}

async fn fields_that_are_not_indexed_are_refused(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    for all in [
        format!("/api/v1/namespaces/{ns}/configmaps"),
        format!("/api/v1/namespaces/{ns}/secrets"),
        format!("/api/v1/namespaces/{ns}/pods"),
        format!("/api/v1/namespaces/{ns}/services"),
        format!("/api/v1/namespaces/{ns}/serviceaccounts"),
        format!("/api/v1/namespaces/{ns}/events"),
        format!("/apis/events.k8s.io/v1/namespaces/{ns}/events"),
        format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles"),
        format!("/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"),
        "/api/v1/namespaces".to_owned(),
        "/api/v1/nodes".to_owned(),
    ] {
        let selectors = [
            "metadata.uid=a",
            "spec.unknown=a",
            "metadata.name=a,data.k!=",
        ];
        by_fields(s, &all, &selectors).await?;
    }
    Ok(())
}

async fn fields_of_pods_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/pods");
    let container = json!([{"name": "c", "image": "i"}]);
    let pods = [
        ("a", json!({"spec": {"containers": container}})),
        (
            "b",
            json!({"spec": {
                "containers": container, "nodeName": "n", "restartPolicy": "Never", "schedulerName": "s",
                "hostNetwork": true
            }}),
        ),
    ];
    make(s, &all, &pods).await?;
    let selectors = [
        "spec.nodeName=",
        "spec.nodeName=n",
        "spec.nodeName!=n",
        "spec.restartPolicy=Never",
        "spec.schedulerName=s",
        "spec.serviceAccountName=default",
        "spec.hostNetwork=true",
        "spec.hostNetwork=false",
        "status.phase=Pending",
        "status.phase!=Pending",
        "status.podIP=",
        "status.podIPs=",
        "status.nominatedNodeName=",
        "spec.host=n",
        "metadata.name=a,spec.nodeName=n",
        "spec.nodeName=n,status.phase=Pending",
    ];
    by_fields(s, &all, &selectors).await
}

async fn fields_of_secrets_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/secrets");
    let secrets = [("a", json!({})), ("b", json!({"type": "x.example/t"}))];
    make(s, &all, &secrets).await?;
    let selectors = ["type=Opaque", "type=x.example/t", "type!=Opaque", "type="];
    by_fields(s, &all, &selectors).await
}

async fn fields_of_services_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/services");
    let ports = json!([{"port": 80}]);
    let services = [
        ("a", json!({"spec": {"ports": ports, "clusterIP": "None"}})),
        (
            "b",
            json!({"spec": {"type": "ExternalName", "externalName": "x.example"}}),
        ),
    ];
    make(s, &all, &services).await?;
    let selectors = [
        "spec.clusterIP=None",
        "spec.clusterIP=",
        "spec.type=ClusterIP",
        "spec.type!=ClusterIP",
    ];
    by_fields(s, &all, &selectors).await
}

async fn fields_of_namespaces_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let selectors = [
        format!("metadata.name={ns},status.phase=Active"),
        format!("metadata.name={ns},status.phase!=Active"),
        format!("metadata.name={ns},name={ns}"),
        format!("name={ns}"),
        format!("metadata.name={ns},metadata.namespace="),
        format!("metadata.namespace={ns}"),
    ];
    let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
    by_fields(s, "/api/v1/namespaces", &selectors).await
}

async fn fields_of_events_select(s: &mut Session) -> Outcome {
    let ns = s.namespace().await?;
    let all = format!("/api/v1/namespaces/{ns}/events");
    let event = |name: &str, kind: &str| {
        json!({
            "involvedObject": {
                "kind": "Pod", "namespace": ns, "name": name, "uid": "u", "apiVersion": "v1", "fieldPath": "spec"
            },
            "reason": "Tested", "type": kind, "source": {"component": "c"}, "reportingComponent": "r",
            "reportingInstance": "i"
        })
    };
    make(
        s,
        &all,
        &[("a", event("p", "Normal")), ("b", event("q", "Warning"))],
    )
    .await?;
    let selectors = [
        "involvedObject.kind=Pod",
        "involvedObject.name=p",
        "involvedObject.uid=u",
        "involvedObject.apiVersion=v1",
        "involvedObject.resourceVersion=",
        "involvedObject.fieldPath=spec",
        "involvedObject.namespace=default",
        "reason=Tested",
        "reportingComponent=r",
        "source=c",
        "type=Warning",
        "involvedObject.name=p,type=Warning",
        "regarding.name=p",
    ];
    by_fields(s, &all, &selectors).await?;
    let selectors = [
        "regarding.kind=Pod",
        "regarding.name=p",
        "regarding.uid=u",
        "regarding.apiVersion=v1",
        "regarding.fieldPath=spec",
        "regarding.namespace=default",
        "reason=Tested",
        "reportingController=r",
        "reportingComponent=r",
        "source=c",
        "type=Warning",
        "involvedObject.name=p",
    ];
    let all = format!("/apis/events.k8s.io/v1/namespaces/{ns}/events");
    by_fields(s, &all, &selectors).await
}

async fn fields_of_nodes_select(s: &mut Session) -> Outcome {
    let name = s.name("node");
    let body = json!({"metadata": {"name": name}, "spec": {"unschedulable": true}});
    s.set_up(post("/api/v1/nodes", &body)).await?;
    s.clean_up_later(format!("/api/v1/nodes/{name}"));
    let selectors = [
        format!("metadata.name={name},spec.unschedulable=true"),
        format!("metadata.name={name},spec.unschedulable=false"),
        format!("metadata.name={name},spec.unschedulable=x"),
    ];
    let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
    by_fields(s, "/api/v1/nodes", &selectors).await
}
