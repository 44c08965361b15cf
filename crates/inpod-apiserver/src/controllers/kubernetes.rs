//! The Service `kubernetes` in `default`, and where it leads: to this server.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::local::{Local, Refused};
use crate::core::Core;
use crate::storage::Lookup as _;
use crate::wire::Door;

/// The name of the Service and of its `EndpointSlice`.
pub(super) const NAME: &str = "kubernetes";
/// The first address of kubeadm's default service range.
const CLUSTER_IP: &str = "10.96.0.1";

/// Keeps the two as they are to be.
#[derive(Debug)]
pub(super) struct KubernetesService {
    core: Arc<Core>,
    apiserver: Local,
    address: SocketAddr,
}

impl KubernetesService {
    pub(super) fn new(door: &Arc<Door>, address: SocketAddr) -> Self {
        Self {
            core: door.core().clone(),
            apiserver: Local::apiserver(door.clone()),
            address,
        }
    }

    /// Puts back what is missing.
    pub(super) async fn reconcile(&self) -> Result<(), Refused> {
        let is_there = |group, resource| {
            self.core
                .store
                .get(group, resource, "default", NAME)
                .is_some()
        };
        if !is_there("", "services") {
            let path = "/api/v1/namespaces/default/services";
            self.apiserver.create(path, &self.service()).await?;
        }
        if !is_there("discovery.k8s.io", "endpointslices") {
            let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
            self.apiserver.create(path, &self.endpoint_slice()).await?;
        }
        Ok(())
    }

    fn service(&self) -> Value {
        json!({
            "metadata": {
                "name": NAME,
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": CLUSTER_IP,
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
                "sessionAffinity": "None",
                "ports": [{
                    "name": "https",
                    "protocol": "TCP",
                    "port": 443,
                    "targetPort": self.address.port(),
                }],
            },
        })
    }

    fn endpoint_slice(&self) -> Value {
        json!({
            "metadata": {
                "name": NAME,
                "labels": {"kubernetes.io/service-name": NAME},
            },
            "addressType": if self.address.is_ipv4() { "IPv4" } else { "IPv6" },
            "endpoints": [{
                "addresses": [self.address.ip().to_string()],
                "conditions": {"ready": true},
            }],
            "ports": [{"name": "https", "port": self.address.port(), "protocol": "TCP"}],
        })
    }
}
