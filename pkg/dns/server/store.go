package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"kubefed.dev/kubefed/pkg/dns"
)

// store keeps a zone in a file: a line with all sets, and a line for each change after it. A line that was cut off by a crash is
// left out; what it said was never answered for long, and the planner writes it again.
type store struct {
	path string
	file *os.File
	// base and grown are the octets of the first line and of those after it.
	base, grown int64
}

// entry is a line.
type entry struct {
	Serial  uint32          `json:"serial"`
	All     bool            `json:"all,omitempty"`
	Removed []dns.RecordSet `json:"removed,omitempty"`
	Added   []dns.RecordSet `json:"added,omitempty"`
}

// compactAbove is how many octets of changes are kept at least before the file is written anew.
const compactAbove = 1 << 20

// loadStore reads a zone's file. Without one, serial is 0.
func loadStore(path string) (sets []dns.RecordSet, serial uint32, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	content := map[dns.Key]dns.RecordSet{}
	for r := bufio.NewReaderSize(file, 1<<16); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // Without its end a line was cut off.
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading %s: %w", path, err)
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, 0, fmt.Errorf("reading %s: %w; remove the file to begin with an empty zone, which the federation fills again", path, err)
		}
		if e.All {
			clear(content)
		}
		for _, s := range e.Removed {
			delete(content, s.Key())
		}
		for _, s := range e.Added {
			content[s.Key()] = s
		}
		serial = e.Serial
	}
	for _, s := range content {
		sets = append(sets, s)
	}
	return sets, serial, nil
}

// append writes a change; all gives the whole zone if the file is to be written anew.
func (s *store) append(e entry, all func() []dns.RecordSet) error {
	if s.path == "" {
		return nil
	}
	if s.file == nil || s.grown > max(s.base, compactAbove) {
		return s.compact(entry{Serial: e.Serial, All: true, Added: all()})
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := s.file.Write(append(line, '\n'))
	s.grown += int64(n)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		_ = s.file.Close()
		s.file = nil // The next change writes the file anew.
	}
	return err
}

func (s *store) compact(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	if err := replaceFile(s.path, append(line, '\n')); err != nil {
		return err
	}
	s.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0o600)
	s.base, s.grown = int64(len(line)), 0
	return err
}

func (s *store) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// replaceFile writes a file as a whole or not at all, also when the machine stops.
func replaceFile(path string, data []byte) (err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	file, err := os.CreateTemp(dir.Name(), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if _, err = io.Copy(file, bytes.NewReader(data)); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return dir.Sync()
}
