use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A field of bytes.
fn bytes(number: u8, data: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = data.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).expect("seven bits"));
    field.extend_from_slice(data);
    field
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
}

fn refusal(body: &[u8]) -> String {
    decode_protobuf(body).unwrap_err().message
}

#[test]
fn an_object_has_its_kind_in_front_and_gos_zero_values() {
    // metadata.name and an empty metadata.namespace.
    let raw = bytes(1, &[bytes(1, b"a"), bytes(3, b"")].concat());
    let pod = decode_protobuf(&envelope("v1", "Pod", &raw)).expect("it is a Pod");
    let text = serde_json::to_string(&pod).expect("JSON can be written");
    assert_eq!(
        text,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":null},"status":{}}"#
    );
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let unknown = [
        vec![15 << 3, 0x96, 0x01],
        vec![15 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
        bytes(15, b"x"),
        vec![15 << 3 | 5, 1, 2, 3, 4],
        vec![15 << 3 | 3, 14 << 3 | 3, 8, 1, 14 << 3 | 4, 15 << 3 | 4],
    ];
    let raw = [unknown.concat(), bytes(1, &bytes(1, b"a"))].concat();
    let map = decode_protobuf(&envelope("v1", "ConfigMap", &raw)).expect("it is a ConfigMap");
    assert_eq!(map["metadata"], json!({"name": "a"}));
}

#[test]
fn maps_are_sorted_and_packed_lists_are_read() {
    let entry = |key: &[u8], value: &[u8]| bytes(2, &[bytes(1, key), bytes(2, value)].concat());
    let raw = [
        entry(b"b", b"1"),
        entry(b"a", b"2"),
        bytes(2, &bytes(1, b"c")),
    ]
    .concat();
    let map = decode_protobuf(&envelope("v1", "ConfigMap", &raw)).expect("it is a ConfigMap");
    let data = serde_json::to_string(&map["data"]).expect("JSON can be written");
    assert_eq!(data, r#"{"a":"2","b":"1","c":""}"#);

    // spec.securityContext.supplementalGroups, packed.
    let raw = bytes(2, &bytes(14, &bytes(4, &[1, 0xac, 0x02])));
    let pod = decode_protobuf(&envelope("v1", "Pod", &raw)).expect("it is a Pod");
    assert_eq!(
        pod["spec"]["securityContext"],
        json!({"supplementalGroups": [1, 300]})
    );
}

#[test]
fn what_is_malformed_is_refused_with_the_reason() {
    assert_eq!(refusal(b""), "empty data");
    assert_eq!(refusal(b"k8s\0"), "empty body");
    assert!(refusal(b"{}").ends_with("expected prefix [107 56 115 0]"));
    assert!(
        refusal(&envelope("v1", "Nothing", b"")).starts_with("no kind \"Nothing\" is registered")
    );
    let truncated = refusal(&envelope("v1", "Pod", &[0x0a, 0x05, 0x01]));
    assert_eq!(
        truncated,
        "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF"
    );
    let number = refusal(&envelope("v1", "Pod", &[0x08, 0x01]));
    assert_eq!(
        number,
        "Pod in version \"v1\" cannot be handled as a Pod: metadata: proto: wrong wireType = 0"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..256), kind in "(Pod|Secret|Event|Service)") {
        let _ = decode_protobuf(&raw);
        let _ = decode_protobuf(&envelope("v1", &kind, &raw));
    }

    #[test]
    fn no_change_of_a_published_object_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut body = include_bytes!("../../../tests/published/core.v1.Pod.pb").to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = decode_protobuf(&body);
        body.truncate(cut.index(body.len()));
        let _ = decode_protobuf(&body);
    }
}
