use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::type_of;

fn decode(kind: &str, body: &str, validation: FieldValidation) -> Result<Decoded, Status> {
    let ty = type_of("", "v1", kind).expect("a kind of the tables");
    decode_json(ty, body.as_bytes(), validation)
}

fn refusal(kind: &str, body: &str) -> String {
    decode(kind, body, FieldValidation::Ignore)
        .unwrap_err()
        .message
}

fn written(kind: &str, body: &str) -> String {
    let decoded = decode(kind, body, FieldValidation::Strict).expect("it is good");
    serde_json::to_string(&decoded.value).expect("JSON can be written")
}

#[test]
fn a_pod_is_written_in_gos_order_with_gos_zero_values() {
    let body = r#"{"spec":{"containers":[{"image":"i","name":"c","env":[]}],"nodeName":""},"metadata":{"labels":{"b":"1","a":"2"}},
        "apiVersion":"v1","kind":"Pod"}"#;
    assert_eq!(
        written("Pod", body),
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"labels":{"a":"2","b":"1"}},"spec":{"containers":[{"name":"c","image":"i","resources":{}}]},"status":{}}"#
    );
}

#[test]
fn special_types_are_written_in_their_canonical_forms() {
    let body = r#"{"metadata":{"creationTimestamp":"2026-11-25T01:02:03.5+01:00","deletionTimestamp":null,
            "managedFields":[{"fieldsV1":{"f:b":{},"f:a":1.50}}]},
        "spec":{"containers":[{"name":"c","resources":{"limits":{"memory":"1024Ki","cpu":0.5}},
            "livenessProbe":{"httpGet":{"port":8080},"initialDelaySeconds":0}}]}}"#;
    let pod = decode("Pod", body, FieldValidation::Strict)
        .expect("it is good")
        .value;
    assert_eq!(
        pod["metadata"],
        json!({"creationTimestamp": "2026-11-25T00:02:03Z", "managedFields": [{"fieldsV1": {"f:b": {}, "f:a": 1.5}}]})
    );
    assert_eq!(
        pod["spec"]["containers"][0],
        json!({
            "name": "c",
            "resources": {"limits": {"cpu": "500m", "memory": "1Mi"}},
            "livenessProbe": {"httpGet": {"port": 8080}},
        })
    );
}

#[test]
fn null_leaves_a_field_unset_and_is_zero_in_a_collection() {
    let body = r#"{"metadata":null,"data":{"a":null},"binaryData":null,"immutable":null}"#;
    assert_eq!(
        written("ConfigMap", body),
        r#"{"metadata":{},"data":{"a":""}}"#
    );
}

#[test]
fn a_pointer_to_an_empty_value_is_written_and_an_empty_value_is_not() {
    let body = r#"{"immutable":false,"data":{}}"#;
    assert_eq!(
        written("ConfigMap", body),
        r#"{"metadata":{},"immutable":false}"#
    );
}

#[test]
fn wrong_types_are_named_by_their_struct_field_and_type() {
    for (body, problem) in [
        (
            r#"{"metadata":{"labels":"x"}}"#,
            "cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"containers":{}}}"#,
            "cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":{"containers":["x"]}}"#,
            "cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            r#"{"spec":{"containers":[{"ports":[{"containerPort":1.5}]}]}}"#,
            "cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"spec":{"restartPolicy":true}}"#,
            "cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            r#"{"spec":{"volumes":[{"hostPath":[]}]}}"#,
            "cannot unmarshal array into Go struct field Volume.spec.volumes.VolumeSource.hostPath of type v1.HostPathVolumeSource",
        ),
        (
            r#"{"metadata":{"creationTimestamp":1}}"#,
            "cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
    ] {
        let expected = format!("Pod in version \"v1\" cannot be handled as a Pod: json: {problem}");
        assert_eq!(refusal("Pod", body), expected, "{body}");
    }
}

