//! What a cluster does by itself: default service accounts, `kube-root-ca.crt`, namespace deletion, the `kubernetes` Service.
