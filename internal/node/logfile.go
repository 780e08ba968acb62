package node

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// logFile is what a container writes: a file of lines, each after the time at which it came. Safe for concurrent use.
type logFile struct {
	path string

	mu      sync.Mutex
	file    *os.File
	partial bool // the last line has no end yet
	changed chan struct{}
	closed  bool
}

func createLog(path string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, file: f, changed: make(chan struct{})}, nil
}

// Write adds to the log. It never fails: a full disk is not to stop a container.
func (l *logFile) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(data), nil
	}
	now := time.Now().UTC().Format(time.RFC3339Nano) + " "
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		if !l.partial {
			out.WriteString(now)
		}
		out.Write(line)
		l.partial = line[len(line)-1] != '\n'
	}
	l.file.Write(out.Bytes())
	l.wake()
	return len(data), nil
}

func (l *logFile) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Close ends the log; followers end when they have read it.
func (l *logFile) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.file.Close()
		l.wake()
	}
}

// next returns a channel that is closed at the next change, nil where there will be none.
func (l *logFile) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	return l.changed
}
