//! Who a request comes from, and what they may do.

mod bearer;
mod impersonation;
mod rbac;
mod service_account;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod x509;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use inpod::RequestInfo;

use crate::{Status, UserInfo};

pub(crate) use rbac::{Attributes, Decision, Rbac, bootstrap_objects, outdated_cluster_roles};
pub(crate) use tokens::{SigningKey, TokenPolicy, TokenSpec, Tokens};
pub(crate) use x509::PeerCertificates;

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The identity of a caller inside this process, put into a request's extensions: nothing on the wire can set it.
#[derive(Debug, Clone)]
pub(crate) struct InProcess(pub(crate) UserInfo);

/// Authenticates a request, then applies its `Impersonate-*` headers, which need a permission of their own (since v1.36 one that
/// may depend on what the request asks).
///
/// The chain: [`InProcess`], client certificate ([`PeerCertificates`]), bearer token (scheme in any case), anonymous. The first
/// credential that is good decides, and a bad one beside it does no harm; only bad ones do not make an anonymous request.
///
/// # Errors
/// 401 where credentials were sent and none is good; 403 where impersonation is not allowed; 400 where the headers ask for groups,
/// uid or extra of nobody.
pub(crate) fn authenticate(
    parts: &Parts,
    info: &RequestInfo,
    tokens: &Tokens,
    rbac: &Rbac,
) -> Result<UserInfo, Status> {
    let requestor = requestor(parts, tokens)?;
    impersonation::apply(&parts.headers, info, requestor, rbac)
}

/// Takes the credentials out of `headers`, so that nobody further down can log or use them: `Authorization`, `Impersonate-*`, and
/// `X-Remote-*`, by which only a front proxy that this server does not have could vouch for a user.
pub(crate) fn remove_credentials(headers: &mut HeaderMap) {
    let credentials: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            **name == AUTHORIZATION
                || impersonation::is_header(name.as_str())
                || name.as_str().starts_with("x-remote-")
        })
        .cloned()
        .collect();
    for name in credentials {
        headers.remove(name);
    }
}

fn requestor(parts: &Parts, tokens: &Tokens) -> Result<UserInfo, Status> {
    if let Some(InProcess(user)) = parts.extensions.get() {
        return Ok(authenticated(user.clone()));
    }
    let mut refused = false;
    if let Some(peer) = parts.extensions.get::<PeerCertificates>() {
        match peer.user(tokens.now()) {
            Ok(Some(user)) => return Ok(authenticated(user)),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a client certificate is refused");
                refused = true;
            }
        }
    }
    if let Some(token) = bearer::token(&parts.headers) {
        match tokens.verify(&token, &[]) {
            Ok((user, _)) => return Ok(user),
            Err(error) => {
                tracing::debug!(error, "a bearer token is refused");
                refused = true;
            }
        }
    }
    if refused {
        return Err(Status::unauthorized());
    }
    Ok(UserInfo::anonymous())
}

/// The user in the group of all who are known, unless they are in the other one.
fn authenticated(mut user: UserInfo) -> UserInfo {
    if user.username != ANONYMOUS
        && !user.in_group(AUTHENTICATED)
        && !user.in_group(UNAUTHENTICATED)
    {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
