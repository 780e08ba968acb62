package named

import (
	"errors"
	"fmt"

	"kubefed.dev/kubefed/pkg/dns"
)

// Check tells what is wrong with what an object says of its names: annotations that can't be read, and names that DNS does not
// allow. zone is the federation's main zone, empty for none; ports are the names of a Service's ports with their protocols.
func Check(o Object, federation, zone string, ports map[string]string) error {
	settings, err := SettingsOf(o.Annotations, nil)
	if err != nil {
		return err
	}
	if !Published(settings) || !o.Names || zone == "" {
		return nil
	}
	names := dns.Names{Service: o.Name, Namespace: o.Namespace, Federation: federation, Domain: dns.Absolute(zone)}
	if err := dns.CheckName(names.Global()); err != nil {
		return unpublishable(err)
	}
	var errs []error
	for port, protocol := range ports {
		if err := dns.CheckName(names.Port(port, protocol)); port != "" && err != nil {
			errs = append(errs, unpublishable(err))
		}
	}
	return errors.Join(errs...)
}

func unpublishable(err error) error {
	return fmt.Errorf("the name that it would have in DNS: %w; or publish none with the annotation federation.kubefed.dev/dns-publish: \"false\"", err)
}
