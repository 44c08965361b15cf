use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::claims::Claims;

/// The key that signs tokens: ECDSA P-256, so ES256.
pub(crate) struct SigningKey {
    private: EncodingKey,
    public: DecodingKey,
    /// SHA-256 of the public key's PKIX form, as kube-apiserver derives it.
    id: String,
    /// The public point's coordinates, base64url.
    x: String,
    y: String,
}

/// Why a token's signature is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// Not a JWT at all.
    Malformed,
    /// The header names a key that is not ours.
    UnknownKey,
    /// The signature is not one of this key over these bytes.
    Wrong,
}

impl SigningKey {
    /// A new key, made by the cryptographic library's own generator.
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        Self::new(&EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
    }

    /// The key of a PKCS#8 document, PEM.
    ///
    /// # Errors
    /// What is wrong with it, without a word of its content.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let document = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "no PEM block PRIVATE KEY (PKCS#8) is in it")?;
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            document.secret_pkcs8_der(),
        )
        .map_err(|_| "it is not an ECDSA key on the curve P-256")?;
        Self::new(&pair).map_err(|Unspecified| "its public half cannot be computed")
    }

    fn new(pair: &EcdsaKeyPair) -> Result<Self, Unspecified> {
        let pkix: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
        // SEC 1, 2.3.3: 0x04, then the coordinates, 32 bytes each.
        let point = pair.public_key().as_ref();
        let (x, y) = point
            .strip_prefix(&[4])
            .and_then(|xy| xy.split_at_checked(32))
            .ok_or(Unspecified)?;
        Ok(Self {
            private: EncodingKey::from_ec_der(pair.to_pkcs8v1()?.as_ref()),
            public: DecodingKey::from_ec_der(point),
            id: URL_SAFE_NO_PAD.encode(Sha256::digest(pkix.as_ref())),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// The JWT of `claims`.
    pub(super) fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private)
    }

    /// Whether this key signed the token. The algorithm is the key's, never the header's choice (RFC 8725, section 3.1).
    pub(super) fn verify(&self, token: &str) -> Result<(), SignatureError> {
        #[derive(Deserialize)]
        struct Head {
            alg: String,
            #[serde(default)]
            kid: String,
        }
        let (message, signature) = token.rsplit_once('.').ok_or(SignatureError::Malformed)?;
        let head = message.split('.').next().unwrap_or_default();
        let head: Head = decode(head).ok_or(SignatureError::Malformed)?;
        if !head.kid.is_empty() && head.kid != self.id {
            return Err(SignatureError::UnknownKey);
        }
        let genuine = head.alg == "ES256"
            && jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &self.public,
                Algorithm::ES256,
            )
            .unwrap_or(false);
        genuine.then_some(()).ok_or(SignatureError::Wrong)
    }

    /// The public key as a JWK (RFC 7517), members in the order that the real server writes them in.
    pub(super) fn jwk(&self) -> Value {
        json!({
            "use": "sig",
            "kty": "EC",
            "kid": self.id,
            "crv": "P-256",
            "alg": "ES256",
            "x": self.x,
            "y": self.y,
        })
    }
}

/// A segment of a JWT as JSON.
pub(super) fn decode<T: serde::de::DeserializeOwned>(segment: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Without the private key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
