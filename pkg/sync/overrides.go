package sync

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/override"
	"kubefed.dev/kubefed/pkg/policy"
)

// overrides keeps the override policies, each compiled once per generation.
type overrides struct {
	mu       sync.Mutex
	compiled map[policyKey]*override.Policy
	set      *override.Set // of all that are compiled; nil where it has to be made anew
}

type policyKey struct{ namespace, name string }

// current are the policies in force.
func (o *overrides) current() *override.Set {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.set == nil {
		o.set = override.NewSet(slices.Collect(maps.Values(o.compiled))...)
	}
	return o.set
}

// replace puts a policy in the place of the one of its name, nil takes that away. It returns the former one.
func (o *overrides) replace(key policyKey, p *override.Policy) *override.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()
	former := o.compiled[key]
	if p == nil {
		delete(o.compiled, key)
	} else {
		if o.compiled == nil {
			o.compiled = map[policyKey]*override.Policy{}
		}
		o.compiled[key] = p
	}
	o.set = nil
	return former
}

func (o *overrides) get(key policyKey) *override.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.compiled[key]
}

// overrideChanged takes a policy over and has what it selected before or selects now rendered anew, in the clusters that
// it meant or means.
func (c *Controller) overrideChanged(key policyKey, generation int64, gone bool, compile func() (*override.Policy, error)) {
	if former := c.view.overrides.get(key); !gone && former != nil && former.Generation == generation {
		if p, _ := compile(); p != nil && p.UID == former.UID {
			return // only its metadata changed
		}
	}
	var now *override.Policy
	if !gone {
		p, err := compile()
		if err != nil {
			c.view.log.Error(err, "override policy not usable", "namespace", key.namespace, "name", key.name)
		}
		if p == nil {
			return // whom it is for is unknown: what was in force stays
		}
		now = p
	}
	former := c.view.overrides.replace(key, now)
	policies := slices.DeleteFunc([]*override.Policy{former, now}, func(p *override.Policy) bool { return p == nil })
	c.rerender(policies, c.meant(policies))
}

// meant are the members in which any of the policies changes something.
func (c *Controller) meant(policies []*override.Policy) []*member {
	return slices.DeleteFunc(c.all(), func(m *member) bool {
		cl, err := c.view.anyCluster(context.Background(), m.Name)
		if err != nil || cl == nil {
			return err == nil // what can't be read is looked at
		}
		at := policy.ClusterOf(cl)
		return !slices.ContainsFunc(policies, func(p *override.Policy) bool { return p.MeansAny(&at) })
	})
}

// siteChanged has the objects rendered anew in a cluster whose labels or whereabouts changed, by the policies to which
// that makes a difference.
func (c *Controller) siteChanged(before, after *federation.Cluster) {
	was, is := policy.ClusterOf(before), policy.ClusterOf(after)
	if maps.Equal(was.Labels, is.Labels) && was.Provider == is.Provider && was.Region == is.Region && slices.Equal(was.Zones, is.Zones) {
		return
	}
	var differ []*override.Policy
	c.view.overrides.current().All(func(p *override.Policy) {
		if p.Differs(&was, &is) {
			differ = append(differ, p)
		}
	})
	if m := c.member(after.Name); m != nil {
		c.rerender(differ, []*member{m})
	}
}

// rerender has what any of the policies selects looked at in members that have dealt with it.
func (c *Controller) rerender(policies []*override.Policy, members []*member) {
	if len(policies) == 0 || len(members) == 0 {
		return
	}
	kinds, all := map[schema.GroupKind]bool{}, false
	namespace := policies[0].Namespace
	for _, p := range policies {
		named, any := p.Kinds()
		for _, gk := range named {
			kinds[gk] = true
		}
		all = all || any
		if p.Namespace == "" {
			namespace = ""
		}
	}
	for _, k := range c.view.catalog.Kinds() {
		if !all && !kinds[k.GroupKind()] {
			continue
		}
		if err := c.view.catalog.Each(context.Background(), k, namespace, func(obj *unstructured.Unstructured) {
			c.rerenderOne(k, obj, policies, members)
		}); err != nil {
			c.view.log.Error(err, "objects not looked at after a change of override policies", "kind", k.Kind)
		}
	}
}

func (c *Controller) rerenderOne(k kind.Kind, obj *unstructured.Unstructured, policies []*override.Policy, members []*member) {
	if !slices.ContainsFunc(policies, func(p *override.Policy) bool { return p.Selects(k.GroupKind(), obj) }) {
		return
	}
	key := Key{GroupKind: k.GroupKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
	for _, m := range members {
		if m.see(key).decided {
			m.enqueue(key)
		}
	}
}
