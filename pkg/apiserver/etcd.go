package apiserver

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// socketPathLimit is what Linux and macOS allow for the path of a unix socket, with a margin.
const socketPathLimit = 100

// etcd is an etcd of one member in this process, reached through a unix socket alone: no port, no certificates.
type etcd struct {
	server    *embed.Etcd
	endpoint  string
	socketDir string
	logLevel  zap.AtomicLevel
}

// startEtcd starts etcd on dir/etcd, which the caller has locked. What it has acknowledged survives a crash.
func startEtcd(dir string) (_ *etcd, err error) {
	e := &etcd{logLevel: zap.NewAtomicLevelAt(zap.ErrorLevel)}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.socketDir, err = makeSocketDir(dir); err != nil {
		return nil, fmt.Errorf("making a directory for the socket of etcd: %w", err)
	}
	config := etcdConfig(filepath.Join(dir, "etcd"), filepath.Join(e.socketDir, "etcd.sock"))
	e.endpoint = config.ListenClientUrls[0].String()
	logging := zap.NewProductionConfig()
	logging.Level = e.logLevel
	logger, err := logging.Build()
	if err != nil {
		return nil, fmt.Errorf("starting the log of etcd: %w", err)
	}
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	if e.server, err = embed.StartEtcd(config); err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", config.Dir, err)
	}
	select {
	case <-e.server.Server.ReadyNotify():
		return e, nil
	case err := <-e.server.Err():
		return nil, fmt.Errorf("starting etcd in %s: %w", config.Dir, err)
	case <-time.After(time.Minute):
		return nil, errors.New("etcd is not ready after a minute: look at the log for what holds it back")
	}
}

// makeSocketDir makes a directory that only this user may enter and only this start uses: in dir, or where that path is
// too long for a socket, among the temporary files. What a killed process left in dir goes.
func makeSocketDir(dir string) (string, error) {
	const prefix = "run-"
	stale, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, old := range stale {
		if err := os.RemoveAll(old); err != nil {
			return "", err
		}
	}
	if len(filepath.Join(dir, prefix+"0123456789", "etcd.sock")) > socketPathLimit {
		dir, err = os.MkdirTemp("", "kubefed-")
		return dir, err
	}
	return os.MkdirTemp(dir, prefix)
}

func etcdConfig(dir, socket string) *embed.Config {
	// etcd preallocates two segments; its default of 64 MB each is more than most federations hold.
	wal.SegmentSizeBytes = 16 << 20
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	config.ListenPeerUrls = nil
	// Advertised addresses must have a port, although nobody uses them.
	nowhere := url.URL{Scheme: "http", Host: "localhost:0"}
	config.AdvertiseClientUrls = []url.URL{nowhere}
	config.AdvertisePeerUrls = []url.URL{nowhere}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// The only member waits one election timeout for rivals that can't exist.
	config.TickMs, config.ElectionMs = 50, 500
	// Entries since the last snapshot are kept in memory; nobody has to catch up.
	config.SnapshotCount, config.SnapshotCatchUpEntries = 5000, 100
	config.QuotaBackendBytes = 8 << 30
	return config
}

// failed tells of an etcd that ended by itself. It never does for an external etcd.
func (e *etcd) failed() <-chan error {
	if e == nil {
		return nil
	}
	return e.server.Err()
}

// Close stops etcd after what was acknowledged is on disk.
func (e *etcd) Close() {
	if e.server != nil {
		e.logLevel.SetLevel(zap.DPanicLevel) // it calls closing its own listeners an error
		e.server.Server.Stop()
		// The data is closed. What is left are streams of this process' own clients, for which it would wait seconds.
		go e.server.Close()
	}
	if e.socketDir != "" {
		os.RemoveAll(e.socketDir)
	}
}
