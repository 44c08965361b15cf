#!/bin/sh
# behind-proxy.sh INPOD COMMAND…: runs a command as the application beside the sidecar. It gets the address as its last argument, and
# nothing else of a Pod.
set -eu
inpod=$1
shift

# The shell that becomes the sidecar says its process id first, so that the sidecar can be ended with the command.
sh -c 'echo $$ && exec "$0" proxy --port=0' "$inpod" | {
  read -r sidecar
  read -r ready
  unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
  code=0
  "$@" "http://${ready##* }" || code=$?
  kill "$sidecar"
  exit "$code"
}
