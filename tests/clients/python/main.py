"""Does what programs do with the official Python client, and prints one line for each operation.

Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.
"""

import os
import queue
import sys
import threading

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.informer import ADDED, DELETED, SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

NAMESPACE = "default"
PATIENCE = 20  # seconds


def in_cluster_configuration():
    config.load_incluster_config()
    client.CoreV1Api().list_namespaced_pod(NAMESPACE)


def create():
    core().create_namespaced_config_map(NAMESPACE, config_map("python", key="value"))


def create_where_the_name_is_taken():
    expect(409, create)


def read():
    assert core().read_namespaced_config_map("python", NAMESPACE).data == {"key": "value"}


def read_what_is_not_there():
    expect(404, lambda: core().read_namespaced_config_map("nobody", NAMESPACE))


def list_in_pages():
    first = core().list_namespaced_config_map(NAMESPACE, limit=1)
    rest = core().list_namespaced_config_map(NAMESPACE, _continue=first.metadata._continue)
    names = [item.metadata.name for item in first.items + rest.items]
    assert names == ["kube-root-ca.crt", "python"], names


def replace():
    current = core().read_namespaced_config_map("python", NAMESPACE)
    current.data["key"] = "replaced"
    assert core().replace_namespaced_config_map("python", NAMESPACE, current).data["key"] == "replaced"


def json_patch():
    patch = [{"op": "add", "path": "/data/json", "value": "1"}]
    assert core().patch_namespaced_config_map("python", NAMESPACE, patch).data["json"] == "1"


def patch():
    """An object as patch, without another word: a strategic merge patch."""
    patched = core().patch_namespaced_config_map("python", NAMESPACE, {"data": {"strategic": "1"}})
    assert patched.data["strategic"] == "1", patched


def merge_patch():
    patched = core().patch_namespaced_config_map(
        "python", NAMESPACE, {"data": {"merge": "1"}}, _content_type="application/merge-patch+json"
    )
    assert patched.data["merge"] == "1", patched


def server_side_apply():
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"key": "value"}}
    core().patch_namespaced_config_map(
        "applied", NAMESPACE, body, field_manager="python", _content_type="application/apply-patch+yaml"
    )


def watch_from_a_list():
    version = core().list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core().create_namespaced_config_map(NAMESPACE, config_map("watched"))
    watcher = watch.Watch()
    for event in watcher.stream(
        core().list_namespaced_config_map, NAMESPACE, resource_version=version, timeout_seconds=PATIENCE
    ):
        if event["type"] == "ADDED" and event["object"].metadata.name == "watched":
            watcher.stop()
            return
    raise AssertionError("the watch ended without the object")


def delete():
    core().delete_namespaced_config_map("python", NAMESPACE)


def informer():
    added, deleted = queue.Queue(), queue.Queue()
    maps = SharedInformer(core().list_namespaced_config_map, namespace=NAMESPACE)
    maps.add_event_handler(ADDED, lambda item: added.put(item.metadata.name))
    maps.add_event_handler(DELETED, lambda item: deleted.put(item.metadata.name))
    maps.start()
    await_name(added, "kube-root-ca.crt")
    core().create_namespaced_config_map(NAMESPACE, config_map("informed"))
    await_name(added, "informed")
    assert maps.cache.get_by_key(f"{NAMESPACE}/informed") is not None
    core().delete_namespaced_config_map("informed", NAMESPACE)
    await_name(deleted, "informed")


def dynamic_client():
    maps = dynamic.DynamicClient(api()).resources.get(api_version="v1", kind="ConfigMap")
    maps.create(body={"metadata": {"name": "dynamic"}, "data": {"key": "value"}}, namespace=NAMESPACE)
    assert maps.get(name="dynamic", namespace=NAMESPACE).data.key == "value"
    maps.delete(name="dynamic", namespace=NAMESPACE)


def create_from_yaml():
    utils.create_from_dict(
        api(),
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                {"apiVersion": "v1", "kind": kind, "metadata": {"name": "from-yaml"}} for kind in ("ConfigMap", "ServiceAccount")
            ],
        },
    )


def token_request():
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=["vault"], expiration_seconds=600)
    )
    answer = core().create_namespaced_service_account_token("default", NAMESPACE, request)
    assert answer.status.token.count(".") == 2


def self_subject_access_review():
    attributes = client.V1ResourceAttributes(namespace=NAMESPACE, verb="create", resource="configmaps")
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    )
    assert client.AuthorizationV1Api(api()).create_self_subject_access_review(review).status.allowed


def leader_election():
    leads = threading.Event()
    election = electionconfig.Config(
        LeaseLock("leader", NAMESPACE, "python"),
        lease_duration=3,
        renew_deadline=2,
        retry_period=1,
        onstarted_leading=leads.set,
        onstopped_leading=None,
    )
    threading.Thread(target=leaderelection.LeaderElection(election).run, daemon=True).start()
    assert leads.wait(PATIENCE), "nobody leads"


OPERATIONS = {
    "create": create,
    "create where the name is taken": create_where_the_name_is_taken,
    "read": read,
    "read what is not there": read_what_is_not_there,
    "list in pages": list_in_pages,
    "replace": replace,
    "JSON patch": json_patch,
    "strategic merge patch": patch,
    "merge patch": merge_patch,
    "server-side apply": server_side_apply,
    "watch": watch_from_a_list,
    "delete": delete,
    "informer": informer,
    "dynamic client": dynamic_client,
    "create from yaml": create_from_yaml,
    "TokenRequest": token_request,
    "SelfSubjectAccessReview": self_subject_access_review,
    "leader election": leader_election,
}


def api():
    return client.ApiClient()


def core():
    return client.CoreV1Api(api())


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def expect(status, operation):
    try:
        operation()
    except ApiException as error:
        assert error.status == status, error
    else:
        raise AssertionError(f"not refused with {status}")


def await_name(names, name):
    while names.get(timeout=PATIENCE) != name:
        pass


def report(name, operation):
    try:
        operation()
    except ApiException as error:
        message = f"{error.status} {error.body}"
    except Exception as error:  # pylint: disable=broad-exception-caught
        message = f"{type(error).__name__} {error}"
    else:
        print(f"ok {name}", flush=True)
        return
    print(f"failed {name}: {' '.join(message.split())}", flush=True)


def main():
    if len(sys.argv) > 1:
        client.Configuration.set_default(client.Configuration(host=sys.argv[1]))
    else:
        report("in-cluster configuration", in_cluster_configuration)
    for name, operation in OPERATIONS.items():
        report(name, operation)
    # This client's informer and leader election have no way to end their threads, which the interpreter would wait for or trip over.
    os._exit(0)


if __name__ == "__main__":
    main()
