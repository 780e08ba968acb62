package cluster

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"
)

func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestLifetime(t *testing.T) {
	for name, tt := range map[string]struct {
		token string
		life  time.Duration
		bad   bool
	}{
		"a day":           {token: jwt(`{"iat":1000,"exp":87400}`), life: 24 * time.Hour},
		"fractions":       {token: jwt(`{"iat":1000.5,"exp":1010.5}`), life: 10 * time.Second},
		"no expiry":       {token: jwt(`{"iat":1000}`), bad: true},
		"ends before":     {token: jwt(`{"iat":1000,"exp":10}`), bad: true},
		"static":          {token: "abcdef", bad: true},
		"empty":           {bad: true},
		"not base64":      {token: "a.*.c", bad: true},
		"not JSON":        {token: jwt(`nonsense`), bad: true},
		"an absurd year":  {token: jwt(`{"iat":0,"exp":1e300}`), bad: true},
		"a negative time": {token: jwt(`{"iat":-5,"exp":10}`), bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			issued, expires, err := lifetime(tt.token)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			if got := expires.Sub(issued); got != tt.life {
				t.Errorf("want a life of %s, got %s", tt.life, got)
			}
		})
	}
}

func FuzzLifetime(f *testing.F) {
	f.Add("e30.eyJpYXQiOjEsImV4cCI6Mn0.c2ln")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if issued, expires, err := lifetime(token); err == nil && expires.Before(issued) {
			t.Errorf("%q ends before it begins", token)
		}
	})
}

func TestRenewAt(t *testing.T) {
	issued := start
	expires := issued.Add(100 * time.Minute)
	seen := map[time.Time]bool{}
	for i := range 50 {
		at := renewAt(fmt.Sprintf("cluster-%d", i), issued, expires)
		if at.Before(issued.Add(60*time.Minute)) || at.After(issued.Add(80*time.Minute)) {
			t.Errorf("cluster-%d renews after %s, not within 60 to 80 %% of 100m", i, at.Sub(issued))
		}
		seen[at] = true
	}
	if len(seen) < 40 {
		t.Errorf("50 clusters renew at only %d times", len(seen))
	}
}
