// Command client does what programs do with client-go, and prints one line for each operation.
//
// Without an argument it finds the API server as a program in a Pod does; an argument is the address of a sidecar.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

const namespace = "default"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	var config *rest.Config
	if len(os.Args) > 1 {
		config = &rest.Config{Host: os.Args[1]}
	} else {
		var err error
		config, err = rest.InClusterConfig()
		report("in-cluster configuration", err)
		if err != nil {
			return
		}
	}
	typed(ctx, kubernetes.NewForConfigOrDie(config))
	reviews(ctx, kubernetes.NewForConfigOrDie(config))
	report("dynamic client", dynamicClient(ctx, config))
	report("informer by watch-list", informer(ctx, config))
	report("leader election", leaderElection(ctx, kubernetes.NewForConfigOrDie(config)))
}

func report(operation string, err error) {
	if err == nil {
		fmt.Println("ok", operation)
	} else {
		fmt.Printf("failed %s: %s\n", operation, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

// The typed client speaks protobuf with the server.
func typed(ctx context.Context, client kubernetes.Interface) {
	version, err := client.Discovery().ServerVersion()
	if err == nil && version.GitVersion == "" {
		err = fmt.Errorf("no version: %v", version)
	}
	report("discovery", err)

	maps := client.CoreV1().ConfigMaps(namespace)
	created, err := maps.Create(ctx, configMap("typed", "value"), meta.CreateOptions{})
	report("create", err)

	_, err = maps.Create(ctx, configMap("typed", "value"), meta.CreateOptions{})
	report("create where the name is taken", expect(err, errors.IsAlreadyExists))

	_, err = maps.Get(ctx, "typed", meta.GetOptions{})
	report("get", err)

	list, err := maps.List(ctx, meta.ListOptions{LabelSelector: "made-by=client-go", Limit: 1})
	if err == nil && len(list.Items) != 1 {
		err = fmt.Errorf("%d items", len(list.Items))
	}
	report("list", err)

	report("update, again on a conflict", retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := maps.Get(ctx, "typed", meta.GetOptions{})
		if err != nil {
			return err
		}
		current.Data["key"] = "updated"
		_, err = maps.Update(ctx, current, meta.UpdateOptions{})
		return err
	}))

	_, err = maps.Update(ctx, created, meta.UpdateOptions{})
	report("update of an old version", expect(err, errors.IsConflict))

	for _, patch := range []struct {
		name string
		kind types.PatchType
		body string
	}{
		{"JSON patch", types.JSONPatchType, `[{"op":"replace","path":"/data/key","value":"patched"}]`},
		{"merge patch", types.MergePatchType, `{"data":{"key":"patched"}}`},
		{"strategic merge patch", types.StrategicMergePatchType, `{"data":{"key":"patched"}}`},
	} {
		_, err = maps.Patch(ctx, "typed", patch.kind, []byte(patch.body), meta.PatchOptions{})
		report(patch.name, err)
	}

	_, err = maps.Apply(ctx, applycore.ConfigMap("applied", namespace).WithData(map[string]string{"key": "value"}),
		meta.ApplyOptions{FieldManager: "client-go"})
	report("server-side apply", err)

	report("watch", watch(ctx, client))
	report("delete", maps.Delete(ctx, "typed", meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: &created.UID}}))
	_, err = maps.Get(ctx, "typed", meta.GetOptions{})
	report("get what is not there", expect(err, errors.IsNotFound))
	report("delete a collection", maps.DeleteCollection(ctx, meta.DeleteOptions{}, meta.ListOptions{LabelSelector: "made-by=client-go"}))
}

// A watch from the version of a list sees what comes after it.
func watch(ctx context.Context, client kubernetes.Interface) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	list, err := maps.List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: maps.Watch,
	})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	if _, err := maps.Create(ctx, configMap("watched", "value"), meta.CreateOptions{}); err != nil {
		return err
	}
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended")
			}
			if object, is := event.Object.(*core.ConfigMap); is && object.Name == "watched" {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func reviews(ctx context.Context, client kubernetes.Interface) {
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
		Spec: authorization.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorization.ResourceAttributes{Namespace: namespace, Verb: "create", Resource: "configmaps"},
		},
	}, meta.CreateOptions{})
	if err == nil && !review.Status.Allowed {
		err = fmt.Errorf("not allowed: %s", review.Status.Reason)
	}
	report("SelfSubjectAccessReview", err)

	self, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{}, meta.CreateOptions{})
	if err == nil && self.Status.UserInfo.Username != "system:serviceaccount:default:default" {
		err = fmt.Errorf("%v", self.Status.UserInfo)
	}
	report("SelfSubjectReview", err)

	seconds := int64(600)
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "default", &authentication.TokenRequest{
		Spec: authentication.TokenRequestSpec{Audiences: []string{"vault"}, ExpirationSeconds: &seconds},
	}, meta.CreateOptions{})
	if err == nil && token.Status.Token == "" {
		err = fmt.Errorf("no token")
	}
	report("TokenRequest", err)
}

