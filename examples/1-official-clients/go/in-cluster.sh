#!/bin/sh
# Builds client-go's own in-cluster example, unmodified, and runs it as if in a Pod until its first round is done.
#
#   sh examples/1-official-clients/go/in-cluster.sh      # with inpod on PATH, or INPOD=path/of/inpod
set -eu

version=${CLIENT_GO_VERSION:-v0.37.2}
bin=${GOBIN:-$(go env GOPATH)/bin}
example=${bin}/in-cluster-client-configuration
[ -x "${example}" ] || CGO_ENABLED=0 go install "k8s.io/client-go/examples/in-cluster-client-configuration@${version}"

# The example repeats itself every ten seconds for ever; its first round ends with a line about example-xxxxx.
inpod=${INPOD:-inpod}
"${inpod}" run --cluster-role view -- "${example}" | sed '/example-xxxxx/q'
