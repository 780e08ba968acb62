package main

import (
	"fmt"

	"github.com/spf13/pflag"

	cloudconfig "kubefed.dev/kubefed/pkg/cloud/config"
)

// cloudOptions say which clouds are asked, and as whom. Without a file none is.
type cloudOptions struct {
	config string
}

func (o *cloudOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.config, "cloud-config", "", "File that lists the accounts of clouds to ask about members' zones, prices and load balancers, and sites that have no cloud to ask. Without it no cloud is asked.")
}

// load reads the file; nil for none.
func (o *cloudOptions) load() (*cloudconfig.Config, error) {
	if o.config == "" {
		return nil, nil
	}
	c, err := cloudconfig.Load(o.config)
	if err != nil {
		return nil, fmt.Errorf("--cloud-config: %w", err)
	}
	return c, nil
}
