//! `cargo +nightly fuzz run json`: no body makes the decoder panic, and what it makes of one decodes to itself.

#![no_main]

use inpod_apiserver::schema::{FieldValidation, decode_json, type_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let ty = type_of("", "v1", "Pod").expect("a kind of the tables");
    if let Ok(decoded) = decode_json(ty, body, FieldValidation::Warn) {
        let again = serde_json::to_vec(&decoded.value).expect("JSON can be written");
        let again = decode_json(ty, &again, FieldValidation::Strict).expect("it is good");
        assert_eq!(again.value, decoded.value);
    }
});
