package dns

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// noHash stands for a hash that is not kept.
	noHash     = "-"
	ownerLabel = "_kubefed."
	ownerTTL   = 300
)

// OwnerName is where the ownership of a name is written: beside the name, so that it can be so for a name with a CNAME, an
// apex and a wildcard, and no label grows.
func OwnerName(name string) string {
	if parent, ok := strings.CutPrefix(name, "*."); ok {
		return ownerLabel + "_wildcard." + parent
	}
	return ownerLabel + name
}

// ownedName is the inverse of OwnerName.
func ownedName(ownerName string) (string, bool) {
	name, ok := strings.CutPrefix(ownerName, ownerLabel)
	if !ok {
		return "", false
	}
	if parent, ok := strings.CutPrefix(name, "_wildcard."); ok {
		return "*." + parent, true
	}
	return name, true
}

// LeaseName is where the fence of a federation is written in a zone.
func LeaseName(zone, federation string) string { return "_lease." + federation + "._kubefed." + zone }

// Owner is the federated object that a name is for.
type Owner struct {
	// Ref is KIND/NAMESPACE/NAME with a short kind, such as "svc/shop/web".
	Ref string
	UID string
	// Generation is the object's when the record was written; information for people.
	Generation int64
}

// Ownership is what the ownership record of a name says.
//
//	v=1 fed=earth uid=2f6c owner=svc/shop/web gen=17 epoch=42 types=A,AAAA h=0123456789abcdef
//
// Fields are KEY=VALUE in any order, separated by one or more spaces. All but gen and epoch are needed; unknown keys are ignored; a
// key that comes twice, or another version, makes the record unreadable, and so the name someone else's.
type Ownership struct {
	Federation string
	Owner      Owner
	// Epoch is the fence under which the record was written.
	Epoch int64
	// Types are the types at the name that are owned; other types there are someone else's. Sorted. Empty for a name that is held without data.
	Types []Type
	// Hash is HashOf the owned sets, to tell what was changed by another hand; "-" where it would have to be written too often.
	Hash string
}

// String is the text of the record.
func (o Ownership) String() string {
	b := make([]byte, 0, 160)
	b = append(append(b, "v=1 fed="...), o.Federation...)
	b = append(append(b, " uid="...), o.Owner.UID...)
	b = append(append(b, " owner="...), o.Owner.Ref...)
	b = strconv.AppendInt(append(b, " gen="...), o.Owner.Generation, 10)
	b = strconv.AppendInt(append(b, " epoch="...), o.Epoch, 10)
	b = append(b, " types="...)
	for i, t := range o.Types {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, t...)
	}
	return string(append(append(b, " h="...), o.Hash...))
}

// Record is the ownership record of a name.
func (o Ownership) Record(name string) RecordSet {
	return RecordSet{Name: OwnerName(name), Type: TXT, TTL: ownerTTL, Data: []string{Quote(o.String())}}
}

// ErrVersion is the error of an ownership record that a newer version wrote.
var ErrVersion = errors.New("ownership record of another version")

// ParseOwnership reads the text of an ownership record.
func ParseOwnership(text string) (Ownership, error) {
	fields := map[string]string{}
	for field := range strings.FieldsSeq(text) {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return Ownership{}, fmt.Errorf("ownership record: %q is not KEY=VALUE", field)
		}
		if _, twice := fields[key]; twice {
			return Ownership{}, fmt.Errorf("ownership record: %s is there twice", key)
		}
		fields[key] = value
	}
	if v, ok := fields["v"]; !ok {
		return Ownership{}, errors.New("not an ownership record: no v=")
	} else if v != "1" {
		return Ownership{}, fmt.Errorf("v=%s: %w", v, ErrVersion)
	}
	for _, key := range []string{"fed", "uid", "owner", "h"} {
		if fields[key] == "" {
			return Ownership{}, fmt.Errorf("ownership record: no %s=", key)
		}
	}
	o := Ownership{Federation: fields["fed"], Owner: Owner{Ref: fields["owner"], UID: fields["uid"]}, Hash: fields["h"]}
	for key, into := range map[string]*int64{"gen": &o.Owner.Generation, "epoch": &o.Epoch} {
		if value, ok := fields[key]; ok {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return Ownership{}, fmt.Errorf("ownership record: %s: %w", key, err)
			}
			*into = n
		}
	}
	if fields["types"] != "" {
		for t := range strings.SplitSeq(fields["types"], ",") {
			o.Types = append(o.Types, Type(t))
		}
		slices.Sort(o.Types)
		o.Types = slices.Compact(o.Types)
	}
	return o, nil
}

// readOwnership reads an ownership record set.
func readOwnership(set RecordSet) (Ownership, error) {
	if len(set.Data) != 1 {
		return Ownership{}, fmt.Errorf("%s has %d texts instead of one", set.Name, len(set.Data))
	}
	text, err := Unquote(set.Data[0])
	if err != nil {
		return Ownership{}, err
	}
	return ParseOwnership(text)
}

// typesOf are the types of sets, sorted.
func typesOf(sets []RecordSet) []Type {
	var types []Type
	for _, s := range sets {
		types = append(types, s.Type)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// HashOf digests sets, whatever their order.
func HashOf(sets []RecordSet) string {
	lines := make([]string, len(sets))
	var buf []byte
	for i := range sets {
		buf = sets[i].appendLine(buf[:0])
		lines[i] = string(buf)
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range lines {
		_, _ = io.WriteString(h, line)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// appendLine is a set as it is digested: "%s %s %d %q %q %+v" of its fields, and " %+v" of an alias and of a health check. What zones hold was digested so.
func (s *RecordSet) appendLine(to []byte) []byte {
	to = append(append(append(to, s.Name...), ' '), s.Type...)
	to = strconv.AppendUint(append(to, ' '), uint64(s.TTL), 10)
	to = append(strconv.AppendQuote(append(to, ' '), s.SetID), " ["...)
	for i, d := range s.Data {
		if i > 0 {
			to = append(to, ' ')
		}
		to = strconv.AppendQuote(to, d)
	}
	to = append(append(to, "] {Policy:"...), s.Routing.Policy...)
	to = strconv.AppendUint(append(to, " Weight:"...), uint64(s.Routing.Weight), 10)
	to = append(append(to, " Provider:"...), s.Routing.Provider...)
	to = append(append(append(to, " Region:"...), s.Routing.Region...), '}')
	if s.Alias != (Alias{}) {
		to = fmt.Appendf(to, " %+v", s.Alias)
	}
	if s.Routing.Backup {
		to = append(to, " backup"...)
	}
	if s.Health != (HealthCheck{}) {
		to = fmt.Appendf(to, " %+v", s.Health)
	}
	return append(to, '\n')
}
