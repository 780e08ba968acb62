package publish

import (
	"net/netip"
	"slices"

	"kubefed.dev/kubefed/pkg/dns"
)

// view is what a zone holds as far as this process knows: read as a whole, and then kept true with each change that was made. It
// finds what concerns a few objects without looking at all records, so that a change of one among thousands is planned at once.
// It is not safe for concurrent use.
type view struct {
	federation string
	zone       string
	content    *dns.Content
	// sites are what the content has at each name, read once.
	sites dns.Sites
	// owned are the names that are on record for each owner.
	owned map[string]map[string]bool
	// owners is the inverse.
	owners map[string]dns.Owner
}

func newView(federation, zone string, snapshot dns.Snapshot) *view {
	v := &view{federation: federation, zone: zone, content: dns.NewContent(zone, snapshot.Sets), sites: dns.Survey(snapshot, federation),
		owned: map[string]map[string]bool{}, owners: map[string]dns.Owner{}}
	for name, site := range v.sites {
		if owner, ok := site.Owner(); ok {
			v.own(name, owner)
		}
	}
	return v
}

func (v *view) own(name string, owner dns.Owner) {
	v.disown(name)
	if v.owned[owner.Ref] == nil {
		v.owned[owner.Ref] = map[string]bool{}
	}
	v.owned[owner.Ref][name], v.owners[name] = true, owner
}

func (v *view) disown(name string) {
	ref := v.owners[name].Ref
	delete(v.owners, name)
	delete(v.owned[ref], name)
	if len(v.owned[ref]) == 0 {
		delete(v.owned, ref)
	}
}

// at are the sites of names.
func (v *view) at(names map[string]bool) dns.Sites {
	sites := make(dns.Sites, len(names))
	for name := range names {
		if site := v.sites[name]; site != nil {
			sites[name] = site
		}
	}
	return sites
}

// published are all addresses that the zone holds for one owner.
func (v *view) published(ref string) (found []netip.Addr) {
	for name := range v.owned[ref] {
		found = v.sites[name].Published(found)
	}
	return found
}

// addresses are those of one name, if it is owned by ref.
func (v *view) addresses(ref, name string) (found []netip.Addr) {
	if !v.owned[ref][name] {
		return nil
	}
	for _, set := range v.sites[name].Sets() {
		for _, d := range set.Data {
			if a, err := netip.ParseAddr(d); err == nil && !slices.Contains(found, a) {
				found = append(found, a)
			}
		}
	}
	return found
}

// aliases are the load balancers of which one name is an alias, if it is owned by ref.
func (v *view) aliases(ref, name string) (hosts []string) {
	if !v.owned[ref][name] {
		return nil
	}
	for _, set := range v.sites[name].Sets() {
		if set.Alias != (dns.Alias{}) && !slices.Contains(hosts, set.Alias.Name) {
			hosts = append(hosts, set.Alias.Name)
		}
	}
	return hosts
}

// behind are the addresses behind a load balancer, as the endpoints of the one whose it is say. The zone does not hold them.
func behind(host string, endpoints []dns.Endpoint) (found []netip.Addr) {
	for _, e := range endpoints {
		if slices.ContainsFunc(e.Hostnames, func(h string) bool { return dns.Absolute(h) == host }) {
			for _, a := range e.Addresses {
				found = append(found, a.Unmap())
			}
		}
	}
	return found
}

// made takes up changes that were made. It is false where the view proves to be wrong: then the zone is to be read again.
func (v *view) made(changes []dns.Change) bool {
	if !v.content.Note(changes) {
		return false
	}
	for _, c := range changes {
		v.disown(c.Name)
		// Not from the change: one that is sparse leaves out what stays.
		site := dns.SiteOf(v.federation, v.content.At(c.Name), v.content.At(dns.OwnerName(c.Name)))
		if site.Empty() {
			delete(v.sites, c.Name)
			continue
		}
		v.sites[c.Name] = site
		if owner, ok := site.Owner(); ok {
			v.own(c.Name, owner)
		}
	}
	return true
}
