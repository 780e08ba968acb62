package controlplane

import (
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Names of what Init makes in the host cluster.
const (
	Namespace     = federation.SystemNamespace
	Name          = "federation-apiserver" // Service, Deployment, ServiceAccount and container
	ClaimName     = "federation-apiserver-etcd-claim"
	SecretCA      = "federation-apiserver-ca"       // the authority with its key, which signs CertificateSigningRequests
	SecretServing = "federation-apiserver-serving"  // the API's certificate and key, and the authority's certificate
	SecretKeys    = "federation-apiserver-keys"     // the key of service-account tokens, and the one of Secrets at rest
	SecretEtcd    = "federation-apiserver-etcd-tls" // client certificate for an external etcd
	SecretDNS     = "federation-apiserver-dns"      // the DNS configuration with the files that it names
	SecretCloud   = "federation-apiserver-cloud"    // the cloud configuration with the files that it names
	ServiceDNS    = "federation-dns"                // the embedded DNS server
)

// Annotations on the host's namespace and on the kubeconfig context that Init writes.
const (
	AnnotationName    = federation.GroupName + "/name"
	AnnotationDNSZone = federation.GroupName + "/dns-zone"
	// AnnotationNameV1 is what Federation v1's tools look for.
	AnnotationNameV1 = "federation.alpha.kubernetes.io/federation-name"
	// AnnotationInitialized is set once the API answered for the first time: before that no cluster can have joined.
	AnnotationInitialized = federation.GroupName + "/initialized"
)

// FieldManager is Init's field manager of server-side apply in the host.
const FieldManager = "kubefed-init"

const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "kubefed"
)

// labels are on everything that Init makes. "app" is Federation v1's.
func labels(name string) map[string]string {
	return map[string]string{
		"app":                         "federated-cluster",
		labelName:                     Name,
		labelInstance:                 name,
		"app.kubernetes.io/component": "control-plane",
		"app.kubernetes.io/part-of":   "kubefed",
		labelManagedBy:                managedBy,
	}
}

// selector picks the control plane's pods. It can't change during a Deployment's life, so it is as small as can be.
func selector(name string) map[string]string {
	return map[string]string{labelName: Name, labelInstance: name}
}
