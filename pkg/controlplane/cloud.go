package controlplane

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Cloud says which clouds the federation asks, and as whom.
type Cloud struct {
	// Config is what the user gave, parsed. Nil keeps what an earlier Init stored, unless Given.
	Config *config.Config
	// Files are those that Config names, by the names under which the pod finds them beside it.
	Files map[string][]byte
	// Given with a nil Config takes away what is stored: no cloud is asked any more.
	Given bool
}

// keyCloudConfig is the key of SecretCloud beside the files.
const keyCloudConfig = "config.yaml"

func validateCloud(o Options) error {
	if o.Cloud.Config == nil {
		return nil
	}
	for i, a := range o.Cloud.Config.Accounts {
		for j, c := range a.Credentials {
			if c.Profile != nil && c.Profile.File == "" {
				return fmt.Errorf("--cloud-config: accounts[%d].credentials[%d].profile: names no file, and the pod has none of this machine's: give the file, which is brought along", i, j)
			}
		}
	}
	return nil
}

// keep takes up the cloud configuration that an earlier Init stored, where the user said nothing.
func (c Cloud) keep(stored corev1.Secret) (Cloud, error) {
	data, there := stored.Data[keyCloudConfig]
	if c.Config != nil || c.Given || !there {
		return c, nil
	}
	parsed, err := config.Parse(data)
	if err != nil {
		return c, fmt.Errorf("reading Secret %s/%s: %w; give --cloud-config again", Namespace, SecretCloud, err)
	}
	c.Config, c.Files = parsed, maps.Clone(stored.Data)
	delete(c.Files, keyCloudConfig)
	return c, nil
}

// files are the contents of SecretCloud; nil without a configuration.
func (c Cloud) files() map[string][]byte {
	if c.Config == nil {
		return nil
	}
	text, err := yaml.Marshal(c.Config)
	if err != nil {
		panic(err) // it was parsed from such text
	}
	files := map[string][]byte{keyCloudConfig: text}
	maps.Copy(files, c.Files)
	return files
}

// forgetClouds removes the stored configuration, and the credentials in it, where there is to be none.
func (h *Host) forgetClouds(ctx context.Context, o Options, existing Existing, progress Progress) (bool, error) {
	if _, there := existing.Secrets[SecretCloud]; !there || o.Cloud.Config != nil {
		return false, nil
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: SecretCloud}}
	if err := h.client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("removing Secret %s from host cluster %s: %w; run kubefed init again", SecretCloud, h.Context, err)
	}
	progress("Secret %s/%s removed: no cloud is asked", Namespace, SecretCloud)
	return true, nil
}

// keepAnnotations are those of the service account as they are, where the user named none.
func keepAnnotations(o Options, existing Existing) map[string]string {
	if o.ServiceAccountAnnotations != nil || existing.ServiceAccount == nil {
		return o.ServiceAccountAnnotations
	}
	kept := maps.Clone(existing.ServiceAccount.Annotations)
	delete(kept, corev1.LastAppliedConfigAnnotation) // kubectl's own notes
	return kept
}
