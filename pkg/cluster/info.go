package cluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// ErrNotFederation says that an API server answers, but is no federation API.
var ErrNotFederation = errors.New("is no federation API")

// Info says which federation an API server is of.
type Info struct {
	Name string
	// ID tells two federations of one name apart.
	ID      string
	DNSZone string
}

// ReadInfo asks an API server which federation it is. The error wraps ErrNotFederation where it answers without being
// one.
func ReadInfo(ctx context.Context, config *rest.Config) (Info, error) {
	config = rest.CopyConfig(config)
	config.Timeout, config.UserAgent = requestTimeout, userAgent
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return Info{}, err
	}
	configMap, err := core.ConfigMaps(federation.SystemNamespace).Get(ctx, federation.InfoConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Info{}, fmt.Errorf("%s %w: it has no ConfigMap %s/%s", config.Host, ErrNotFederation, federation.SystemNamespace, federation.InfoConfigMap)
	}
	if err != nil {
		return Info{}, err
	}
	info := Info{Name: configMap.Data[federation.InfoName], ID: configMap.Data[federation.InfoFederation], DNSZone: configMap.Data[federation.InfoDNSZone]}
	if info.Name == "" {
		return Info{}, fmt.Errorf("%s %w: its ConfigMap %s/%s has no key %q", config.Host, ErrNotFederation, federation.SystemNamespace, federation.InfoConfigMap, federation.InfoName)
	}
	if info.ID == "" {
		namespace, err := core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return Info{}, err
		}
		info.ID = string(namespace.UID)
	}
	return info, nil
}

// condition reads one condition's reason and message.
func condition(status federation.ClusterStatus, kind string) (ok bool, why string) {
	c := meta.FindStatusCondition(status.Conditions, kind)
	switch {
	case c == nil:
		return false, ""
	case c.Status == metav1.ConditionTrue:
		return true, ""
	}
	return false, c.Reason + ": " + c.Message
}
