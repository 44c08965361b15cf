use serde_json::{Value, json};

/// The kinds that operations are about: of each way in which kinds differ, one or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
    ServiceAccount,
    /// Whose updates must name a resourceVersion, and may create.
    Lease,
    /// With status, generation and grace periods.
    Pod,
    Service,
    /// In no namespace.
    ClusterRole,
}

pub(super) const KINDS: [Kind; 7] = [
    Kind::ConfigMap,
    Kind::Secret,
    Kind::ServiceAccount,
    Kind::Lease,
    Kind::Pod,
    Kind::Service,
    Kind::ClusterRole,
];

impl Kind {
    pub(super) fn has_status(self) -> bool {
        matches!(self, Self::Pod | Self::Service)
    }

    /// The path of the collection.
    pub(super) fn collection(self, namespace: &str) -> String {
        let (api, resource) = match self {
            Self::ConfigMap => ("api/v1", "configmaps"),
            Self::Secret => ("api/v1", "secrets"),
            Self::ServiceAccount => ("api/v1", "serviceaccounts"),
            Self::Lease => ("apis/coordination.k8s.io/v1", "leases"),
            Self::Pod => ("api/v1", "pods"),
            Self::Service => ("api/v1", "services"),
            Self::ClusterRole => {
                return "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned();
            }
        };
        format!("/{api}/namespaces/{namespace}/{resource}")
    }

    /// An object without a name. The three variants differ in what makes a difference to how the kind is treated.
    pub(super) fn object(self, variant: u8) -> Value {
        match (self, variant) {
            (Self::ConfigMap, 0) => json!({"data": {"k": "1"}}),
            (Self::ConfigMap, 1) => json!({"binaryData": {"b": "AAE="}, "immutable": false}),
            (Self::ConfigMap, _) => json!({"data": {"k": "1"}, "immutable": true}),
            (Self::Secret, 0) => json!({"stringData": {"k": "1"}}),
            (Self::Secret, 1) => json!({"type": "example.com/own", "data": {"k": "MQ=="}}),
            (Self::Secret, _) => json!({"type": "kubernetes.io/basic-auth", "data": {}}),
            (Self::ServiceAccount | Self::Lease, 0) | (Self::ClusterRole, 1) => json!({}),
            (Self::ServiceAccount, 1) => json!({"automountServiceAccountToken": false}),
            (Self::ServiceAccount, _) => json!({"imagePullSecrets": [{"name": "s"}]}),
            (Self::Lease, 1) => json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 5}}),
            (Self::Lease, _) => json!({"spec": {"leaseDurationSeconds": -1}}),
            (Self::Pod, 0) => json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
            // With a node, a Pod's deletion takes its grace period.
            (Self::Pod, 1) => json!({
                "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}]}
            }),
            (Self::Pod, _) => json!({"spec": {"containers": []}}),
            // Without cluster IPs, which are random.
            (Self::Service, 0) => json!({"spec": {"clusterIP": "None", "ports": [{"port": 80}]}}),
            (Self::Service, 1) => json!({"spec": {"clusterIP": "None", "selector": {"k": "1"}}}),
            (Self::Service, _) => {
                json!({"spec": {"type": "ExternalName", "externalName": "example.com"}})
            }
            (Self::ClusterRole, 0) => json!({
                "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
            }),
            (Self::ClusterRole, _) => {
                json!({"rules": [{"apiGroups": [""], "resources": ["pods"]}]})
            }
        }
    }

    /// A field that the kind alone has, and a value for it.
    pub(super) fn own(self, number: u8) -> (&'static str, Value) {
        match self {
            Self::ConfigMap => ("/data/k", number.to_string().into()),
            Self::Secret => ("/stringData/k", number.to_string().into()),
            Self::ServiceAccount => (
                "/automountServiceAccountToken",
                number.is_multiple_of(2).into(),
            ),
            Self::Lease => ("/spec/leaseTransitions", number.into()),
            Self::Pod => ("/spec/activeDeadlineSeconds", number.into()),
            Self::Service => ("/spec/selector/k", number.to_string().into()),
            Self::ClusterRole => (
                "/rules",
                json!([{"verbs": ["get"], "nonResourceURLs": [format!("/{number}")]}]),
            ),
        }
    }
}
