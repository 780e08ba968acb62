package coredns

import (
	"context"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
	"kubefed.dev/kubefed/pkg/dns/server"
)

const zoneName = "fed.example."

// startEtcd is a real etcd for one test.
func startEtcd(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "coredns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config := embed.NewConfig()
	config.Dir = dir
	anywhere := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{anywhere}, nil
	nowhere := url.URL{Scheme: "http", Host: "localhost:0"}
	config.AdvertiseClientUrls = []url.URL{nowhere}
	config.AdvertisePeerUrls = []url.URL{nowhere}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.TickMs, config.ElectionMs = 50, 500
	config.UnsafeNoFsync = true
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd is not ready after a minute")
	}
	return "http://" + etcd.Clients[0].Addr().String()
}

func start(t *testing.T) *Provider {
	t.Helper()
	p, err := New(Config{Endpoints: []string{startEtcd(t)}, Zones: []string{zoneName}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestConformance(t *testing.T) {
	dnstest.Run(t, start(t), zoneName)
}

func set(name string, t dns.Type, data ...string) dns.RecordSet {
	return dns.RecordSet{Name: name, Type: t, TTL: 20, Data: data}
}

// TestForeign: what others wrote is seen at each name for which CoreDNS answers with it, and never replaced by what does not name it.
func TestForeign(t *testing.T) {
	p := start(t)
	etcd, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"/skydns/example/fed/www/3ad2f1c0": `{"host":"192.0.2.1","ttl":60}`,
		"/skydns/example/fed/mail":         `{"host":"mx.example.net","mail":true,"priority":10}`,
		"/skydns/example/fed/port/a":       `{"host":"web.fed.example","port":80,"priority":1,"weight":2}`,
		"/skydns/example/fed/text/a":       `{"text":"hello"}`,
		"/skydns/example/fed/alias/a":      `{"host":"web.fed.example"}`,
		"/skydns/example/fed/broken":       `{`,
		"/skydns/example/fed":              `{"host":"192.0.2.9"}`,
		"/skydns/example/fed-other/www/x1": `{"host":"192.0.2.1"}`,
		"/skydns/example/fed/copy/x1":      `{"host":"192.0.2.3","group":"other.fed.example.","rrtype":"A","data":"192.0.2.3"}`,
	} {
		if _, err := etcd.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := p.Records(t.Context(), zoneName)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range snapshot.Sets {
		got = append(got, s.String())
	}
	want := []string{
		"3ad2f1c0.www.fed.example. 60 A 192.0.2.1", "www.fed.example. 60 A 192.0.2.1",
		"mail.fed.example. 0 MX 10 mx.example.net.", "fed.example. 0 MX 10 mx.example.net.",
		"a.port.fed.example. 0 SRV 1 2 80 web.fed.example.", "port.fed.example. 0 SRV 1 2 80 web.fed.example.",
		`a.text.fed.example. 0 TXT "hello"`, `text.fed.example. 0 TXT "hello"`,
		"a.alias.fed.example. 0 CNAME web.fed.example.", "alias.fed.example. 0 CNAME web.fed.example.",
		"broken.fed.example. 0 UNREADABLE {", "fed.example. 0 UNREADABLE {",
		"fed.example. 0 A 192.0.2.9",
		"x1.copy.fed.example. 0 A 192.0.2.3", "copy.fed.example. 0 A 192.0.2.3",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	www := "www." + zoneName
	fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}
	receipt, err := p.Apply(t.Context(), zoneName, fence, []dns.Change{{Name: www, After: []dns.RecordSet{set(www, dns.A, "192.0.2.7")}}})
	if err != nil || len(receipt.Failed) != 1 || dns.KindOf(receipt.Failed[0].Err) != dns.Conflict {
		t.Errorf("%+v, error %v; want a conflict", receipt, err)
	}
	// Adopted as it is, it becomes the federation's.
	old := set(www, dns.A, "192.0.2.1")
	old.TTL = 60
	receipt, err = p.Apply(t.Context(), zoneName, fence, []dns.Change{{Name: www, Before: []dns.RecordSet{old}, After: []dns.RecordSet{set(www, dns.A, "192.0.2.7")}}})
	if err != nil || len(receipt.Failed) != 0 {
		t.Errorf("%+v, error %v; want no failure", receipt, err)
	}
	keys, err := etcd.Get(t.Context(), "/skydns/example/fed/www/", clientv3.WithPrefix())
	if err != nil || len(keys.Kvs) != 1 || string(keys.Kvs[0].Key) != "/skydns/example/fed/www/x1" {
		t.Errorf("%+v, error %v; want x1 alone", keys, err)
	}
}

// TestMessages: what CoreDNS is given, and that it comes back as it was.
func TestMessages(t *testing.T) {
	name := "web." + zoneName
	for _, test := range []struct {
		set  dns.RecordSet
		want string
	}{
		{set(name, dns.A, "192.0.2.1"), `{"host":"192.0.2.1","ttl":20,"group":"web.fed.example.","rrtype":"A","data":"192.0.2.1"}`},
		{set(name, dns.CNAME, "x.fed.example."), `{"host":"x.fed.example","ttl":20,"group":"web.fed.example.","rrtype":"CNAME","data":"x.fed.example."}`},
		{set(name, dns.TXT, dns.Quote(`a "b"`)), `{"text":"a \"b\"","ttl":20,"group":"web.fed.example.","rrtype":"TXT","data":"\"a \\\"b\\\"\""}`},
		{set(name, dns.SRV, "0 0 80 x.fed.example."), `{"host":"x.fed.example","port":80,"priority":1,"weight":1,"ttl":20,"group":"web.fed.example.","rrtype":"SRV","data":"0 0 80 x.fed.example."}`},
	} {
		got, err := encode(test.set, test.set.Data[0])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.set, diff)
		}
	}
	if _, err := encode(set(name, "MX", "10 x."), "10 x."); err == nil {
		t.Error("a type that CoreDNS' plugin does not know was encoded")
	}
}

func TestUnavailable(t *testing.T) {
	p, err := New(Config{Endpoints: []string{"http://127.0.0.1:1"}, Zones: []string{zoneName}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Records(t.Context(), zoneName); dns.KindOf(err) != dns.Unavailable {
		t.Errorf("error %v, want one of kind Unavailable", err)
	}
}

// TestAwait waits for a server that has a change later than etcd.
func TestAwait(t *testing.T) {
	p := start(t)
	later, err := server.New(server.Config{Listen: []string{"127.0.0.1:0"}, Zones: []server.Zone{{Name: zoneName, Servers: map[string][]netip.Addr{"ns1.example.net.": nil}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := later.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(later.Wait)
	p.config.Servers = []string{later.Addresses()[0].String()}
	name := "web." + zoneName
	changes := []dns.Change{{Name: name, After: []dns.RecordSet{set(name, dns.A, "192.0.2.1")}}}
	fence := dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}
	receipt, err := p.Apply(t.Context(), zoneName, fence, changes)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Await(short, zoneName, receipt); dns.KindOf(err) != dns.Unavailable || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("error %v, want one that says what is not there yet", err)
	}
	if _, err := later.Apply(t.Context(), zoneName, fence, changes); err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), zoneName, receipt); err != nil {
		t.Error(err)
	}
}