#[test]
fn the_first_wrong_type_is_reported_unless_a_special_type_is_wrong() {
    let body = r#"{"metadata":{"name":1,"labels":1},"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}"#;
    assert_eq!(
        refusal("Pod", body),
        "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    let body = r#"{"metadata":{"name":1,"labels":1}}"#;
    assert!(refusal("Pod", body).contains("ObjectMeta.metadata.name of type string"));
}

#[test]
fn unknown_and_duplicate_fields_are_ignored_warned_of_or_refused() {
    let body = r#"{"foo":1,"spec":{"containers":[{"name":"a","name":"b","bar":{"baz":1}}]},"metadata":{"labels":{"a":"1","a":"2"}}}"#;
    let decoded = decode("Pod", body, FieldValidation::Ignore).expect("they are ignored");
    assert!(decoded.warnings.is_empty());
    let decoded = decode("Pod", body, FieldValidation::Warn).expect("they are warned of");
    assert_eq!(
        decoded.warnings,
        [
            r#"unknown field "foo""#,
            r#"duplicate field "spec.containers[0].name""#,
            r#"unknown field "spec.containers[0].bar""#,
            r#"duplicate field "metadata.labels.a""#,
        ]
    );
    assert_eq!(decoded.value["spec"]["containers"][0]["name"], "b");
    let refused = decode("Pod", body, FieldValidation::Strict).unwrap_err();
    assert!(refused.message.starts_with(
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"foo\", duplicate field"
    ));
}

#[test]
fn a_body_that_is_no_json_is_shown() {
    assert_eq!(
        refusal("Pod", "{'a': 1}"),
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: \
         invalid character '\\'' looking for beginning of object key string ({'a': 1})"
    );
    assert_eq!(
        refusal("Pod", ""),
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: \
         unexpected end of JSON input (<empty>)"
    );
    assert!(refusal("Pod", "[]").ends_with("(5b5d)"));
}

#[test]
fn a_body_of_another_kind_is_refused() {
    assert_eq!(
        refusal("Pod", r#"{"kind":"Service","apiVersion":"v1"}"#),
        "Service in version \"v1\" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion"
    );
    assert_eq!(
        refusal("Pod", r#"{"kind":"Pod","apiVersion":"apps/v1"}"#),
        "Pod in version \"v1\" cannot be handled as a Pod: no kind \"Pod\" is registered for version \"apps/v1\" in scheme \
         \"pkg/api/legacyscheme/scheme.go:30\""
    );
    assert_eq!(
        refusal(
            "Event",
            r#"{"kind":"Event","apiVersion":"events.k8s.io/v1"}"#
        ),
        "the API version in the data (events.k8s.io/v1) does not match the expected API version (v1)"
    );
    for api_version in ["v1", "apps/v1", "meta.k8s.io/v1"] {
        let body = format!(r#"{{"kind":"DeleteOptions","apiVersion":"{api_version}"}}"#);
        assert!(decode("DeleteOptions", &body, FieldValidation::Strict).is_ok());
    }
}

#[test]
fn bytes_are_base64() {
    assert_eq!(
        written("Secret", r#"{"data":{"a":"eHg="}}"#),
        r#"{"metadata":{},"data":{"a":"eHg="}}"#
    );
    let refused = refusal("Secret", r#"{"data":{"a":"not base64"}}"#);
    assert!(
        refused.ends_with("illegal base64 data at input byte 3"),
        "{refused}"
    );
}

/// JSON with the names that Pods have, so that the typed decoder is met.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9mKi.:TZ-]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("metadata".to_owned()),
        Just("spec".to_owned()),
        Just("containers".to_owned()),
        Just("resources".to_owned()),
        Just("limits".to_owned()),
        Just("creationTimestamp".to_owned()),
        Just("name".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        let ty = type_of("", "v1", "Pod").expect("a kind of the tables");
        let _ = decode_json(ty, &body, FieldValidation::Strict);
    }

    #[test]
    fn what_is_decoded_decodes_to_itself(value in value()) {
        let body = value.to_string();
        if let Ok(decoded) = decode("Pod", &body, FieldValidation::Warn) {
            let again = Value::Object(decoded.value.clone()).to_string();
            let again = decode("Pod", &again, FieldValidation::Strict).expect("it is good");
            prop_assert_eq!(again.value, decoded.value);
        }
    }

    #[test]
    fn any_json_is_read_as_it_was_written(value in value()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
    }
}
