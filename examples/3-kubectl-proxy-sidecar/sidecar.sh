#!/bin/sh
# The sidecar and the application in one Pod: the proxy holds the credentials, the application knows only http://localhost.
#
#   inpod run -- sh examples/3-kubectl-proxy-sidecar/sidecar.sh            # with `inpod proxy`
#   inpod run -- sh examples/3-kubectl-proxy-sidecar/sidecar.sh kubectl    # with the real `kubectl proxy`
set -eu

ready=$(mktemp)
"${1:-inpod}" proxy --port="${PORT:-0}" >"${ready}" &
proxy=$!
trap 'kill "${proxy}" 2>/dev/null; rm -f "${ready}"' EXIT

# The one line that kubectl proxy prints, and so inpod does.
until address=$(sed -n 's/^Starting to serve on //p' "${ready}") && [ -n "${address}" ]; do
  kill -0 "${proxy}" || exit 1
done
curl --silent --show-error "http://localhost:${address##*:}/api"
