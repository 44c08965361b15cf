// Lists the Pods of all namespaces with the official JavaScript client, exactly as a program in a Pod does.
//
//   npm install --prefix examples/1-official-clients/javascript
//   inpod run --cluster-role view -- node examples/1-official-clients/javascript/main.js

import { ApiException, CoreV1Api, KubeConfig } from "@kubernetes/client-node";

const config = new KubeConfig();
config.loadFromCluster();
const core = config.makeApiClient(CoreV1Api);

for (const pod of (await core.listPodForAllNamespaces()).items) {
  console.log(`${pod.status.podIP}\t${pod.metadata.namespace}\t${pod.metadata.name}`);
}
try {
  await core.readNamespacedPod({ name: "example-xxxxx", namespace: "default" });
} catch (error) {
  if (!(error instanceof ApiException) || error.code !== 404) {
    throw error;
  }
  console.log("Pod example-xxxxx not found in default namespace");
}