// A kind that is known only at run time, found by discovery.
func dynamicClient(ctx context.Context, config *rest.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kubernetes.NewForConfigOrDie(config).Discovery()))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Kind: "ConfigMap"})
	if err != nil {
		return err
	}
	maps := client.Resource(mapping.Resource).Namespace(namespace)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata":   map[string]any{"generateName": "dynamic-"},
		"data":       map[string]any{"key": "value"},
	}}
	created, err := maps.Create(ctx, object, meta.CreateOptions{})
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(created.Object, "updated", "data", "key"); err != nil {
		return err
	}
	if _, err := maps.Update(ctx, created, meta.UpdateOptions{}); err != nil {
		return err
	}
	return maps.Delete(ctx, created.GetName(), meta.DeleteOptions{})
}

// An informer fills its store with one watch (WatchList), and hears of what comes later.
func informer(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lists, watchLists atomic.Int32
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			query := request.URL.Query()
			if query.Get("sendInitialEvents") == "true" {
				watchLists.Add(1)
			} else if request.Method == http.MethodGet && query.Get("watch") == "" {
				lists.Add(1)
			}
			return next.RoundTrip(request)
		})
	})
	client := kubernetes.NewForConfigOrDie(config)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	maps := factory.Core().V1().ConfigMaps()
	added, deleted := make(chan string, 100), make(chan string, 100)
	if _, err := maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { added <- object.(*core.ConfigMap).Name },
		DeleteFunc: func(object any) { deleted <- object.(*core.ConfigMap).Name },
	}); err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), maps.Informer().HasSynced) {
		return fmt.Errorf("never synced")
	}
	if _, err := maps.Lister().ConfigMaps(namespace).Get("kube-root-ca.crt"); err != nil {
		return err
	}
	if lists.Load() != 0 || watchLists.Load() != 1 {
		return fmt.Errorf("%d lists and %d watch-lists", lists.Load(), watchLists.Load())
	}
	writer := client.CoreV1().ConfigMaps(namespace)
	if _, err := writer.Create(ctx, configMap("informed", "value"), meta.CreateOptions{}); err != nil {
		return err
	}
	if err := await(ctx, added, "informed"); err != nil {
		return err
	}
	if err := writer.Delete(ctx, "informed", meta.DeleteOptions{}); err != nil {
		return err
	}
	return await(ctx, deleted, "informed")
}

// Two candidates: the second leads once the first has let go.
func leaderElection(ctx context.Context, client kubernetes.Interface) error {
	leaders := make(chan string, 2)
	candidate := func(ctx context.Context, name string) {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  meta.ObjectMeta{Name: "leader", Namespace: namespace},
				Client:     client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: name},
			},
			ReleaseOnCancel: true,
			LeaseDuration:   3 * time.Second,
			RenewDeadline:   2 * time.Second,
			RetryPeriod:     200 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leaders <- name },
				OnStoppedLeading: func() {},
			},
		})
	}
	for _, name := range []string{"first", "second"} {
		ctx, letGo := context.WithCancel(ctx)
		defer letGo()
		done := make(chan struct{})
		go func() {
			defer close(done)
			candidate(ctx, name)
		}()
		if err := await(ctx, leaders, name); err != nil {
			return err
		}
		letGo()
		<-done
	}
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func configMap(name, value string) *core.ConfigMap {
	return &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"made-by": "client-go"}},
		Data:       map[string]string{"key": value},
	}
}

func expect(err error, is func(error) bool) error {
	if is(err) {
		return nil
	}
	return fmt.Errorf("instead: %v", err)
}

func await(ctx context.Context, names <-chan string, name string) error {
	for {
		select {
		case seen := <-names:
			if seen == name {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("%s never came: %w", name, ctx.Err())
		}
	}
}
