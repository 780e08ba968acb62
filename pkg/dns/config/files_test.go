package config

import (
	"reflect"
	"strings"
	"testing"
)

// Every field that ends in File is among Files.
func TestFiles(t *testing.T) {
	c := &Config{
		Server: Server{TSIGKeys: []TSIGKey{{}}, TLS: &TLSFiles{}},
		Zones: []Zone{
			{RFC2136: &RFC2136Options{Key: &TSIGKey{}, TransferKey: &TSIGKey{}}}, {Route53: &Route53Options{}}, {CloudDNS: &CloudDNSOptions{}},
			{CoreDNS: &CoreDNSOptions{TLS: &TLSFiles{}}}, {Embedded: &EmbeddedOptions{NameServers: []NameServer{{}}, Secondaries: []Secondary{{}}}},
		},
	}
	want := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				fill(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if strings.HasSuffix(v.Type().Field(i).Name, "File") {
					v.Field(i).SetString("path")
					want++
				}
				fill(v.Field(i))
			}
		}
	}
	fill(reflect.ValueOf(c))
	if got := len(c.Files()); got != want || want < 10 {
		t.Errorf("%d files, want %d", got, want)
	}
}
