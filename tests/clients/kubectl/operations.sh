#!/bin/sh
# operations.sh [URL]: what people do with kubectl, one line each. Without an argument kubectl finds the API server as it does in a Pod.
# The program is KUBECTL.
server=${1:-}
export KUBECACHEDIR="${TMPDIR:-/tmp}/kubectl" KUBE_EDITOR='sed -i s/value/edited/'

k() {
  timeout 20 "$KUBECTL" ${server:+--server="$server"} "$@"
}

# try NAME PATTERN COMMAND…: passes where the command succeeds and prints the pattern.
try() {
  name=$1 expected=$2
  shift 2
  if printed=$("$@" 2>&1); then
    case $printed in
      *$expected*)
        echo "ok $name"
        return
        ;;
    esac
    printed="not printed: $expected; but: $printed"
  fi
  echo "failed $name: $(printf %s "$printed" | tr '\n' ' ')"
}

# A watch begins with what is there; the object comes when that has been seen.
watch() {
  sh -c 'echo $$ && exec timeout 20 "$@" get configmaps --watch --output=name' sh "$KUBECTL" ${server:+--server="$server"} | {
    read -r watcher
    read -r seen
    k create configmap watched >&2
    while [ "$seen" != configmap/watched ] && read -r seen; do :; done
    kill "$watcher"
    echo "$seen"
  }
}

# The object goes when kubectl has begun to watch it.
wait_for_deletion() {
  k create configmap leaving || return
  k wait --for=delete configmap/leaving --timeout=15s --v=6 2>&1 | while read -r line; do
    echo "$line"
    case $line in
      *watch=true*) k delete configmap leaving --wait=false ;;
    esac
  done
}

proxy() {
  sh -c 'echo $$ && exec timeout 20 "$@" proxy --port=0' sh "$KUBECTL" ${server:+--server="$server"} | {
    read -r proxy
    read -r ready
    KUBERNETES_SERVICE_HOST='' "$KUBECTL" --server="http://${ready##* }" get --raw /api/v1/namespaces/default
    kill "$proxy"
  }
}

# Refused: `kubectl auth can-i` says no, and ends with 1. With --as kubectl does not look for the Pod's account, so it is told.
can_i_as_another() {
  account=/var/run/secrets/kubernetes.io/serviceaccount
  ! k auth can-i list secrets --as=system:serviceaccount:default:another --server=https://kubernetes.default.svc \
    --certificate-authority="$account/ca.crt" --token="$(cat "$account/token")"
}

# apply VALUE [FLAG]
apply() {
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {key: %s}\n' "$1" | k apply --filename=- ${2:+"$2"}
}

this_pod=$(k get pods --output=name | head -n 1)

# changed FIELDS COMMAND…: what an object has after a command.
changed() {
  fields=$1
  shift
  k "$@" && k get configmap c --output=jsonpath="{$fields}"
}

try "create" "configmap/c created" k create configmap c --from-literal=key=value
try "get" "NAME*DATA*AGE*c *1" k get configmaps
try "get --output=yaml" "key: value" k get configmap c --output=yaml
try "get --selector" "configmap/kube-root-ca.crt*" k get configmaps --selector='!colour' --output=name
try "get --all-namespaces" "kube-system*" k get configmaps --all-namespaces
try "get --watch" "configmap/watched" watch
try "describe" "Data*key*value" k describe configmap c
try "label" "red" changed .metadata.labels label configmap c colour=red
try "annotate" "text" changed .metadata.annotations annotate configmap c note=text
try "patch --type=merge" '"merged":"1"' changed .data patch configmap c --type=merge --patch='{"data":{"merged":"1"}}'
try "patch --type=json" '"added":"2"' changed .data patch configmap c --type=json --patch='[{"op":"add","path":"/data/added","value":"2"}]'
try "patch --type=strategic" '"strategic":"3"' changed .data patch configmap c --patch='{"data":{"strategic":"3"}}'
try "edit" '"key":"edited"' changed .data edit configmap c
try "apply (new)" "configmap/applied created" apply value
try "apply (there)" "configmap/applied configured" apply changed
try "apply --server-side" "serverside-applied" apply value --server-side
try "explain" "KIND: *Pod*" k explain pod.spec
try "delete" 'configmap "c" deleted' k delete configmap c
try "wait --for=jsonpath" "condition met" k wait --for=jsonpath='{.status.phase}'=Active namespace/default --timeout=15s
try "wait --for=delete" "configmap/leaving condition met" wait_for_deletion
try "create token" "ey*.ey*." k create token default
try "auth can-i" "yes" k auth can-i create pods
try "auth can-i --list" "selfsubjectaccessreviews.authorization.k8s.io" k auth can-i --list
try "auth whoami" "system:serviceaccount:default:default" k auth whoami
try "api-resources" "configmaps *cm *v1 *true *ConfigMap*" k api-resources
try "version" "Server Version: v1.37" k version
try "proxy" '"name":"default"' proxy
try "logs" "" k logs "$this_pod"
try "exec" "here" k exec "$this_pod" -- echo here
# The sidecar asks as itself alone, so this has no meaning behind it.
[ -n "$server" ] || try "--as" "no" can_i_as_another
