#!/bin/sh
# Asks the API server for its versions with nothing but a shell and curl, as any container of a Pod can.
#
#   inpod run -- sh examples/4-without-proxy/access-api.sh

APISERVER=https://kubernetes.default.svc
SERVICEACCOUNT=/var/run/secrets/kubernetes.io/serviceaccount
NAMESPACE=$(cat ${SERVICEACCOUNT}/namespace)
TOKEN=$(cat ${SERVICEACCOUNT}/token)
CACERT=${SERVICEACCOUNT}/ca.crt

command -v curl >/dev/null || {
  echo "this script needs curl; without it: inpod run -- inpod api /api" >&2
  exit 1
}
echo "asking ${APISERVER} as a Pod of the namespace ${NAMESPACE}" >&2
curl --silent --show-error --cacert ${CACERT} --header "Authorization: Bearer ${TOKEN}" -X GET ${APISERVER}/api
