package cli

import (
	"fmt"

	cloudconfig "kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/controlplane"
)

// clouds reads what the flags say of clouds. Files that the configuration names are brought along.
func (f *initFlags) clouds() (controlplane.Cloud, error) {
	if f.cloudConfigFile == "" {
		return controlplane.Cloud{Given: f.cloudConfigGiven}, nil
	}
	c, err := cloudconfig.Load(f.cloudConfigFile)
	if err != nil {
		return controlplane.Cloud{}, fmt.Errorf("--cloud-config: %w", err)
	}
	files, err := bringAlong("cloud-config", c.Files())
	if err != nil {
		return controlplane.Cloud{}, err
	}
	return controlplane.Cloud{Config: c, Files: files, Given: true}, nil
}
