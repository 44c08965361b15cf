//! Who a request comes from, and what they may do.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use inpod::RequestInfo;

use crate::schema::Json;
use crate::storage::Lookup;
use crate::{Source, Status, UserInfo};

/// The identity of a caller inside this process, put into a request's extensions: nothing on the wire can set it.
#[derive(Debug, Clone)]
pub(crate) struct InProcess(pub(crate) UserInfo);

/// The verified client certificate chain of the connection, leaf first, DER; put into a request's extensions by the wire.
#[derive(Debug, Clone)]
pub(crate) struct PeerCertificates(pub(crate) Arc<Vec<rustls_pki_types::CertificateDer<'static>>>);

/// Mints and verifies service-account tokens.
#[derive(Debug)]
pub(crate) struct Tokens {}

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
    pub(crate) service_account: (String, String),
    pub(crate) audiences: Vec<String>,
    /// Name and uid.
    pub(crate) pod: Option<(String, String)>,
    pub(crate) node: Option<(String, String)>,
    pub(crate) secret: Option<(String, String)>,
    pub(crate) issued_at: SystemTime,
    pub(crate) expiration: Duration,
    /// With the extension: `warnafter`, and an expiry of a year.
    pub(crate) extended: bool,
}

impl Tokens {
    /// A new signing key (ECDSA P-256, so ES256: a key is made in microseconds where RSA takes tenths of a second).
    pub(crate) fn new(
        _issuer: &str,
        _policy: TokenPolicy,
        _source: Arc<dyn Source>,
        _lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self {}
    }

    pub(crate) fn issuer(&self) -> &str {
        ""
    }

    pub(crate) fn policy(&self) -> TokenPolicy {
        TokenPolicy {
            minimum: Duration::from_secs(600),
            leeway: Duration::from_secs(60),
        }
    }

    /// The signed JWT.
    pub(crate) fn mint(&self, _spec: &TokenSpec) -> String {
        String::new()
    }

    /// Who the token speaks for, and which of `audiences` (the API's own where empty) it is good for.
    ///
    /// # Errors
    /// The text that a TokenReview's `status.error` has.
    pub(crate) fn verify(
        &self,
        _token: &str,
        _audiences: &[String],
    ) -> Result<(UserInfo, Vec<String>), String> {
        Err(String::new())
    }

    /// `/.well-known/openid-configuration`, with keys at `https://{host}/openid/v1/jwks`.
    pub(crate) fn openid_configuration(&self, _jwks_uri: &str) -> Json {
        Json::new()
    }

    /// `/openid/v1/jwks`.
    pub(crate) fn jwks(&self) -> Json {
        Json::new()
    }
}

/// Authenticates a request, then applies its `Impersonate-*` headers, which need a permission of their own.
///
/// The chain: [`InProcess`], client certificate, bearer token (scheme in any case), anonymous.
///
/// # Errors
/// 401 where credentials were sent and none is good; 403 where impersonation is not allowed; 400 or 500 as the real server
/// where the headers contradict each other.
pub(crate) fn authenticate(
    _parts: &http::request::Parts,
    _tokens: &Tokens,
    _rbac: &Rbac,
) -> Result<UserInfo, Status> {
    Err(Status::unauthorized())
}

/// The RBAC authorizer. Its index is rebuilt when [`Lookup::generation`] of the four RBAC kinds moves.
#[derive(Debug)]
pub(crate) struct Rbac {}

/// What is asked of the authorizer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) namespace: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// For what is no resource.
    pub(crate) path: String,
    pub(crate) is_resource_request: bool,
}

/// The authorizer's answer, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow(String),
    NoOpinion(String),
}

impl Rbac {
    pub(crate) fn new(_lookup: Arc<dyn Lookup>) -> Self {
        Self {}
    }

    /// Whether `user` may; members of `system:masters` always.
    pub(crate) fn decide(&self, _user: &UserInfo, _attributes: &Attributes) -> Decision {
        Decision::NoOpinion(String::new())
    }

    /// The 403 of a request that is not allowed, with the real server's sentence.
    pub(crate) fn authorize(&self, _user: &UserInfo, _info: &RequestInfo) -> Result<(), Status> {
        Ok(())
    }

    /// The `status` of a SelfSubjectRulesReview: `resourceRules`, `nonResourceRules`, `incomplete`.
    pub(crate) fn rules(&self, _user: &UserInfo, _namespace: &str) -> Json {
        Json::new()
    }

    /// Whether `user` holds every permission of `rules` already (or may `escalate`): what creating or binding a role needs.
    ///
    /// # Errors
    /// 403 with the rules that are missing.
    pub(crate) fn may_grant(
        &self,
        _user: &UserInfo,
        _namespace: &str,
        _rules: &[serde_json::Value],
    ) -> Result<(), String> {
        Ok(())
    }
}

impl Attributes {
    /// What a request asks.
    pub(crate) fn of(_info: &RequestInfo) -> Self {
        Self::default()
    }
}
