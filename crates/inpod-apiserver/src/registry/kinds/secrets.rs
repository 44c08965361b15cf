//! Secrets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::config_maps::{MAX_SIZE, decoded_len, immutability, key_problems};
use super::{age, column, field};
use crate::Cause;
use crate::registry::json::Fields as _;
use crate::registry::{Column, Strategy};
use crate::schema::Json;

/// The strategy of Secrets.
pub(super) struct Secrets;

impl Strategy for Secrets {
    fn default(&self, secret: &mut Json) {
        encode_strings(secret);
        secret.default_to("type", "Opaque");
    }

    fn validate(&self, secret: &Json) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut size = 0;
        for (key, value) in secret.map("data").into_iter().flatten() {
            causes.extend(key_problems("data", key));
            size += decoded_len(value);
        }
        if size > MAX_SIZE {
            causes.push(field::too_long("data", MAX_SIZE));
        }
        causes.extend(type_problems(secret));
        causes
    }

    fn validates_update_first(&self) -> bool {
        true
    }

    fn validate_update(&self, secret: &Json, old: &Json) -> Vec<Cause> {
        let mut causes = field::immutable("type", secret.at("type"), old.at("type"));
        causes.extend(immutability(secret, old, &["data"]));
        causes
    }

    fn fields(&self, secret: &Json) -> Vec<(&'static str, String)> {
        vec![("type", secret.text("type").to_owned())]
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::NAME, column("Type"), column("Data"), Column::AGE];
        COLUMNS
    }

    fn cells(&self, secret: &Json, now: i64) -> Vec<Value> {
        vec![
            super::name(secret),
            secret.text("type").into(),
            secret.map("data").map_or(0, Json::len).into(),
            age::age(secret, now),
        ]
    }
}

/// `stringData` is a way to write `data` without base64; it is never read back.
fn encode_strings(secret: &mut Json) {
    let Some(Value::Object(strings)) = secret.take("stringData") else {
        return;
    };
    for (key, value) in strings {
        if let Value::String(text) = value {
            let encoded = BASE64_STANDARD.encode(text);
            secret.map_mut("data").insert(key, encoded.into());
        }
    }
}

/// The keys and annotations that a Secret of its type must have.
fn type_problems(secret: &Json) -> Vec<Cause> {
    let data = secret.map("data");
    let value = |key: &str| data.and_then(|data| data.get(key)).and_then(Value::as_str);
    let missing = |key: &str| field::required(format!("data[{key}]"), "");
    let json = |key: &str| match value(key) {
        None => vec![missing(key)],
        Some(encoded) => json_problem(encoded)
            .map(|why| field::invalid(format!("data[{key}]"), "<secret contents redacted>", &why))
            .into_iter()
            .collect(),
    };
    match secret.text("type") {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            let named = secret
                .map("metadata.annotations")
                .is_some_and(|annotations| annotations.get(annotation).is_some_and(|v| v != ""));
            if named {
                Vec::new()
            } else {
                vec![field::required(
                    format!("metadata.annotations[{annotation}]"),
                    "",
                )]
            }
        }
        "kubernetes.io/dockercfg" => json(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json(".dockerconfigjson"),
        "kubernetes.io/basic-auth" if value("username").or(value("password")).is_none() => {
            vec![missing("username"), missing("password")]
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").unwrap_or_default().is_empty() => {
            vec![missing("ssh-privatekey")]
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"]
            .into_iter()
            .filter(|key| value(key).is_none())
            .map(missing)
            .collect(),
        _ => Vec::new(),
    }
}

/// Why the bytes are no JSON object; never with a part of them.
fn json_problem(encoded: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let error = serde_json::from_slice::<Json>(&bytes).err()?;
    Some(format!(
        "invalid JSON at line {} column {}",
        error.line(),
        error.column()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn strings_are_encoded_and_win_over_data() {
        let mut secret =
            object(json!({"data": {"k": "b2xk", "l": "bA=="}, "stringData": {"k": "new"}}));
        Secrets.default(&mut secret);
        assert_eq!(
            Value::Object(secret),
            json!({"data": {"k": "bmV3", "l": "bA=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn a_token_secret_names_its_account() {
        let mut secret = object(json!({"type": "kubernetes.io/service-account-token"}));
        let causes = Secrets.validate(&secret);
        assert_eq!(
            causes[0].field,
            "metadata.annotations[kubernetes.io/service-account.name]"
        );
        secret
            .map_mut("metadata.annotations")
            .insert("kubernetes.io/service-account.name".into(), "a".into());
        assert!(Secrets.validate(&secret).is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_without_it() {
        let secret = object(json!({
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": BASE64_STANDARD.encode("hunter2")},
        }));
        let causes = Secrets.validate(&secret);
        assert_eq!(causes.len(), 1);
        assert!(!causes[0].message.contains("hunter2"));
        assert!(causes[0].message.contains("<secret contents redacted>"));
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let secret = object(json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}));
        let causes = Secrets.validate(&secret);
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].field, "data[tls.key]");
    }

    #[test]
    fn the_type_stays() {
        let old = object(json!({"type": "Opaque"}));
        let new = object(json!({"type": "kubernetes.io/tls"}));
        assert_eq!(
            Secrets.validate_update(&new, &old)[0].message,
            r#"Invalid value: "kubernetes.io/tls": field is immutable"#
        );
    }
}
