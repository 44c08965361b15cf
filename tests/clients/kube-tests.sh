#!/bin/sh
# kube-tests.sh TESTS [URL]: the tests of a crate of kube-rs that need a cluster. They find it as a program in a Pod does; with an
# address, by a kubeconfig without credentials.
set -eu
if [ $# -gt 1 ]; then
  export KUBECONFIG="$TMPDIR/kubeconfig"
  cat >"$KUBECONFIG" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: sidecar, cluster: {server: "$2"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: sidecar, context: {cluster: sidecar, user: nobody}}]
current-context: sidecar
EOF
fi
# All at once, because some wait for what never comes. Those of client::auth are ignored for another reason.
exec env RUST_BACKTRACE=0 "$1" --ignored --test-threads=32 --skip=client::auth
