//! What a server says of itself.

mod aggregated;
mod documents;
mod health;
mod paths;

use crate::{Case, Failure, Session, get};

/// The cases of this area.
pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    [
        aggregated::CASES,
        documents::CASES,
        health::CASES,
        paths::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Shows the address that `/api` tells as the server's: a real one does not tell where it listens.
pub(super) async fn hide_address(s: &mut Session) -> Result<(), Failure> {
    let core = s.set_up(get("/api")).await?;
    let address = core.text("/serverAddressByClientCIDRs/0/serverAddress")?;
    s.hide(&address, "‹address›");
    Ok(())
}

/// Each group and version that both servers serve, with the resources of it that both serve. What only the real one has is not
/// asked for, so that it does not drown what both have.
const SERVED: &[(&str, &[&str])] = &[
    (
        "/api/v1",
        &[
            "configmaps",
            "endpoints",
            "events",
            "namespaces",
            "namespaces/finalize",
            "namespaces/status",
            "nodes",
            "nodes/status",
            "pods",
            "pods/binding",
            "pods/status",
            "secrets",
            "serviceaccounts",
            "serviceaccounts/token",
            "services",
            "services/status",
        ],
    ),
    ("/apis/events.k8s.io/v1", &["events"]),
    (
        "/apis/authentication.k8s.io/v1",
        &["selfsubjectreviews", "tokenreviews"],
    ),
    (
        "/apis/authorization.k8s.io/v1",
        &[
            "localsubjectaccessreviews",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "subjectaccessreviews",
        ],
    ),
    (
        "/apis/rbac.authorization.k8s.io/v1",
        &[
            "clusterrolebindings",
            "clusterroles",
            "rolebindings",
            "roles",
        ],
    ),
    ("/apis/coordination.k8s.io/v1", &["leases"]),
    ("/apis/discovery.k8s.io/v1", &["endpointslices"]),
];
