import com.google.gson.reflect.TypeToken;
import io.kubernetes.client.custom.V1Patch;
import io.kubernetes.client.informer.ResourceEventHandler;
import io.kubernetes.client.informer.SharedIndexInformer;
import io.kubernetes.client.informer.SharedInformerFactory;
import io.kubernetes.client.openapi.ApiClient;
import io.kubernetes.client.openapi.ApiException;
import io.kubernetes.client.openapi.apis.AuthorizationV1Api;
import io.kubernetes.client.openapi.apis.CoreV1Api;
import io.kubernetes.client.openapi.models.AuthenticationV1TokenRequest;
import io.kubernetes.client.openapi.models.V1ConfigMap;
import io.kubernetes.client.openapi.models.V1ConfigMapList;
import io.kubernetes.client.openapi.models.V1ObjectMeta;
import io.kubernetes.client.openapi.models.V1ResourceAttributes;
import io.kubernetes.client.openapi.models.V1SelfSubjectAccessReview;
import io.kubernetes.client.openapi.models.V1SelfSubjectAccessReviewSpec;
import io.kubernetes.client.openapi.models.V1TokenRequestSpec;
import io.kubernetes.client.util.CallGeneratorParams;
import io.kubernetes.client.util.ClientBuilder;
import io.kubernetes.client.util.Config;
import io.kubernetes.client.util.PatchUtils;
import io.kubernetes.client.util.Watch;
import io.kubernetes.client.util.generic.GenericKubernetesApi;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Does what programs do with the official Java client, and prints one line for each operation.
 *
 * <p>Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.
 */
public final class Main {
  private static final String NAMESPACE = "default";
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private final ApiClient client;
  private final CoreV1Api core;

