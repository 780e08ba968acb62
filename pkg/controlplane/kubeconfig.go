package controlplane

import (
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// extension marks the kubeconfig contexts that kubefed wrote.
const extension = federation.GroupName

// ContextInfo is what kubefed notes beside a federation's kubeconfig context.
type ContextInfo struct {
	Federation  string `json:"federation"`
	HostContext string `json:"hostContext"`
	// PortForward is the local port at which the API is reached while the user forwards it; else 0.
	PortForward int32 `json:"portForward,omitempty"`
}

// InfoOf reads what kubefed noted beside a context. ok is false for a context that kubefed did not write.
func InfoOf(context *clientcmdapi.Context) (info ContextInfo, ok bool) {
	if context == nil {
		return info, false
	}
	unknown, ok := context.Extensions[extension].(*runtime.Unknown)
	if !ok || json.Unmarshal(unknown.Raw, &info) != nil {
		return info, false
	}
	return info, info.Federation != ""
}

// checkContext refuses to write over kubeconfig entries that are not this federation's.
func checkContext(config *clientcmdapi.Config, o Options, ca []byte) error {
	context, cluster, user := config.Contexts[o.Name], config.Clusters[o.Name], config.AuthInfos[o.Name]
	if context == nil && cluster == nil && user == nil {
		return nil
	}
	if ours(config, o.Name, o.HostContext, ca) {
		return nil
	}
	return fmt.Errorf("the kubeconfig already has an entry %q that is not of this federation: remove it (kubectl config delete-context %s, delete-cluster, delete-user), "+
		"choose another federation name, or give another file with --kubeconfig", o.Name, o.Name)
}

// ours says whether the kubeconfig entries called name were written for the federation called so in this host.
func ours(config *clientcmdapi.Config, name, hostContext string, ca []byte) bool {
	context := config.Contexts[name]
	if info, marked := InfoOf(context); marked && info.Federation == name && info.HostContext == hostContext {
		return true
	}
	cluster := config.Clusters[name]
	return cluster != nil && sameAuthority(cluster.CertificateAuthorityData, ca)
}

// addContext puts the federation's cluster, user and context into config, and says whether that changed anything. The
// current context stays. A client certificate that is still good is kept.
func addContext(config *clientcmdapi.Config, o Options, e Endpoint, c Credentials, now time.Time) (changed bool, err error) {
	info := ContextInfo{Federation: o.Name, HostContext: o.HostContext, PortForward: e.PortForward}
	cluster, user := config.Clusters[o.Name], config.AuthInfos[o.Name]
	if cluster == nil || cluster.Server != e.Server || !sameAuthority(cluster.CertificateAuthorityData, c.CACert) {
		cluster = clientcmdapi.NewCluster()
		cluster.Server, cluster.CertificateAuthorityData = e.Server, c.CACert
		config.Clusters[o.Name], changed = cluster, true
	}
	if user == nil || !c.adminValid(user.ClientCertificateData, user.ClientKeyData, now) {
		user = clientcmdapi.NewAuthInfo()
		if user.ClientCertificateData, user.ClientKeyData, err = c.AdminCertificate(); err != nil {
			return changed, err
		}
		config.AuthInfos[o.Name], changed = user, true
	}
	context := config.Contexts[o.Name]
	if have, marked := InfoOf(context); marked && have == info && context.Cluster == o.Name && context.AuthInfo == o.Name {
		return changed, nil
	}
	raw, err := json.Marshal(info)
	if err != nil {
		return changed, fmt.Errorf("encoding kubeconfig context %s: %w", o.Name, err)
	}
	context = clientcmdapi.NewContext()
	context.Cluster, context.AuthInfo = o.Name, o.Name
	context.Extensions = map[string]runtime.Object{extension: &runtime.Unknown{Raw: raw, ContentType: runtime.ContentTypeJSON}}
	config.Contexts[o.Name] = context
	return true, nil
}

// writeContext adds the federation's context to the kubeconfig.
func writeContext(access clientcmd.ConfigAccess, o Options, e Endpoint, c Credentials) (changed bool, err error) {
	config, err := access.GetStartingConfig()
	if err != nil {
		return false, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if changed, err = addContext(config, o, e, c, time.Now()); err != nil || !changed {
		return changed, err
	}
	if err := clientcmd.ModifyConfig(access, *config, true); err != nil {
		return true, fmt.Errorf("writing context %s to the kubeconfig %s: %w; run kubefed init again when it can be written", o.Name, access.GetDefaultFilename(), err)
	}
	return true, nil
}

// removeContext takes the federation's entries out of the kubeconfig where they are this federation's, and says whether
// it was the current context.
func removeContext(access clientcmd.ConfigAccess, name, hostContext string, ca []byte) (removed, wasCurrent bool, err error) {
	config, err := access.GetStartingConfig()
	if err != nil {
		return false, false, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if !ours(config, name, hostContext, ca) {
		return false, false, nil
	}
	delete(config.Contexts, name)
	delete(config.Clusters, name)
	delete(config.AuthInfos, name)
	if wasCurrent = config.CurrentContext == name; wasCurrent {
		config.CurrentContext = ""
	}
	if err := clientcmd.ModifyConfig(access, *config, true); err != nil {
		return false, wasCurrent, fmt.Errorf("removing context %s from the kubeconfig: %w; remove it with kubectl config delete-context %s", name, err, name)
	}
	return true, wasCurrent, nil
}
