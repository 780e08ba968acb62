package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/internal/playground"
	"kubefed.dev/kubefed/internal/testprogram"
)

var deadlines = Deadlines{Address: 30 * time.Second, Ready: 90 * time.Second}

func TestControlPlaneLife(t *testing.T) {
	h, access := startHost(t)
	say := Progress(t.Logf)
	o := validated(t, nil)

	t.Run("a user without rights writes nothing", func(t *testing.T) {
		config := rest.CopyConfig(h.Config)
		config.Impersonate.UserName = "gollum"
		stranger, err := Connect("rivendell", config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Init(t.Context(), stranger, o, access, deadlines, say)
		wantError(t, err, "create secrets in namespace federation-system")
		wantNothing(t, h, access)
	})

	t.Run("an image that does not exist", func(t *testing.T) {
		o := o
		o.Image = "kubefed.dev/federation-apiserver:does-not-exist"
		_, err := Init(t.Context(), h, o, access, Deadlines{Address: deadlines.Address, Ready: 3 * time.Second}, say)
		wantError(t, err, "does-not-exist")
		wantError(t, err, "get pods,events")
	})

	var keys Credentials
	t.Run("stopped half-way by the user", func(t *testing.T) {
		deinit(t, h, access)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Init(ctx, h, o, access, deadlines, func(format string, args ...any) {
			if line := fmt.Sprintf(format, args...); strings.Contains(line, SecretKeys+" created") {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want that it was cancelled", err)
		}
		existing, err := h.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if keys = CredentialsFrom(existing.Secrets); existing.Deployment != nil || !keys.Lasting() {
			t.Fatalf("stopped at the wrong place: deployment %v", existing.Deployment)
		}
	})

	t.Run("taken up again with the same keys", func(t *testing.T) {
		r, err := Init(t.Context(), h, o, access, deadlines, say)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Fresh {
			t.Error("it had never answered before, and was not reported as new")
		}
		existing, err := h.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now := CredentialsFrom(existing.Secrets)
		now.ServingCert, now.ServingKey, keys.ServingCert, keys.ServingKey = nil, nil, nil, nil
		if !cmp.Equal(keys, now) {
			t.Error("the keys changed")
		}
	})

	t.Run("the context leads to the federation's API", func(t *testing.T) {
		config, err := clientcmd.NewDefaultClientConfig(*load(t, access), &clientcmd.ConfigOverrides{CurrentContext: "fellowship"}).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		federationAPI, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var info corev1.ConfigMap
		if err := federationAPI.Get(t.Context(), client.ObjectKey{Namespace: Namespace, Name: "federation-info"}, &info); err != nil {
			t.Fatal(err)
		}
		if info.Data["name"] != "fellowship" || info.Data["dnsZone"] != "example.com." {
			t.Errorf("it says it is %v", info.Data)
		}
	})

	t.Run("a second time changes nothing", func(t *testing.T) {
		before := versions(t, h, o)
		r, err := Init(t.Context(), h, o, access, deadlines, say)
		if err != nil {
			t.Fatal(err)
		}
		if r.Changes != 0 || r.Fresh {
			t.Errorf("%d changes, new: %t", r.Changes, r.Fresh)
		}
		if diff := cmp.Diff(before, versions(t, h, o)); diff != "" {
			t.Errorf("resource versions (-before +after):\n%s", diff)
		}
	})

	t.Run("a second federation is refused", func(t *testing.T) {
		_, err := Init(t.Context(), h, validated(t, func(o *Options) { o.Name = "mordor" }), access, deadlines, say)
		wantError(t, err, `already runs federation "fellowship"`)
		_, err = Deinit(t.Context(), h, DeinitOptions{Name: "mordor", Timeout: time.Minute}, access, say)
		wantError(t, err, `runs federation "fellowship", not "mordor"`)
	})

	t.Run("clouds are stored, kept and forgotten", func(t *testing.T) {
		told := o
		told.Cloud = clouds(t)
		told.ServiceAccountAnnotations = map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/kubefed"}
		if _, err := Init(t.Context(), h, told, access, deadlines, say); err != nil {
			t.Fatal(err)
		}
		if r, err := Init(t.Context(), h, o, access, deadlines, say); err != nil || r.Changes != 0 {
			t.Errorf("who says nothing of clouds changed %d, %v", r.Changes, err)
		}
		existing, err := h.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(told.Cloud.files(), existing.Secrets[SecretCloud].Data); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(told.ServiceAccountAnnotations, existing.ServiceAccount.Annotations); diff != "" {
			t.Errorf("annotations (-want +got):\n%s", diff)
		}
		none := o
		none.Cloud, none.ServiceAccountAnnotations = Cloud{Given: true}, map[string]string{}
		if r, err := Init(t.Context(), h, none, access, deadlines, say); err != nil || r.Changes == 0 {
			t.Errorf("taking it away changed %d, %v", r.Changes, err)
		}
		if existing, err = h.observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, there := existing.Secrets[SecretCloud]; there || len(existing.ServiceAccount.Annotations) > 0 {
			t.Errorf("credentials stayed: %t, annotations %v", there, existing.ServiceAccount.Annotations)
		}
	})

	t.Run("gone without a trace, twice", func(t *testing.T) {
		if r := deinit(t, h, access); !r.Found || !r.Context || r.NamespaceKept != "" {
			t.Errorf("first: %+v", r)
		}
		wantNothing(t, h, access)
		if r := deinit(t, h, access); r.Found || r.Context {
			t.Errorf("second: %+v", r)
		}
	})

	t.Run("what else is in the namespace stays", func(t *testing.T) {
		other := &corev1.ServiceAccount{}
		other.Name, other.Namespace = "of-another-federation", Namespace
		if _, err := h.apply(t.Context(), namespace(o)); err != nil {
			t.Fatal(err)
		}
		if err := h.client.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if r := deinit(t, h, access); r.NamespaceKept != other.Name {
			t.Errorf("kept for %q", r.NamespaceKept)
		}
		existing, err := h.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if existing.Namespace == nil || existing.Federation() != "" {
			t.Errorf("namespace is %v", existing.Namespace)
		}
	})
}

func TestHostThatDoesNotAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	h, err := Connect("rivendell", &rest.Config{Host: "https://" + closed.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	access := kubeconfigFile(t)
	_, err = Init(t.Context(), h, validated(t, nil), access, deadlines, t.Logf)
	wantError(t, err, "host cluster rivendell at https://"+closed.Addr().String()+" does not answer")
	_, err = Deinit(t.Context(), h, DeinitOptions{Name: "fellowship"}, access, t.Logf)
	wantError(t, err, "does not answer")
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v\nwant one with %q", err, part)
	}
}

func deinit(t *testing.T, h *Host, access clientcmd.ConfigAccess) Removal {
	t.Helper()
	r, err := Deinit(t.Context(), h, DeinitOptions{Name: "fellowship", Timeout: time.Minute}, access, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantNothing(t *testing.T, h *Host, access clientcmd.ConfigAccess) {
	t.Helper()
	err := h.client.Get(t.Context(), client.ObjectKey{Name: Namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s: %v, want that it is not there", Namespace, err)
	}
	if names := load(t, access).Contexts; len(names) != 1 {
		t.Errorf("contexts are %v", names)
	}
}

// versions are the resource versions of all that Init makes; of the Deployment, whose status changes by itself, it is
// the generation.
func versions(t *testing.T, h *Host, o Options) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, obj := range Manifests(o, Credentials{}) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(obj.GetObjectKind().GroupVersionKind())
		if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(obj), u); err != nil {
			t.Fatal(err)
		}
		all[describe(u)] = u.GetResourceVersion()
		if u.GetKind() == "Deployment" {
			all[describe(u)] = fmt.Sprint(u.GetGeneration())
		}
	}
	return all
}

// startHost runs a local cluster that can run the control plane, for the time of a test.
func startHost(t *testing.T) (*Host, clientcmd.ConfigAccess) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubefed-host-") // short: a unix socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	images, err := json.Marshal(map[string]string{"kubefed.dev/federation-apiserver": testprogram.Find(t, "federation-apiserver")})
	if err != nil {
		t.Fatal(err)
	}
	imagesFile := filepath.Join(dir, "images.json")
	if err := os.WriteFile(imagesFile, images, 0o644); err != nil {
		t.Fatal(err)
	}
	addresses, err := playground.Reserve(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = playground.Release(addresses, dir) })
	testprogram.Start(t, filepath.Join(dir, "log"), "local-cluster", "--name=rivendell", "--dir="+filepath.Join(dir, "c"), "--nodes=1",
		"--ip-range="+addresses.String(), "--images-file="+imagesFile)
	access := clientcmd.NewDefaultPathOptions()
	access.LoadingRules.ExplicitPath = filepath.Join(dir, "c", "kubeconfig")
	var h *Host
	err = wait(t.Context(), time.Minute, "the host cluster", t.Logf, func(ctx context.Context) (string, error) {
		config, err := clientcmd.BuildConfigFromFlags("", access.LoadingRules.ExplicitPath)
		if err != nil {
			return "it has written no kubeconfig", nil
		}
		if h, err = Connect("rivendell", config); err != nil {
			return "", err
		}
		if err := h.reachable(ctx); err != nil {
			return err.Error(), nil
		}
		if err := h.hasStorage(ctx, DefaultOptions(), Existing{}); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, access
}
