package publish

import (
	"context"
	"fmt"
	"kubefed.dev/kubefed/pkg/dns/named"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// evaluate keeps the board up to date until ctx ends.
func (p *Publisher) evaluate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.inbox.wake:
		case <-time.After(readInterval):
			if !p.heard() {
				continue
			}
			p.inbox.addAll()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.options.coalesce):
		}
		keys, all := p.inbox.take()
		var err error
		if all {
			err = p.evaluateAll(ctx)
		} else {
			err = p.evaluateSome(ctx, keys)
		}
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "evaluating names")
			p.inbox.addAll()
		}
	}
}

// readInterval is how often clusters that were not read yet are asked for.
const readInterval = 500 * time.Millisecond

// heard says whether a cluster was read since the last time. Of one that does not have an object no change is told.
func (p *Publisher) heard() bool {
	now := map[string]bool{}
	for _, gk := range named.Kinds {
		for _, c := range p.facts.clusters {
			if p.source.Read(Key{Group: gk.Group, Kind: gk.Kind}, c.Name) {
				now[gk.Kind+"/"+c.Name] = true
			}
		}
	}
	before := p.read
	p.read = now
	return !maps.Equal(before, now)
}

// evaluateAll takes up clusters and policies, and then every object.
func (p *Publisher) evaluateAll(ctx context.Context) error {
	if err := p.takeFacts(ctx); err != nil {
		return err
	}
	keys := map[Key]bool{}
	for _, ref := range p.board.refs() {
		key, _ := named.KeyOfRef(ref)
		keys[key] = true
	}
	for _, gk := range named.Kinds {
		k, known := p.catalog.Lookup(gk)
		if !known {
			continue
		}
		if err := p.catalog.Each(ctx, k, "", func(obj *unstructured.Unstructured) {
			keys[Key{Group: gk.Group, Kind: gk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}] = true
		}); err != nil {
			return err
		}
	}
	return p.evaluateSome(ctx, keys)
}

func (p *Publisher) evaluateSome(ctx context.Context, keys map[Key]bool) error {
	changed, retold := map[string]*entry{}, map[string]*entry{}
	for key := range keys {
		e, err := p.entry(ctx, key)
		if err != nil {
			return err
		}
		ref := key.Ref()
		before, _ := p.board.get(ref)
		switch {
		case e == nil && before == nil, e != nil && before != nil && reflect.DeepEqual(e, before):
			continue
		case e != nil && before != nil && reflect.DeepEqual(e.subject, before.subject) && e.UID == before.UID:
			retold[ref] = e // what is told of it changed, not what is published
		default:
			changed[ref] = e
		}
	}
	touched := p.board.put(changed, retold)
	held := 0
	if s := p.board.suspects(); s != nil {
		held = s.Endpoints
	}
	suspicious.Set(float64(held))
	if len(touched) > 0 {
		for _, w := range p.workers {
			w.mark(touched...)
		}
	}
	p.writer.mark(slices.Concat(touched, slices.Collect(maps.Keys(retold)))...)
	return nil
}

// entry evaluates one object, nil for one without names.
func (p *Publisher) entry(ctx context.Context, key Key) (*entry, error) {
	obj, err := p.catalog.Get(ctx, key.GroupKind(), key.Namespace, key.Name)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		p.ask(key, nil)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key.Ref(), err)
	}
	o, named := named.ObjectOf(key.GroupKind(), obj)
	if !named {
		p.ask(key, nil)
		return nil, nil
	}
	e := p.facts.entryOf(o, p.source.Endpoints(key))
	if e != nil {
		p.ask(key, e.settings.Probe)
		if again := p.moves.keep(e, p.options.now()); again > 0 {
			time.AfterFunc(again, func() { p.inbox.add(key) })
		}
	}
	return e, nil
}

// ask tells the source which probe is in force, where that changed.
func (p *Publisher) ask(key Key, probe *federation.EndpointProbe) {
	if before := p.asked[key]; reflect.DeepEqual(before, probe) {
		return
	}
	if probe == nil {
		delete(p.asked, key)
	} else {
		p.asked[key] = probe
	}
	p.source.Ask(key, probe)
}

// withheld says whether an object's settings are that it has no names.
func (p *Publisher) withheld(o Object) bool {
	p.factsMu.RLock()
	defer p.factsMu.RUnlock()
	return p.facts.entryOf(o, nil) == nil
}

// takeFacts reads clusters and policies from the cache.
func (p *Publisher) takeFacts(ctx context.Context) error {
	var list federation.ClusterList
	if err := p.clients.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing clusters: %w", err)
	}
	var clusters []Cluster
	for i := range list.Items {
		if c, stays := ClusterOf(&list.Items[i]); stays {
			clusters = append(clusters, c)
		}
	}
	slices.SortFunc(clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	policies, err := p.policies(ctx)
	if err != nil {
		return err
	}
	confirmed, err := p.assent(ctx)
	if err != nil {
		return err
	}
	p.places.set(clusters)
	p.factsMu.Lock()
	before := p.facts.confirmed
	p.facts.clusters, p.facts.policies, p.facts.confirmed = clusters, policies, confirmed
	p.factsMu.Unlock()
	if !confirmed.Equal(before) {
		for _, w := range p.workers {
			w.again(nil, true)
			w.poke()
		}
	}
	return nil
}

// policies compiles all policies. One that can't be compiled, which admission refuses, selects nothing.
func (p *Publisher) policies(ctx context.Context) (compiled []*policy.Propagation, err error) {
	var namespaced federation.PropagationPolicyList
	if err := p.clients.Cache.List(ctx, &namespaced, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing propagation policies: %w", err)
	}
	var anywhere federation.ClusterPropagationPolicyList
	if err := p.clients.Cache.List(ctx, &anywhere, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing cluster propagation policies: %w", err)
	}
	for i := range namespaced.Items {
		if one, err := policy.OfNamespace(&namespaced.Items[i]); err == nil {
			compiled = append(compiled, one)
		}
	}
	for i := range anywhere.Items {
		if one, err := policy.OfCluster(&anywhere.Items[i]); err == nil {
			compiled = append(compiled, one)
		}
	}
	return compiled, nil
}

func sameCluster(a, b Cluster) bool { return reflect.DeepEqual(a, b) }
