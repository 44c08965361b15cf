//! YAML bodies, by way of JSON, as the real server reads them.

use serde_json::Value;

use super::json::{decode_json, no_object, unrecognized};
use super::{Decoded, FieldValidation, Type};
use crate::Status;

/// Decodes a YAML body of type `ty` as [`decode_json`] does. It is one document.
///
/// As in the real server's `sigs.k8s.io/yaml`, plain scalars have YAML 1.1's types whatever the field asks for: `yes` is a
/// boolean and `0755` an octal number, so that a string field refuses them; quote them. Other than there, a key that comes
/// twice is an error under every `validation` (there it is one under [`FieldValidation::Strict`]), nesting ends at 64 levels
/// and a plain date stays a string.
///
/// # Errors
/// 400 with the line at fault where the body is no YAML; else as [`decode_json`].
pub fn decode_yaml(ty: Type, body: &[u8], validation: FieldValidation) -> Result<Decoded, Status> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    };
    let value: Value = serde_saphyr::from_slice_with_options(body, options).map_err(|error| {
        unrecognized(
            ty,
            body,
            // Without the parser's advice to programmers.
            format!("error converting YAML to JSON: yaml: {error}")
                .replace(", set DuplicateKeyPolicy in Options if acceptable", ""),
        )
    })?;
    if !matches!(value, Value::Object(_) | Value::Null) {
        return Err(no_object(ty, body, &value));
    }
    let json = serde_json::to_vec(&value).map_err(Status::internal)?;
    decode_json(ty, &json, validation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::type_of;

    fn decode(body: &str) -> Result<Decoded, Status> {
        let ty = type_of("", "v1", "ConfigMap").expect("a kind of the tables");
        decode_yaml(ty, body.as_bytes(), FieldValidation::Strict)
    }

    #[test]
    fn a_document_is_decoded_as_json_is() {
        let decoded =
            decode("# a comment\nmetadata:\n  name: a\ndata:\n  b: \"yes\"\n  a: |\n    x\n");
        let decoded = decoded.expect("it is a ConfigMap");
        let json = serde_json::to_string(&decoded.value).expect("JSON can be written");
        assert_eq!(
            json,
            r#"{"metadata":{"name":"a"},"data":{"a":"x\n","b":"yes"}}"#
        );
    }

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_1() {
        for scalar in ["yes", "off", "0755", "1"] {
            let refused = decode(&format!("data: {{a: {scalar}}}"))
                .unwrap_err()
                .message;
            assert!(
                refused.contains("Go struct field ConfigMap.data of type string"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_duplicate_key_is_an_error_that_names_the_line() {
        let refused = decode("data:\n  a: x\n  a: y\n").unwrap_err();
        assert_eq!(refused.code, http::StatusCode::BAD_REQUEST);
        assert!(refused.message.contains("line 3"), "{}", refused.message);
        assert!(!refused.message.contains("Options"), "{}", refused.message);
    }
}
