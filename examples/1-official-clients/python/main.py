"""Lists the Pods of all namespaces with the official Python client, exactly as a program in a Pod does.

    pip install -r examples/1-official-clients/python/requirements.txt
    inpod run --cluster-role view -- python3 examples/1-official-clients/python/main.py
"""

from kubernetes import client, config
from kubernetes.client.rest import ApiException


def main() -> None:
    config.load_incluster_config()
    core = client.CoreV1Api()
    for pod in core.list_pod_for_all_namespaces(watch=False).items:
        print(f"{pod.status.pod_ip}\t{pod.metadata.namespace}\t{pod.metadata.name}")
    try:
        core.read_namespaced_pod("example-xxxxx", "default")
    except ApiException as error:
        if error.status != 404:
            raise
        print("Pod example-xxxxx not found in default namespace")


if __name__ == "__main__":
    main()
