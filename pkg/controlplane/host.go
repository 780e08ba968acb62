package controlplane

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Host is a connection to the host cluster. Safe for concurrent use.
type Host struct {
	// Context is the kubeconfig context that Config was read from; it appears in messages.
	Context string
	Config  *rest.Config

	client    client.Client
	clientset kubernetes.Interface
}

// requestTimeout bounds each request to the host, so that a host that does not answer is noticed.
const requestTimeout = 15 * time.Second

// Connect prepares a connection; it contacts nothing. config is copied.
func Connect(hostContext string, config *rest.Config) (*Host, error) {
	config = rest.CopyConfig(config)
	config.Timeout, config.QPS = requestTimeout, -1
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to host cluster %s: %w; check its entry in the kubeconfig", hostContext, err)
	}
	hostClient, err := client.New(config, client.Options{Mapper: staticMapper()})
	if err != nil {
		return nil, fmt.Errorf("connecting to host cluster %s: %w", hostContext, err)
	}
	return &Host{Context: hostContext, Config: config, client: hostClient, clientset: clientset}, nil
}

// change says what applying an object did.
type change string

const (
	created   change = "created"
	updated   change = "configured"
	unchanged change = "unchanged"
)

// apply makes one object what it is to be, by server-side apply.
func (h *Host) apply(ctx context.Context, obj client.Object) (change, error) {
	wanted, err := applyForm(obj)
	if err != nil {
		return "", err
	}
	before := &unstructured.Unstructured{}
	before.SetGroupVersionKind(wanted.GroupVersionKind())
	err = h.client.Get(ctx, client.ObjectKeyFromObject(wanted), before)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("reading %s in host cluster %s: %w", describe(wanted), h.Context, err)
	}
	if err := h.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted),
		client.FieldOwner(FieldManager), client.ForceOwnership); err != nil {
		return "", fmt.Errorf("applying %s to host cluster %s: %w%s", describe(wanted), h.Context, err, adviceFor(err))
	}
	switch before.GetResourceVersion() {
	case "":
		return created, nil
	case wanted.GetResourceVersion():
		return unchanged, nil
	}
	return updated, nil
}

func adviceFor(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "; ask for the right to do this, or for an administrator to run kubefed init"
	case apierrors.IsInvalid(err):
		return "; the host cluster refuses this: change the flag that the message speaks of"
	}
	return ""
}

// Progress prints one line about what is being done or waited for.
type Progress func(format string, args ...any)

// WaitError says what was still missing when a deadline passed.
type WaitError struct {
	For, Why string
	After    time.Duration
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("waited %s for %s: %s", e.After, e.For, e.Why)
}

const pollInterval = 250 * time.Millisecond

// wait polls check until it returns an empty reason, the host denies a right, or timeout passes. Each new
// reason is printed once; other errors are reasons to wait on.
func wait(ctx context.Context, timeout time.Duration, what string, progress Progress, check func(context.Context) (why string, err error)) error {
	deadline, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	said, last := "", "it was never asked"
	for {
		why, err := check(deadline)
		switch {
		case err == nil && why == "":
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return fmt.Errorf("waiting for %s: %w", what, err)
		case deadline.Err() == nil && err != nil:
			last = err.Error() // may pass
		case err == nil:
			last = why
		}
		if last != said && deadline.Err() == nil {
			progress("waiting for %s: %s", what, last)
			said = last
		}
		select {
		case <-deadline.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &WaitError{For: what, Why: last, After: timeout}
		case <-tick.C:
		}
	}
}
