package controlplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// listClusters asks the federation API for its Clusters, with an administrator's certificate made for the purpose: the
// user who may remove the control plane from its host may read its authority's key anyway.
func listClusters(ctx context.Context, name string, existing Existing, kubeconfig clientcmd.ConfigAccess) ([]string, error) {
	config, err := federationConfig(name, existing, kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := federation.AddToScheme(scheme); err != nil {
		return nil, err
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{federation.GroupVersion})
	mapper.Add(federation.GroupVersion.WithKind("Cluster"), meta.RESTScopeRoot)
	federationClient, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	var clusters federation.ClusterList
	if err := federationClient.List(ctx, &clusters); err != nil {
		return nil, fmt.Errorf("listing clusters at %s: %w", config.Host, err)
	}
	names := make([]string, 0, len(clusters.Items))
	for _, c := range clusters.Items {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names, nil
}

func federationConfig(name string, existing Existing, kubeconfig clientcmd.ConfigAccess) (*rest.Config, error) {
	credentials := CredentialsFrom(existing.Secrets)
	cert, key, err := credentials.AdminCertificate()
	if err != nil {
		return nil, err
	}
	config := &rest.Config{Timeout: 10 * time.Second, TLSClientConfig: rest.TLSClientConfig{
		CAData: credentials.CACert, CertData: cert, KeyData: key,
	}}
	// The user's own entry knows the way best: a proxy, a forwarded port.
	entries, err := kubeconfig.GetStartingConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if cluster := entries.Clusters[name]; cluster != nil && sameAuthority(cluster.CertificateAuthorityData, credentials.CACert) {
		config.Host = cluster.Server
		return config, nil
	}
	if existing.Service == nil {
		return nil, fmt.Errorf("its Service %s/%s is missing", Namespace, Name)
	}
	if existing.Service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil, fmt.Errorf("the kubeconfig has no context %q to reach it by", name)
	}
	e, why := EndpointOf(Options{ServiceType: existing.Service.Spec.Type}, existing.Service, nil)
	if why != "" {
		return nil, fmt.Errorf("finding its address: %s", why)
	}
	config.Host = e.Server
	return config, nil
}
