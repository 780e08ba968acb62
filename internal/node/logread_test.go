package node

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCopyLog(t *testing.T) {
	stamp := "2026-01-02T03:04:0"
	text := stamp + "1Z one\n" + stamp + "2Z two\n" + stamp + "3Z \n" + stamp + "4Z four"
	for _, tc := range []struct{ name, query, want string }{
		{"all", "", "one\ntwo\n\nfour"},
		{"tail", "tailLines=2", "\nfour"},
		{"tail of none", "tailLines=0", ""},
		{"long tail", "tailLines=9", "one\ntwo\n\nfour"},
		{"times", "tailLines=1&timestamps=true", stamp + "4Z four"},
		{"limit", "limitBytes=5", "one\nt"},
		{"since time", "sinceTime=" + stamp + "3Z", "\nfour"},
		{"since seconds", "sinceSeconds=2", "\nfour"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			query, _ := url.ParseQuery(tc.query) // a literal above
			o, err := parseLogOptions(query, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := copyLog(t.Context(), strings.NewReader(text), nil, o, &out, func() {}); err != nil || out.String() != tc.want {
				t.Errorf("copyLog() = %v, %q; want %q", err, out.String(), tc.want)
			}
		})
	}
	if _, err := parseLogOptions(url.Values{"tailLines": {"x"}}, time.Now()); err == nil {
		t.Error("a tail of x lines was accepted")
	}
}

func TestFollowLog(t *testing.T) {
	log, err := createLog(filepath.Join(t.TempDir(), "logs", "c.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	log.Write([]byte("one\nt"))
	file, err := os.Open(log.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out bytes.Buffer
	flushed := make(chan struct{}, 10)
	var following sync.WaitGroup
	following.Go(func() {
		err = copyLog(t.Context(), file, log, logOptions{follow: true, tail: -1, limit: -1}, &out, func() { flushed <- struct{}{} })
	})
	<-flushed
	log.Write([]byte("wo\n"))
	<-flushed
	log.Write([]byte("three\n"))
	log.Close()
	following.Wait()
	if err != nil || out.String() != "one\ntwo\nthree\n" {
		t.Errorf("followed %q, %v", out.String(), err)
	}

	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := copyLog(ctx, strings.NewReader(""), log, logOptions{follow: true, tail: -1, limit: -1}, &out, func() {}); err != nil {
		t.Errorf("following an ended log: %v", err)
	}
}
