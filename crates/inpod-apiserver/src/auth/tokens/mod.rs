//! Service-account tokens: JWTs (RFC 7519), bound to the objects they were made for.

mod cache;
mod claims;
mod key;
mod liveness;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json;

use self::cache::Verified;
use self::claims::{Claims, Kubernetes, Reference};
use self::key::SignatureError;
pub(crate) use self::key::SigningKey;
use super::service_account;
use crate::breaks::{self, Break};
use crate::quote::quoted_list;
use crate::schema::Json;
use crate::storage::Lookup;
use crate::{Source, UserInfo};

/// How long a token really lives when it asks for the extension: kubelet's 3607 seconds are a request for this.
const EXTENDED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Mints and verifies service-account tokens.
///
/// A real server remembers for 10 s that a token was good. This one looks at the bound objects every time, so that a token dies
/// with its Pod, at once.
#[derive(Debug)]
pub(crate) struct Tokens {
    issuer: String,
    policy: TokenPolicy,
    source: Arc<dyn Source>,
    lookup: Arc<dyn Lookup>,
    key: Arc<SigningKey>,
    verified: Verified,
}

/// How long tokens may and must live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenPolicy {
    /// The shortest `expirationSeconds` a request may ask for; 600 s on a real server.
    pub(crate) minimum: Duration,
    /// How long past its expiry a token still passes; 60 s on a real server.
    pub(crate) leeway: Duration,
}

/// What a token is minted for.
#[derive(Debug, Clone)]
pub(crate) struct TokenSpec {
    pub(crate) namespace: String,
    /// Name and uid.
    pub(crate) service_account: (String, String),
    pub(crate) audiences: Vec<String>,
    /// Name and uid.
    pub(crate) pod: Option<(String, String)>,
    /// Name and uid.
    pub(crate) node: Option<(String, String)>,
    /// Name and uid.
    pub(crate) secret: Option<(String, String)>,
    pub(crate) issued_at: SystemTime,
    pub(crate) expiration: Duration,
    /// With the extension: `warnafter`, and an expiry of a year.
    pub(crate) extended: bool,
}

impl Tokens {
    /// Signs with `key`, or with a new one (ECDSA P-256, so ES256: a key is made in microseconds where RSA takes tenths of a
    /// second).
    pub(crate) fn new(
        issuer: &str,
        key: Option<Arc<SigningKey>>,
        policy: TokenPolicy,
        source: Arc<dyn Source>,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self {
            issuer: issuer.to_owned(),
            policy,
            source,
            lookup,
            key: key.unwrap_or_else(|| {
                let new = SigningKey::generate().expect(
                    "a P-256 key can always be made once the random number generator is seeded",
                );
                Arc::new(new)
            }),
            verified: Verified::default(),
        }
    }

