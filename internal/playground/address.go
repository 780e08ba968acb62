package playground

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// apiPort is the port of each cluster's API, on the first address of its range.
const apiPort = 6443

const (
	// firstRange leaves the lower addresses to other programs.
	firstRange = 64
	// serviceRange is left out: pods in 127.N show addresses in 10.N, and 10.96 belongs to Services.
	serviceRange = 96
)

// Reserve gives a cluster a range of its own: 127.N.0.0/16. A symbolic link in the temporary folder, from the range to
// the cluster's folder, keeps other playgrounds off it also while the cluster does not run. A link to a folder that is
// gone counts for nothing. The cluster's folder must exist.
func Reserve(folder string) (netip.Prefix, error) {
	unlock, err := lock(context.Background(), os.TempDir(), func() {})
	if err != nil {
		return netip.Prefix{}, err
	}
	defer unlock()
	for _, i := range rand.Perm(256 - firstRange) {
		n := byte(firstRange + i)
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, n, 0, 0}), 16)
		if n == serviceRange || !isFree(prefix) {
			continue
		}
		if err := link(prefix, folder); err == nil {
			return prefix, nil
		}
	}
	return netip.Prefix{}, errors.New("no part of 127.0.0.0/8 is free for another cluster: take down a playground that is not needed")
}

// claim makes sure of a range that the cluster had before, for example after the temporary folder was emptied.
func claim(prefix netip.Prefix, folder string) error {
	unlock, err := lock(context.Background(), os.TempDir(), func() {})
	if err != nil {
		return err
	}
	defer unlock()
	return link(prefix, folder)
}

func reservation(prefix netip.Prefix) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("kubefed-playground-127.%d", prefix.Addr().As4()[1]))
}

func link(prefix netip.Prefix, folder string) error {
	path := reservation(prefix)
	owner, err := os.Readlink(path)
	if err == nil && owner == folder {
		return nil
	}
	if err == nil {
		if _, err := os.Stat(owner); err == nil {
			return fmt.Errorf("the addresses %s belong to the cluster in %s", prefix, owner)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(folder, path)
}

// abandoned says that an address has the form of a playground's, and that no playground has it any more.
func abandoned(server string) bool {
	parsed, err := url.Parse(server)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(parsed.Hostname())
	if err != nil || !addr.Is4() {
		return false
	}
	prefix, err := addr.Prefix(16)
	if err != nil || addr.As4()[0] != 127 || addr.As4()[1] < firstRange || server != serverURL(prefix) {
		return false
	}
	_, err = os.Stat(reservation(prefix)) // follows the link
	return errors.Is(err, fs.ErrNotExist) && isFree(prefix)
}

// Release gives back what Reserve gave to a cluster's folder.
func Release(prefix netip.Prefix, folder string) error {
	path := reservation(prefix)
	if owner, err := os.Readlink(path); err != nil || owner != folder {
		return nil
	}
	return os.Remove(path)
}

func isFree(prefix netip.Prefix) bool {
	listener, err := net.Listen("tcp", apiAddress(prefix))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

func apiAddress(prefix netip.Prefix) string {
	return net.JoinHostPort(prefix.Addr().Next().String(), strconv.Itoa(apiPort))
}

func serverURL(prefix netip.Prefix) string { return "https://" + apiAddress(prefix) }
