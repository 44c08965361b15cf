use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on. Clients may not look inside, but tools do: it is the real server's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Always [`VERSION`].
    v: String,
    /// The revision of the list; negative for whatever is there when it goes on.
    pub(super) rv: i64,
    /// The first key that is still to come, below the namespace of the list where it has one.
    pub(super) start: String,
}

impl Token {
    /// The token of a list at `revision` that goes on after the object at `key`.
    pub(super) fn after(key: &str, revision: u64) -> Self {
        Self {
            v: VERSION.to_owned(),
            rv: i64::try_from(revision).unwrap_or(i64::MAX),
            start: format!("{key}\0"),
        }
    }

    /// The token that goes on in the same place with what is there by then.
    pub(super) fn at_newest(self) -> Self {
        Self { rv: -1, ..self }
    }

    pub(super) fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token.
    ///
    /// # Errors
    /// Why it is none, as the real server says it.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        let invalid = |why: &dyn std::fmt::Display| format!("continue key is not valid: {why}");
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|e| invalid(&e))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|e| invalid(&e))?;
        if token.v != VERSION {
            return Err(invalid(&format!(
                "server does not recognize this encoded version {}",
                token.v
            )));
        }
        if token.rv == 0 {
            return Err(invalid(
                &"incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
        if token.start.is_empty() {
            return Err(invalid(&"encoded start key empty (version meta.k8s.io/v1)"));
        }
        // Keys are compared, never resolved, but the real server refuses these.
        if token
            .start
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(invalid(&token.start));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_token_makes_the_server_panic(text in ".*", start in ".*", rv: i64) {
            let _ = Token::decode(&text);
            let token = Token { v: VERSION.to_owned(), rv, start };
            if let Ok(decoded) = Token::decode(&token.encode()) {
                prop_assert_eq!(decoded, token);
            }
        }
    }
}
