"""Does what programs do with lightkube, and prints one line for each operation.

Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.
"""

import sys

from lightkube import ApiError, Client, KubeConfig, codecs
from lightkube.config.models import Cluster, User
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.authentication_v1 import TokenRequestSpec
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import ConfigMap, ServiceAccountToken
from lightkube.types import PatchType

NAMESPACE = "default"
YAML = """
kind: ConfigMap
apiVersion: v1
metadata: {name: from-yaml}
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: from-yaml}
"""


def in_cluster_configuration(_):
    list(Client().list(ConfigMap, namespace=NAMESPACE))


def create(client):
    client.create(config_map("lightkube", key="value"))


def create_where_the_name_is_taken(client):
    expect(409, lambda: create(client))


def get(client):
    assert client.get(ConfigMap, "lightkube", namespace=NAMESPACE).data == {"key": "value"}


def get_what_is_not_there(client):
    expect(404, lambda: client.get(ConfigMap, "nobody", namespace=NAMESPACE))


def list_in_chunks(client):
    names = [item.metadata.name for item in client.list(ConfigMap, namespace=NAMESPACE, chunk_size=1)]
    assert names == ["kube-root-ca.crt", "lightkube"], names


def list_by_label(client):
    client.create(config_map("labelled", labels={"app": "a"}))
    names = [item.metadata.name for item in client.list(ConfigMap, namespace=NAMESPACE, labels={"app": ["a", "b"]})]
    assert names == ["labelled"], names


def replace(client):
    current = client.get(ConfigMap, "lightkube", namespace=NAMESPACE)
    current.data["key"] = "replaced"
    assert client.replace(current).data["key"] == "replaced"


def strategic_merge_patch(client):
    patch(client, "strategic", {"data": {"strategic": "1"}}, PatchType.STRATEGIC)


def merge_patch(client):
    patch(client, "merge", {"data": {"merge": "1"}}, PatchType.MERGE)


def json_patch(client):
    patch(client, "json", [{"op": "add", "path": "/data/json", "value": "1"}], PatchType.JSON)


def server_side_apply(client):
    client.apply(config_map("applied", key="value"), field_manager="lightkube")


def watch(client):
    version = client.get(ConfigMap, "lightkube", namespace=NAMESPACE).metadata.resourceVersion
    client.create(config_map("watched"))
    for kind, item in client.watch(ConfigMap, namespace=NAMESPACE, resource_version=version, server_timeout=20):
        if (kind, item.metadata.name) == ("ADDED", "watched"):
            return
    raise AssertionError("the watch ended without the object")


def delete(client):
    client.delete(ConfigMap, "lightkube", namespace=NAMESPACE)
    expect(404, lambda: client.get(ConfigMap, "lightkube", namespace=NAMESPACE))


def delete_a_collection(client):
    client.deletecollection(ConfigMap, namespace=NAMESPACE)


def generic_resource(client):
    lease = create_namespaced_resource("coordination.k8s.io", "v1", "Lease", "leases")
    client.create(lease(metadata=ObjectMeta(name="generic", namespace=NAMESPACE), spec={"holderIdentity": "me"}))
    assert client.get(lease, "generic", namespace=NAMESPACE).spec["holderIdentity"] == "me"


def create_from_yaml(client):
    for item in codecs.load_all_yaml(YAML):
        client.create(item, namespace=NAMESPACE)


def token_request(client):
    spec = TokenRequestSpec(audiences=["vault"], expirationSeconds=600)
    answer = client.create(ServiceAccountToken(metadata=ObjectMeta(name="default"), spec=spec), "default", namespace=NAMESPACE)
    assert answer.status.token.count(".") == 2


def self_subject_access_review(client):
    attributes = ResourceAttributes(namespace=NAMESPACE, verb="create", resource="configmaps")
    review = SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=attributes))
    assert client.create(review).status.allowed


OPERATIONS = {
    "create": create,
    "create where the name is taken": create_where_the_name_is_taken,
    "get": get,
    "get what is not there": get_what_is_not_there,
    "list in chunks": list_in_chunks,
    "list by label": list_by_label,
    "replace": replace,
    "strategic merge patch": strategic_merge_patch,
    "merge patch": merge_patch,
    "JSON patch": json_patch,
    "server-side apply": server_side_apply,
    "watch": watch,
    "delete": delete,
    "delete a collection": delete_a_collection,
    "generic resource": generic_resource,
    "create from yaml": create_from_yaml,
    "TokenRequest": token_request,
    "SelfSubjectAccessReview": self_subject_access_review,
}


def config_map(name, labels=None, **data):
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE, labels=labels), data=data)


def patch(client, key, body, kind):
    patched = client.patch(ConfigMap, "lightkube", body, namespace=NAMESPACE, patch_type=kind)
    assert patched.data[key] == "1", patched


def expect(status, operation):
    try:
        operation()
    except ApiError as error:
        assert error.status.code == status, error
    else:
        raise AssertionError(f"not refused with {status}")


def report(name, operation, client):
    try:
        operation(client)
    except Exception as error:  # pylint: disable=broad-exception-caught
        message = f"{type(error).__name__} {error}"
        print(f"failed {name}: {' '.join(message.split())}", flush=True)
    else:
        print(f"ok {name}", flush=True)


def main():
    if len(sys.argv) > 1:
        client = Client(config=KubeConfig.from_one(cluster=Cluster(server=sys.argv[1]), user=User()))
    else:
        client = Client()
        report("in-cluster configuration", in_cluster_configuration, client)
    for name, operation in OPERATIONS.items():
        report(name, operation, client)


if __name__ == "__main__":
    main()
