package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// warningsShown is how many warnings a page has room for.
const warningsShown = 10

// gatherStatus reads everything that the report shows.
func gatherStatus(ctx context.Context, found Federation) (statusReport, error) {
	r := statusReport{Federation: federationStatus{Name: found.Name, DNSZone: found.DNSZone, Context: found.Context, Server: found.Config.Host}}
	config := rest.CopyConfig(found.Config)
	config.Timeout, config.QPS = 15*time.Second, -1
	reader, err := newReader(config)
	if err != nil {
		return r, err
	}
	for _, step := range []struct {
		what string
		read func(context.Context) error
	}{
		{"the control plane's health", func(ctx context.Context) error { return readControlPlane(ctx, config, reader, &r.ControlPlane) }},
		{"the federation's state", func(ctx context.Context) error { return readFederation(ctx, reader, &r) }},
		{"clusters", func(ctx context.Context) error { return readClusters(ctx, reader, &r) }},
		{"placement decisions", func(ctx context.Context) error { return readObjects(ctx, reader, &r) }},
		{"names", func(ctx context.Context) error { return readDNS(ctx, reader, found, &r) }},
		{"tombstones", func(ctx context.Context) error { return readTombstones(ctx, reader, &r) }},
		{"events", func(ctx context.Context) error { return readWarnings(ctx, reader, &r) }},
	} {
		if err := step.read(ctx); err != nil {
			return r, fmt.Errorf("reading %s of federation %q: %w", step.what, found.Name, err)
		}
	}
	return r, nil
}

func newReader(config *rest.Config) (client.Reader, error) { return newClient(config) }

// newClient reads and writes the federation's own kinds, and what a page about it shows.
func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{federation.AddToScheme, corev1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

func readControlPlane(ctx context.Context, config *rest.Config, reader client.Reader, s *controlPlaneStatus) error {
	asker, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	info, err := asker.ServerVersion()
	if err != nil {
		return err
	}
	s.Version = info.GitVersion
	body, err := asker.RESTClient().Get().AbsPath("/readyz").Param("verbose", "true").Do(ctx).Raw()
	s.Ready = err == nil
	if err != nil {
		s.Failing = failingChecks(string(body), err)
	}
	var lease coordinationv1.Lease
	err = reader.Get(ctx, client.ObjectKey{Namespace: federation.SystemNamespace, Name: federation.ControllersLease}, &lease)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	if lease.Spec.RenewTime == nil || time.Since(lease.Spec.RenewTime.Time) > leaseStale || lease.Spec.HolderIdentity == nil {
		return nil
	}
	s.Leader, s.Renewed = *lease.Spec.HolderIdentity, lease.Spec.RenewTime.UTC().Format(time.RFC3339)
	return nil
}

// failingChecks are the lines that begin with "[-]" in what /readyz?verbose answers.
func failingChecks(body string, err error) []string {
	var failing []string
	for line := range strings.Lines(body) {
		if check, found := strings.CutPrefix(strings.TrimSpace(line), "[-]"); found {
			name, _, _ := strings.Cut(check, " ")
			failing = append(failing, name)
		}
	}
	if len(failing) == 0 {
		return []string{err.Error()}
	}
	return failing
}

// readIsolation reads whether the control plane is cut off; an older one does not say.
func readFederation(ctx context.Context, reader client.Reader, r *statusReport) error {
	var f federation.Federation
	if err := reader.Get(ctx, client.ObjectKey{Name: r.Federation.Name}, &f); err != nil {
		if meta.IsNoMatchError(err) {
			return nil
		}
		return client.IgnoreNotFound(err)
	}
	r.Moves.Paused = f.Spec.Failover.Paused
	if c := meta.FindStatusCondition(f.Status.Conditions, federation.FederationIsolated); c != nil && c.Status == metav1.ConditionTrue {
		r.Federation.Isolated = c.Message
	}
	return nil
}

func readClusters(ctx context.Context, reader client.Reader, r *statusReport) error {
	var list federation.ClusterList
	if err := reader.List(ctx, &list); err != nil {
		return err
	}
	r.Clusters = []clusterStatus{}
	for _, c := range list.Items {
		r.Clusters = append(r.Clusters, statusOfCluster(c))
	}
	slices.SortFunc(r.Clusters, func(a, b clusterStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// pageSize bounds one answer: a federation may hold ten thousands of decisions.
const pageSize = 500

func readObjects(ctx context.Context, reader client.Reader, r *statusReport) error {
	r.Objects.Others = []objectStatus{}
	r.Moves.Waiting, r.Moves.Away = []waitStatus{}, []clusterMoves{}
	defer r.Moves.sort()
	for next := ""; ; {
		var list federation.PlacementDecisionList
		if err := reader.List(ctx, &list, client.Limit(pageSize), client.Continue(next)); err != nil {
			return err
		}
		page := statusOfObjects(list.Items)
		for i := range list.Items {
			r.Moves.add(&list.Items[i].Spec)
		}
		r.Objects.Total += page.Total
		r.Objects.Synced += page.Synced
		r.Objects.Others = append(r.Objects.Others, page.Others...)
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

func readTombstones(ctx context.Context, reader client.Reader, r *statusReport) error {
	var list federation.TombstoneList
	if err := reader.List(ctx, &list); err != nil {
		return err
	}
	r.Tombstones = []tombstoneStatus{}
	for _, t := range list.Items {
		o := t.Spec.Object
		r.Tombstones = append(r.Tombstones, tombstoneStatus{
			Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Clusters: t.Spec.Clusters, Since: t.CreationTimestamp,
		})
	}
	return nil
}

func readWarnings(ctx context.Context, reader client.Reader, r *statusReport) error {
	var list corev1.EventList
	if err := reader.List(ctx, &list, client.MatchingFields{"type": corev1.EventTypeWarning}); err != nil {
		return err
	}
	r.Warnings = []warningStatus{}
	for _, e := range list.Items {
		r.Warnings = append(r.Warnings, warningStatus{
			Time: eventTime(e), Reason: e.Reason, Message: e.Message, Count: max(e.Count, 1),
			Object: qualified(e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name),
		})
	}
	slices.SortFunc(r.Warnings, func(a, b warningStatus) int { return b.Time.Compare(a.Time.Time) })
	r.Warnings = r.Warnings[:min(len(r.Warnings), warningsShown)]
	return nil
}

// eventTime is when an event was last seen; which field says so depends on who wrote it.
func eventTime(e corev1.Event) metav1.Time {
	latest := e.CreationTimestamp
	for _, t := range []metav1.Time{e.LastTimestamp, {Time: e.EventTime.Time}} {
		if t.After(latest.Time) {
			latest = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(latest.Time) {
		latest = metav1.Time{Time: e.Series.LastObservedTime.Time}
	}
	return latest
}

func qualified(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}
