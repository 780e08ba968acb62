package coredns

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kubefed.dev/kubefed/pkg/dns"
)

// Config is what a provider is made of.
type Config struct {
	// Endpoints of etcd.
	Endpoints []string
	// Zones are those that CoreDNS' etcd plugin serves.
	Zones []string
	// Prefix is the plugin's path; /skydns by default.
	Prefix string
	// TLS, where etcd asks for it.
	TLS *tls.Config
	// Username and Password, where etcd asks for them.
	Username, Password string
	// Servers are CoreDNS' addresses, HOST:PORT, that Await asks.
	Servers []string
	// Timeout is how long one request may take; 10 s by default.
	Timeout time.Duration
}

const (
	defaultPrefix  = "/skydns"
	defaultTimeout = 10 * time.Second
	// maxRecords is how many keys one change may touch: etcd allows 128 operations in a transaction.
	maxRecords = 110
	// pageSize is how many keys are read at once.
	pageSize = 2000
)

// Provider writes zones that CoreDNS reads from etcd.
type Provider struct {
	config Config

	connecting sync.Mutex
	client     *clientv3.Client

	mu sync.Mutex
	// promised are sets of the last versions, order their order.
	promised map[string][]dns.RecordSet
	order    []string
}

var _ dns.Provider = (*Provider)(nil)

// New checks the configuration. It asks etcd nothing.
func New(config Config) (*Provider, error) {
	if len(config.Endpoints) == 0 {
		return nil, errors.New("no endpoint of etcd: name at least one, such as https://10.0.0.1:2379")
	}
	if len(config.Zones) == 0 {
		return nil, errors.New("no zone: name at least one that CoreDNS' etcd plugin serves")
	}
	config.Zones = slices.Clone(config.Zones)
	for i := range config.Zones {
		config.Zones[i] = dns.Absolute(config.Zones[i])
	}
	config.Prefix = strings.TrimSuffix(cmp.Or(config.Prefix, defaultPrefix), "/")
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	return &Provider{config: config, promised: map[string][]dns.RecordSet{}}, nil
}

// connect makes the client once: with a user it asks etcd for a token, so that it waits for an answer.
func (p *Provider) connect() (*clientv3.Client, error) {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.client != nil {
		return p.client, nil
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: p.config.Endpoints, TLS: p.config.TLS, Username: p.config.Username, Password: p.config.Password,
		DialTimeout: p.config.Timeout, DialKeepAliveTime: 30 * time.Second, DialKeepAliveTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	p.client = client
	return client, nil
}

// Close ends the connections.
func (p *Provider) Close() error {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.client == nil {
		return nil
	}
	return p.client.Close()
}

// Zones implements dns.Provider.
func (p *Provider) Zones(context.Context) ([]dns.Zone, error) {
	var zones []dns.Zone
	for _, name := range p.config.Zones {
		zones = append(zones, dns.Zone{Name: name, Limits: dns.Limits{MaxChanges: maxRecords}})
	}
	return zones, nil
}

// contents are a zone's entries at a revision, and what they answer.
type contents struct {
	revision int64
	entries  map[string]entry
	// of are the keys that make up a set, at those of a name.
	of   map[dns.Key][]string
	at   map[string][]string
	sets []dns.RecordSet
}

// Records implements dns.Provider. A message that someone else wrote is read at both names for which CoreDNS answers with it.
func (p *Provider) Records(ctx context.Context, zone string) (dns.Snapshot, error) {
	c, err := p.read(ctx, zone)
	if err != nil {
		return dns.Snapshot{}, err
	}
	return dns.Snapshot{Version: version(c.revision), Sets: c.sets}, nil
}

func version(revision int64) string { return strconv.FormatInt(revision, 10) }

// read reads a zone as it was at one revision.
func (p *Provider) read(ctx context.Context, zone string) (*contents, error) {
	if !slices.Contains(p.config.Zones, zone) {
		return nil, &dns.Error{Kind: dns.NotFound, Subject: zone, Err: errors.New("not among the zones of this provider")}
	}
	c := &contents{entries: map[string]entry{}, of: map[dns.Key][]string{}, at: map[string][]string{}}
	apex := pathOf(p.config.Prefix, zone)
	from, end := apex, clientv3.GetPrefixRangeEnd(apex+"/")
	for {
		options := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageSize)}
		if c.revision > 0 {
			options = append(options, clientv3.WithRev(c.revision))
		}
		reply, err := p.get(ctx, from, options...)
		if err != nil {
			return nil, classify(zone, err)
		}
		if c.revision == 0 {
			c.revision = reply.Header.Revision
		}
		for _, kv := range reply.Kvs {
			e := entry{key: string(kv.Key), revision: kv.ModRevision}
			if e.key != apex && !strings.HasPrefix(e.key, apex+"/") {
				continue // Such as that of "global-test" beside "global".
			}
			if json.Unmarshal(kv.Value, &e.message) != nil {
				e.message = message{Type: unreadable, Data: string(kv.Value)}
			}
			c.entries[e.key] = e
		}
		if !reply.More {
			c.sort(p.config.Prefix, zone)
			return c, nil
		}
		from = string(reply.Kvs[len(reply.Kvs)-1].Key) + "\x00"
	}
}

func (p *Provider) get(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	client, err := p.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	return client.Get(ctx, key, options...)
}

// sort makes sets of entries.
func (c *contents) sort(prefix, zone string) {
	sets := map[dns.Key]*dns.RecordSet{}
	for key, e := range c.entries {
		t, datum := e.message.decode()
		for _, name := range e.names(prefix) {
			if !dns.InZone(name, zone) {
				continue
			}
			k := dns.Key{Name: name, Type: t}
			if sets[k] == nil {
				sets[k] = &dns.RecordSet{Name: name, Type: t, TTL: e.message.TTL}
			}
			sets[k].TTL = min(sets[k].TTL, e.message.TTL)
			sets[k].Data = append(sets[k].Data, datum)
			c.of[k] = append(c.of[k], key)
			c.at[name] = append(c.at[name], key)
		}
	}
	for _, set := range sets {
		c.sets = append(c.sets, set.Canonical())
	}
	slices.SortFunc(c.sets, func(a, b dns.RecordSet) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
	})
}

// classify makes an error of etcd one that the callers of a provider know.
func classify(subject string, err error) error {
	if known, ok := errors.AsType[*dns.Error](err); ok {
		return known
	}
	kind, advice := dns.Unavailable, "see that etcd answers at the configured endpoints"
	code := status.Code(err)
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		code = e.Code()
	}
	switch code {
	case codes.Unauthenticated, codes.PermissionDenied:
		kind, advice = dns.Denied, "check the user, its password and its role's right to the prefix"
	case codes.InvalidArgument:
		kind, advice = dns.Invalid, "publish fewer addresses under this name"
	case codes.ResourceExhausted:
		kind, advice = dns.Throttled, "etcd is out of space or takes no more requests; its alarms say which"
	}
	return &dns.Error{Kind: kind, Subject: subject, Err: fmt.Errorf("%w; %s", err, advice)}
}
