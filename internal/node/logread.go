package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"
)

// logOptions are the query of a kubelet's containerLogs.
type logOptions struct {
	follow, previous, timestamps bool
	tail                         int64 // -1: all
	limit                        int64 // bytes; -1: none
	since                        time.Time
}

func parseLogOptions(q url.Values, now time.Time) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	var errs []error
	parse := func(key string, set func(string) error) {
		if text := q.Get(key); text != "" {
			if err := set(text); err != nil {
				errs = append(errs, fmt.Errorf("%s=%s: %w", key, text, err))
			}
		}
	}
	truth := func(to *bool) func(string) error {
		return func(s string) (err error) { *to, err = strconv.ParseBool(s); return err }
	}
	number := func(to *int64) func(string) error {
		return func(s string) (err error) { *to, err = strconv.ParseInt(s, 10, 64); return err }
	}
	parse("follow", truth(&o.follow))
	parse("previous", truth(&o.previous))
	parse("timestamps", truth(&o.timestamps))
	parse("tailLines", number(&o.tail))
	parse("limitBytes", number(&o.limit))
	parse("sinceTime", func(s string) (err error) { o.since, err = time.Parse(time.RFC3339, s); return err })
	parse("sinceSeconds", func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		o.since = now.Add(-time.Duration(n) * time.Second)
		return err
	})
	return o, errors.Join(errs...)
}

// copyLog writes what o asks for to out. With follow it goes on until log ends or ctx does; log may be nil where
// nothing will be added.
func copyLog(ctx context.Context, in io.ReadSeeker, log *logFile, o logOptions, out io.Writer, flush func()) error {
	start, err := tailOffset(in, o.tail)
	if err != nil {
		return err
	}
	if _, err := in.Seek(start, io.SeekStart); err != nil {
		return err
	}
	lines := lineWriter{out: out, options: o, left: o.limit}
	for {
		var changed <-chan struct{}
		if o.follow && log != nil {
			changed = log.next() // asked before reading, so that no change is missed
		}
		if _, err := io.Copy(&lines, in); err != nil {
			return ignoreFull(err)
		}
		flush()
		if changed == nil {
			return ignoreFull(lines.finish())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// tailOffset is where the last n lines begin.
func tailOffset(in io.ReadSeeker, n int64) (int64, error) {
	if n < 0 {
		return 0, nil
	}
	if n == 0 {
		return in.Seek(0, io.SeekEnd)
	}
	var starts []int64 // of the last n lines
	var at int64
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			starts = append(starts, at)
			at += int64(len(line))
		}
		if int64(len(starts)) > n {
			starts = starts[1:]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if len(starts) == 0 {
		return 0, nil
	}
	return starts[0], nil
}

var errLimit = errors.New("limit of bytes reached")

func ignoreFull(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// lineWriter takes the time off each line, or leaves it on, and drops lines that are too old.
type lineWriter struct {
	out     io.Writer
	options logOptions
	left    int64
	partial []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	n := len(data)
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			w.partial = append(w.partial, data...)
			return n, nil
		}
		w.partial = append(w.partial, data[:i+1]...)
		data = data[i+1:]
		if err := w.finish(); err != nil {
			return 0, err
		}
	}
}

// finish writes the line that has been gathered.
func (w *lineWriter) finish() error {
	line := w.partial
	w.partial = w.partial[:0]
	stamp, text, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return nil
	}
	if at, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil && at.Before(w.options.since) {
		return nil
	}
	if !w.options.timestamps {
		line = text
	}
	if w.left >= 0 && int64(len(line)) > w.left {
		line = line[:w.left]
	}
	if _, err := w.out.Write(line); err != nil {
		return err
	}
	if w.left >= 0 {
		if w.left -= int64(len(line)); w.left == 0 {
			return errLimit
		}
	}
	return nil
}
