//! `cargo +nightly fuzz run protobuf`: no body makes the decoder panic, and what it makes of one is good JSON. The files of
//! `crates/inpod-apiserver/tests/published/*.pb` are a corpus to begin with.

#![no_main]

use inpod_apiserver::schema::{FieldValidation, decode_json, decode_protobuf, type_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(object) = decode_protobuf(body) else {
        return;
    };
    let text = |key: &str| object.get(key).and_then(|value| value.as_str()).unwrap_or_default();
    let api_version = text("apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let ty = type_of(group, version, text("kind")).expect("it was decoded as one");
    let json = serde_json::to_vec(&object).expect("JSON can be written");
    match decode_json(ty, &json, FieldValidation::Strict) {
        Ok(decoded) => assert_eq!(decoded.value, object),
        // A raw extension as deep as may be lies deeper in its object.
        Err(refused) => assert!(refused.message.contains("exceeded max depth"), "{refused}"),
    }
});