    /// The `iss` of its tokens, which is also the audience of the API itself.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn policy(&self) -> TokenPolicy {
        self.policy
    }

    /// The time that tokens and client certificates are judged by.
    pub(crate) fn now(&self) -> SystemTime {
        self.source.now()
    }

    /// The signed JWT.
    pub(crate) fn mint(&self, spec: &TokenSpec) -> String {
        let issued_at = seconds(spec.issued_at);
        let asked = issued_at + spec.expiration.as_secs();
        let (name, _) = &spec.service_account;
        let claims = Claims {
            aud: spec.audiences.clone(),
            exp: if spec.extended {
                issued_at + EXTENDED.as_secs()
            } else {
                asked
            },
            iat: issued_at,
            iss: self.issuer.clone(),
            jti: self.source.uid(),
            kubernetes: Kubernetes {
                namespace: spec.namespace.clone(),
                node: spec.node.as_ref().map(Reference::from),
                pod: spec.pod.as_ref().map(Reference::from),
                secret: spec.secret.as_ref().map(Reference::from),
                serviceaccount: Reference::from(&spec.service_account),
                warnafter: spec.extended.then_some(asked),
            },
            nbf: issued_at,
            sub: service_account::username(&spec.namespace, name),
        };
        self.key
            .sign(&claims)
            .expect("strings and numbers are JSON, and the key is of the algorithm")
    }

    /// Who the token speaks for, and which of `audiences` (the API's own where empty) it is good for.
    ///
    /// # Errors
    /// The text that a `TokenReview`'s `status.error` has.
    pub(crate) fn verify(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<(UserInfo, Vec<String>), String> {
        // As a header is trimmed, so is a TokenReview's token, which often comes from a file.
        self.check(token.trim_end(), audiences)
            .map_err(|error| match error {
                TokenError::Foreign => error.to_string(),
                _ => format!("[{}, {error}]", TokenError::Foreign),
            })
    }

    /// `/.well-known/openid-configuration`, with keys at `jwks_uri`.
    pub(crate) fn openid_configuration(&self, jwks_uri: &str) -> Json {
        Json::from_iter([
            ("issuer".into(), json!(self.issuer)),
            ("jwks_uri".into(), json!(jwks_uri)),
            ("response_types_supported".into(), json!(["id_token"])),
            ("subject_types_supported".into(), json!(["public"])),
            (
                "id_token_signing_alg_values_supported".into(),
                json!(["ES256"]),
            ),
        ])
    }

    /// `/openid/v1/jwks`.
    pub(crate) fn jwks(&self) -> Json {
        Json::from_iter([("keys".into(), json!([self.key.jwk()]))])
    }

    fn check(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<(UserInfo, Vec<String>), TokenError> {
        let claims = self.verified.get_or(token, || self.signed_claims(token))?;
        let own = std::slice::from_ref(&self.issuer);
        let wanted = if audiences.is_empty() { own } else { audiences };
        let good_for: Vec<String> = wanted
            .iter()
            .filter(|audience| claims.aud.contains(audience))
            .cloned()
            .collect();
        if good_for.is_empty() && !breaks::is_on(Break::AnyAudience) {
            return Err(TokenError::Audience {
                token: claims.aud.clone(),
                wanted: wanted.to_vec(),
            });
        }
        let now = self.now();
        let leeway = self.policy.leeway;
        if now + leeway < at(claims.nbf) {
            return Err(TokenError::NotYetValid);
        }
        if now > at(claims.exp) + leeway && !breaks::is_on(Break::ExpiredToken) {
            return Err(TokenError::Expired);
        }
        if now + leeway < at(claims.iat) {
            return Err(TokenError::FromTheFuture);
        }
        if !breaks::is_on(Break::DeadPodToken) {
            liveness::check(&*self.lookup, now, &claims.kubernetes)?;
        }
        Ok((user(&claims), good_for))
    }

    /// The claims, once issuer and signature are found to be this server's.
    fn signed_claims(&self, token: &str) -> Result<Claims, TokenError> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        let mut segments = token.split('.');
        let (Some(_), Some(payload), Some(_), None) = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) else {
            return Err(TokenError::Foreign);
        };
        let issuer: Issuer = key::decode(payload).ok_or(TokenError::Foreign)?;
        if issuer.iss != self.issuer {
            return Err(TokenError::Foreign);
        }
        self.key.verify(token).map_err(|error| match error {
            SignatureError::Malformed => TokenError::Foreign,
            SignatureError::UnknownKey => TokenError::UnknownKey,
            SignatureError::Wrong => TokenError::Signature,
        })?;
        key::decode(payload).ok_or(TokenError::Foreign)
    }
}

/// Why a token is not taken, in the real server's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum TokenError {
    #[error("invalid bearer token")]
    Foreign,
    #[error("invalid signature, no keys found")]
    UnknownKey,
    #[error("go-jose/go-jose: error in cryptographic primitive")]
    Signature,
    #[error(
        "token audiences {} is invalid for the target audiences {}",
        quoted_list(token),
        quoted_list(wanted)
    )]
    Audience {
        token: Vec<String>,
        wanted: Vec<String>,
    },
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotYetValid,
    #[error("service account token is issued in the future")]
    FromTheFuture,
    #[error("serviceaccounts \"{0}\" not found")]
    NoServiceAccount(String),
    #[error("service account UID ({now}) does not match claim ({claimed})")]
    ServiceAccountUid { now: String, claimed: String },
    #[error("service account {0} has been deleted")]
    ServiceAccountDeleted(String),
    #[error("{kind} UID ({now}) does not match service account {kind} ref claim ({claimed})")]
    BoundUid {
        kind: &'static str,
        now: String,
        claimed: String,
    },
    #[error("service account token has been invalidated")]
    Invalidated,
}

fn user(claims: &Claims) -> UserInfo {
    let bound = &claims.kubernetes;
    let mut user = UserInfo {
        username: service_account::username(&bound.namespace, &bound.serviceaccount.name),
        uid: bound.serviceaccount.uid.clone(),
        groups: service_account::groups(&bound.namespace).into(),
        ..UserInfo::default()
    };
    user.groups.push(super::AUTHENTICATED.to_owned());
    let mut extra = |key: &str, value: String| {
        user.extra
            .insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
    };
    extra("credential-id", format!("JTI={}", claims.jti));
    if let Some(pod) = &bound.pod {
        extra("pod-name", pod.name.clone());
        extra("pod-uid", pod.uid.clone());
    }
    if let Some(node) = &bound.node {
        extra("node-name", node.name.clone());
        extra("node-uid", node.uid.clone());
    }
    user
}

/// Seconds since 1970, as a JWT's `NumericDate`.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
