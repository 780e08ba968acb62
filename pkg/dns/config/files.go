package config

// Files are the places of all paths that the configuration names: what reads it somewhere else brings the files along and puts
// other paths there. Places of empty paths are left out.
func (c *Config) Files() []*string {
	var all []*string
	add := func(paths ...*string) {
		for _, p := range paths {
			if *p != "" {
				all = append(all, p)
			}
		}
	}
	addTLS := func(t *TLSFiles) {
		if t != nil {
			add(&t.CertFile, &t.KeyFile, &t.CAFile)
		}
	}
	addKey := func(k *TSIGKey) {
		if k != nil {
			add(&k.SecretFile)
		}
	}
	for i := range c.Server.TSIGKeys {
		addKey(&c.Server.TSIGKeys[i])
	}
	addTLS(c.Server.TLS)
	for i := range c.Zones {
		z := &c.Zones[i]
		if z.RFC2136 != nil {
			addKey(z.RFC2136.Key)
			addKey(z.RFC2136.TransferKey)
		}
		if z.Route53 != nil {
			add(&z.Route53.CredentialsFile)
		}
		if z.CloudDNS != nil {
			add(&z.CloudDNS.CredentialsFile)
		}
		if z.CoreDNS != nil {
			addTLS(z.CoreDNS.TLS)
			add(&z.CoreDNS.PasswordFile)
		}
	}
	return all
}

// HasEmbedded says whether the embedded server serves a zone.
func (c *Config) HasEmbedded() bool {
	for _, z := range c.Zones {
		if z.Provider == Embedded {
			return true
		}
	}
	return false
}
