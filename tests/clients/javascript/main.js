// Does what programs do with the official JavaScript client, and prints one line for each operation.
//
// Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.

import {
  ApiException,
  AuthorizationV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  Watch,
  makeInformer,
  setHeaderOptions,
} from "@kubernetes/client-node";

const namespace = "default";
const patience = 20_000; // milliseconds
const address = process.argv[2];

/** Names in the order in which they were seen. */
class Names {
  #seen = [];
  #wake = () => {};

  put(name) {
    this.#seen.push(name);
    this.#wake();
  }

  async take(name) {
    const end = AbortSignal.timeout(patience);
    while (!this.#seen.includes(name)) {
      await new Promise((resolve, reject) => {
        this.#wake = resolve;
        end.onabort = () => reject(new Error(`${name} was never seen`));
      });
    }
  }
}

const config = new KubeConfig();
if (address === undefined) {
  await operation("in-cluster configuration", async () => {
    config.loadFromCluster();
    await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
  });
} else {
  // This client takes no http: address otherwise.
  config.loadFromClusterAndUser({ name: "sidecar", server: address, skipTLSVerify: true }, { name: "nobody" });
}
const core = config.makeApiClient(CoreV1Api);
const map = { namespace, name: "javascript" };

await operation("create", () => core.createNamespacedConfigMap({ namespace, body: configMap("javascript") }));
await operation("create where the name is taken", () =>
  refused(409, core.createNamespacedConfigMap({ namespace, body: configMap("javascript") })),
);
await operation("read", async () => equal((await core.readNamespacedConfigMap(map)).data.key, "value"));
await operation("read what is not there", () => refused(404, core.readNamespacedConfigMap({ namespace, name: "nobody" })));
await operation("list in pages", async () => {
  const first = await core.listNamespacedConfigMap({ namespace, limit: 1 });
  const rest = await core.listNamespacedConfigMap({ namespace, _continue: first.metadata._continue });
  equal([...first.items, ...rest.items].map((item) => item.metadata.name).join(), "javascript,kube-root-ca.crt");
});
await operation("replace", async () => {
  const body = await core.readNamespacedConfigMap(map);
  body.data.key = "replaced";
  equal((await core.replaceNamespacedConfigMap({ ...map, body })).data.key, "replaced");
});
await operation("JSON patch", async () => {
  const body = [{ op: "add", path: "/data/json", value: "1" }];
  equal((await core.patchNamespacedConfigMap({ ...map, body })).data.json, "1");
});
for (const [name, strategy, fieldManager] of [
  ["merge patch", PatchStrategy.MergePatch],
  ["strategic merge patch", PatchStrategy.StrategicMergePatch],
  ["server-side apply", PatchStrategy.ServerSideApply, "javascript"],
]) {
  await operation(name, async () => {
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "javascript" }, data: { patched: name } };
    const options = setHeaderOptions("Content-Type", strategy);
    equal((await core.patchNamespacedConfigMap({ ...map, body, fieldManager }, options)).data.patched, name);
  });
}
await operation("objects of any kind", async () => {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "any" } };
  await objects.create(object);
  await objects.read(object);
  await objects.delete(object);
});
await operation("patch of an object of any kind", async () => {
  // Without another word: a strategic merge patch.
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: map, data: { any: "1" } };
  equal((await KubernetesObjectApi.makeApiClient(config).patch(object)).data.any, "1");
});
await operation("watch", async () => {
  const { resourceVersion } = (await core.listNamespacedConfigMap({ namespace })).metadata;
  await core.createNamespacedConfigMap({ namespace, body: configMap("watched") });
  const events = new Names();
  const watch = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { resourceVersion },
    (type, object) => events.put(`${type} ${object.metadata.name}`),
    () => {},
  );
  await events.take("ADDED watched");
  watch.abort();
});
await operation("informer", async () => {
  const [added, deleted] = [new Names(), new Names()];
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  informer.on("add", (object) => added.put(object.metadata.name));
  informer.on("delete", (object) => deleted.put(object.metadata.name));
  await informer.start();
  await added.take("kube-root-ca.crt");
  await core.createNamespacedConfigMap({ namespace, body: configMap("informed") });
  await added.take("informed");
  equal(informer.get("informed", namespace).data.key, "value");
  await core.deleteNamespacedConfigMap({ namespace, name: "informed" });
  await deleted.take("informed");
  await informer.stop();
});
await operation("delete", () => core.deleteNamespacedConfigMap(map));
await operation("TokenRequest", async () => {
  const body = { spec: { audiences: ["vault"], expirationSeconds: 600 } };
  const answer = await core.createNamespacedServiceAccountToken({ namespace, name: "default", body });
  equal(answer.status.token.split(".").length, 3);
});
await operation("SelfSubjectAccessReview", async () => {
  const body = { spec: { resourceAttributes: { namespace, verb: "create", resource: "configmaps" } } };
  const review = await config.makeApiClient(AuthorizationV1Api).createSelfSubjectAccessReview({ body });
  equal(review.status.allowed, true);
});

async function operation(name, attempt) {
  try {
    await attempt();
    console.log(`ok ${name}`);
  } catch (error) {
    const reason = error instanceof ApiException ? `${error.code} ${error.body}` : String(error);
    console.log(`failed ${name}: ${reason.replace(/\s+/g, " ")}`);
  }
}

async function refused(code, request) {
  try {
    await request;
  } catch (error) {
    if (error instanceof ApiException && error.code === code) {
      return;
    }
    throw error;
  }
  throw new Error(`not refused with ${code}`);
}

function equal(is, should) {
  if (is !== should) {
    throw new Error(`${JSON.stringify(is)} instead of ${JSON.stringify(should)}`);
  }
}

function configMap(name) {
  return { metadata: { name }, data: { key: "value" } };
}
