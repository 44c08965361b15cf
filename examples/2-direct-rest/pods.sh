#!/bin/sh
# Direct REST with discovery and authentication done: lists this namespace's Pods, then watches what happens to a ConfigMap.
#
#   inpod run --role edit -- sh examples/2-direct-rest/pods.sh
set -eu

namespace=$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace)
inpod api "/api/v1/namespaces/${namespace}/pods"

inpod api "/api/v1/namespaces/${namespace}/configmaps" -d '{
  "apiVersion": "v1",
  "kind": "ConfigMap",
  "metadata": {"name": "greeting"},
  "data": {"text": "hello"}
}' >/dev/null

# What is there comes first; the watch ends by itself after a second.
inpod api --watch "/api/v1/namespaces/${namespace}/configmaps?fieldSelector=metadata.name=greeting&timeoutSeconds=1"
