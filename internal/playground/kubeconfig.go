package playground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigFile is where contexts go: the file that is asked for, else where `kubectl config` would write. It also
// returns what kubectl sees now, which may come from several files.
func kubeconfigFile(asked string) (string, *clientcmdapi.Config, error) {
	options := clientcmd.NewDefaultPathOptions()
	options.LoadingRules.ExplicitPath = asked
	seen, err := options.GetStartingConfig()
	if err != nil {
		return "", nil, fmt.Errorf("reading the kubeconfig: %w: correct the file, or name another one with --kubeconfig", err)
	}
	path, err := filepath.Abs(options.GetDefaultFilename())
	return path, seen, err
}

// foreign refuses to take the name of a context, cluster or user that is somebody else's.
func foreign(seen *clientcmdapi.Config, name, server string) error {
	c, hasCluster := seen.Clusters[name]
	_, hasContext := seen.Contexts[name]
	_, hasUser := seen.AuthInfos[name]
	if !hasCluster && !hasContext && !hasUser {
		return nil
	}
	if hasCluster && (c.Server == server || abandoned(c.Server)) {
		return nil
	}
	where := ""
	if hasCluster {
		where = " for " + c.Server
	}
	return fmt.Errorf("the kubeconfig has an entry %q%s already: give the clusters other names with --clusters and --host, "+
		"or name another file with --kubeconfig", name, where)
}

// has says that the cluster's own entry is there already.
func has(seen *clientcmdapi.Config, name string, own *clientcmdapi.Config) bool {
	c, user := seen.Clusters[name], seen.AuthInfos[name]
	return seen.Contexts[name] != nil && c != nil && user != nil &&
		c.Server == own.Clusters[name].Server &&
		bytes.Equal(c.CertificateAuthorityData, own.Clusters[name].CertificateAuthorityData) &&
		bytes.Equal(user.ClientCertificateData, own.AuthInfos[name].ClientCertificateData)
}

// merge adds the entries of the clusters' own kubeconfigs. A current context is left alone; where there is none,
// current becomes it.
func merge(into *clientcmdapi.Config, entries []*clientcmdapi.Config, current string, hasCurrent bool) {
	for _, entry := range entries {
		for name := range entry.Contexts {
			into.Contexts[name] = entry.Contexts[name]
			into.Clusters[name] = entry.Clusters[name]
			into.AuthInfos[name] = entry.AuthInfos[name]
		}
	}
	if !hasCurrent {
		into.CurrentContext = current
	}
}

// remove takes the playground's entries out again. Entries that were changed to lead elsewhere are not ours any more.
func remove(from *clientcmdapi.Config, clusters []cluster, previous string) {
	for _, c := range clusters {
		found, ok := from.Clusters[c.Name]
		if !ok || found.Server != serverURL(c.IPRange) {
			continue
		}
		delete(from.Clusters, c.Name)
		delete(from.Contexts, c.Name)
		delete(from.AuthInfos, c.Name)
		if from.CurrentContext == c.Name {
			from.CurrentContext = ""
			if _, exists := from.Contexts[previous]; exists {
				from.CurrentContext = previous
			}
		}
	}
}

// editKubeconfig changes one file, in turn with kubectl and others that use its lock file. A file that would hold
// nothing is not made, and one that holds nothing any more is removed.
func editKubeconfig(ctx context.Context, path string, edit func(*clientcmdapi.Config)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("changing the kubeconfig: %w", err)
	}
	unlock, err := lockKubeconfig(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	config, err := clientcmd.LoadFromFile(path)
	existed := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		config = clientcmdapi.NewConfig()
	} else if err != nil {
		return fmt.Errorf("reading %s: %w: correct the file", path, err)
	}
	edit(config)
	if len(config.Contexts)+len(config.Clusters)+len(config.AuthInfos) == 0 {
		if !existed {
			return nil
		}
		return os.Remove(path)
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func lockKubeconfig(ctx context.Context, path string) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			file.Close()
			return func() { os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("locking the kubeconfig: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the kubeconfig is locked by %s: remove that file if no other program is changing it", path)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