  private Main(ApiClient client) {
    this.client = client;
    this.core = new CoreV1Api(client);
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments.length > 0) {
      ApiClient client = Config.fromUrl(arguments[0]);
      // As ClientBuilder has it: watches have no end, and informers insist on it.
      client.setReadTimeout(0);
      new Main(client).all();
    } else {
      Main main = new Main(ClientBuilder.cluster().build());
      report("in-cluster configuration", () -> main.core.listNamespacedPod(NAMESPACE).execute());
      main.all();
    }
    // OkHttp's threads would stay for a while.
    System.exit(0);
  }

  private void all() {
    report("create", () -> create("java"));
    report("create where the name is taken", () -> refused(409, () -> create("java")));
    report("read", () -> equal(read().getData().get("key"), "value"));
    report(
        "read what is not there",
        () -> refused(404, () -> core.readNamespacedConfigMap("nobody", NAMESPACE).execute()));
    report("list in pages", this::listInPages);
    report("replace", this::replace);
    report("JSON patch", () -> patch(V1Patch.PATCH_FORMAT_JSON_PATCH, "[{\"op\":\"add\",\"path\":\"/data/patched\",\"value\":\"json\"}]", "json"));
    report("merge patch", () -> patch(V1Patch.PATCH_FORMAT_JSON_MERGE_PATCH, "{\"data\":{\"patched\":\"merge\"}}", "merge"));
    report("strategic merge patch", () -> patch(V1Patch.PATCH_FORMAT_STRATEGIC_MERGE_PATCH, "{\"data\":{\"patched\":\"strategic\"}}", "strategic"));
    report("server-side apply", this::apply);
    report("watch", this::watch);
    report("informer", this::informer);
    report("generic API", this::generic);
    report("delete", () -> core.deleteNamespacedConfigMap("java", NAMESPACE).execute());
    report("TokenRequest", this::tokenRequest);
    report("SelfSubjectAccessReview", this::accessReview);
  }

  private void listInPages() throws Exception {
    V1ConfigMapList first = core.listNamespacedConfigMap(NAMESPACE).limit(1).execute();
    V1ConfigMapList rest = core.listNamespacedConfigMap(NAMESPACE)._continue(first.getMetadata().getContinue()).execute();
    equal(first.getItems().get(0).getMetadata().getName(), "java");
    equal(rest.getItems().get(0).getMetadata().getName(), "kube-root-ca.crt");
  }

  private void replace() throws Exception {
    V1ConfigMap current = read();
    current.putDataItem("key", "replaced");
    equal(core.replaceNamespacedConfigMap("java", NAMESPACE, current).execute().getData().get("key"), "replaced");
  }

  private void patch(String format, String body, String expected) throws Exception {
    V1ConfigMap patched = PatchUtils.patch(
        V1ConfigMap.class,
        () -> core.patchNamespacedConfigMap("java", NAMESPACE, new V1Patch(body)).buildCall(null),
        format,
        client);
    equal(patched.getData().get("patched"), expected);
  }

  private void apply() throws Exception {
    String body = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"applied\"},\"data\":{\"key\":\"value\"}}";
    PatchUtils.patch(
        V1ConfigMap.class,
        () -> core.patchNamespacedConfigMap("applied", NAMESPACE, new V1Patch(body)).fieldManager("java").buildCall(null),
        V1Patch.PATCH_FORMAT_APPLY_YAML,
        client);
  }

  private void watch() throws Exception {
    String version = core.listNamespacedConfigMap(NAMESPACE).execute().getMetadata().getResourceVersion();
    create("watched");
    var call = core.listNamespacedConfigMap(NAMESPACE)
        .watch(true)
        .resourceVersion(version)
        .timeoutSeconds((int) PATIENCE.toSeconds())
        .buildCall(null);
    try (Watch<V1ConfigMap> watch = Watch.createWatch(
        client, call, new TypeToken<Watch.Response<V1ConfigMap>>() {}.getType())) {
      for (Watch.Response<V1ConfigMap> event : watch) {
        if (event.type.equals("ADDED") && event.object.getMetadata().getName().equals("watched")) {
          return;
        }
      }
    }
    throw new IllegalStateException("the watch ended without the object");
  }

  private void informer() throws Exception {
    BlockingQueue<String> added = new LinkedBlockingQueue<>();
    BlockingQueue<String> deleted = new LinkedBlockingQueue<>();
    SharedInformerFactory factory = new SharedInformerFactory(client);
    SharedIndexInformer<V1ConfigMap> maps = factory.sharedIndexInformerFor(
        (CallGeneratorParams parameters) -> core.listNamespacedConfigMap(NAMESPACE)
            .resourceVersion(parameters.resourceVersion)
            .timeoutSeconds(parameters.timeoutSeconds)
            .watch(parameters.watch)
            .buildCall(null),
        V1ConfigMap.class,
        V1ConfigMapList.class);
    maps.addEventHandler(new ResourceEventHandler<>() {
      @Override
      public void onAdd(V1ConfigMap map) {
        added.add(map.getMetadata().getName());
      }

      @Override
      public void onUpdate(V1ConfigMap before, V1ConfigMap after) {}

      @Override
      public void onDelete(V1ConfigMap map, boolean finalStateUnknown) {
        deleted.add(map.getMetadata().getName());
      }
    });
    factory.startAllRegisteredInformers();
    await(added, "kube-root-ca.crt");
    create("informed");
    await(added, "informed");
    equal(maps.getIndexer().getByKey(NAMESPACE + "/informed").getData().get("key"), "value");
    core.deleteNamespacedConfigMap("informed", NAMESPACE).execute();
    await(deleted, "informed");
    factory.stopAllRegisteredInformers();
  }

  private void generic() throws Exception {
    var maps = new GenericKubernetesApi<>(V1ConfigMap.class, V1ConfigMapList.class, "", "v1", "configmaps", client);
    maps.create(configMap("generic").metadata(new V1ObjectMeta().name("generic").namespace(NAMESPACE))).throwsApiException();
    equal(maps.get(NAMESPACE, "generic").throwsApiException().getObject().getData().get("key"), "value");
    maps.delete(NAMESPACE, "generic").throwsApiException();
  }

  private void tokenRequest() throws Exception {
    var request = new AuthenticationV1TokenRequest()
        .spec(new V1TokenRequestSpec().audiences(List.of("vault")).expirationSeconds(600L));
    var answer = core.createNamespacedServiceAccountToken("default", NAMESPACE, request).execute();
    equal(answer.getStatus().getToken().split("\\.").length, 3);
  }

  private void accessReview() throws Exception {
    var attributes = new V1ResourceAttributes().namespace(NAMESPACE).verb("create").resource("configmaps");
    var review = new V1SelfSubjectAccessReview()
        .spec(new V1SelfSubjectAccessReviewSpec().resourceAttributes(attributes));
    equal(new AuthorizationV1Api(client).createSelfSubjectAccessReview(review).execute().getStatus().getAllowed(), true);
  }

  private void create(String name) throws ApiException {
    core.createNamespacedConfigMap(NAMESPACE, configMap(name)).execute();
  }

  private V1ConfigMap read() throws ApiException {
    return core.readNamespacedConfigMap("java", NAMESPACE).execute();
  }

  private static V1ConfigMap configMap(String name) {
    return new V1ConfigMap().metadata(new V1ObjectMeta().name(name)).data(Map.of("key", "value"));
  }

  private interface Operation {
    void run() throws Exception;
  }

  private static void report(String name, Operation operation) {
    try {
      operation.run();
      System.out.println("ok " + name);
    } catch (ApiException error) {
      failed(name, error.getCode() + " " + error.getResponseBody());
    } catch (Exception error) {
      failed(name, error.toString());
    }
  }

  private static void failed(String name, String reason) {
    System.out.println("failed " + name + ": " + reason.replaceAll("\\s+", " "));
  }

  private static void refused(int code, Operation operation) throws Exception {
    try {
      operation.run();
    } catch (ApiException error) {
      equal(error.getCode(), code);
      return;
    }
    throw new IllegalStateException("not refused with " + code);
  }

  private static void equal(Object is, Object should) {
    if (!should.equals(is)) {
      throw new IllegalStateException(is + " instead of " + should);
    }
  }

  private static void await(BlockingQueue<String> names, String name) throws InterruptedException {
    String seen;
    do {
      seen = names.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      if (seen == null) {
        throw new IllegalStateException(name + " was never seen");
      }
    } while (!seen.equals(name));
  }
}
