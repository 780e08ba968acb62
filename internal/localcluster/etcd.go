package localcluster

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// socketPathLimit is what Linux and macOS allow for the path of a unix socket, less what etcd appends.
const socketPathLimit = 100

type etcdServer struct {
	server   *embed.Etcd
	endpoint string
}

// startEtcd starts a single etcd that is reached through a unix socket alone, so it needs no port and no certificates.
func startEtcd(dir string) (*etcdServer, error) {
	socket := filepath.Join(dir, "etcd.sock")
	if len(socket) > socketPathLimit {
		return nil, fmt.Errorf("the path %s is too long for a socket: choose a folder of at most %d characters",
			socket, socketPathLimit-len("/etcd.sock"))
	}
	// etcd preallocates two segments; its default of 64 MB each is many times the data of a local cluster.
	wal.SegmentSizeBytes = 4 << 20
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	endpoint := url.URL{Scheme: "unix", Path: socket}
	config.ListenClientUrls = []url.URL{endpoint}
	config.ListenPeerUrls = nil
	// Advertised addresses must have a port, although nobody uses them.
	nowhere := url.URL{Scheme: "http", Host: "localhost:0"}
	config.AdvertiseClientUrls = []url.URL{nowhere}
	config.AdvertisePeerUrls = []url.URL{nowhere}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.TickMs, config.ElectionMs = 20, 200
	config.UnsafeNoFsync = true
	config.SnapshotCount = 2000
	config.SnapshotCatchUpEntries = 500
	config.LogLevel = "error"
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", config.Dir, err)
	}
	e := &etcdServer{server: server, endpoint: endpoint.String()}
	select {
	case <-server.Server.ReadyNotify():
		return e, nil
	case err := <-server.Err():
		server.Close()
		return nil, fmt.Errorf("starting etcd in %s: %w", config.Dir, err)
	case <-time.After(time.Minute):
		server.Close()
		return nil, errors.New("etcd is not ready after a minute: look at the log for what holds it back")
	}
}

func (e *etcdServer) failed() <-chan error { return e.server.Err() }

// Close closes the store. It does not wait for clients as embed.Etcd.Close does: the only client ends with this process.
func (e *etcdServer) Close() { e.server.Server.HardStop() }
