package dns

import "fmt"

// Batches divides changes, in their order, into calls within a provider's limits. A change that is too large for any call is
// given back as a failure of kind Invalid, and does not stop the others.
func Batches(changes []Change, l Limits) ([][]Change, []Failure) {
	var batches [][]Change
	var failed []Failure
	var batch []Change
	count, octets := 0, 0
	for _, c := range changes {
		n, o := c.Size()
		if l.MaxChanges > 0 && n > l.MaxChanges || l.MaxBytes > 0 && o > l.MaxBytes {
			failed = append(failed, Failure{c, &Error{Kind: Invalid, Subject: c.Name,
				Err: fmt.Errorf("%d records of %d octets are more than the provider takes at once; publish fewer addresses", n, o)}})
			continue
		}
		if len(batch) > 0 && (l.MaxChanges > 0 && count+n > l.MaxChanges || l.MaxBytes > 0 && octets+o > l.MaxBytes) {
			batches, batch, count, octets = append(batches, batch), nil, 0, 0
		}
		batch, count, octets = append(batch, c), count+n, octets+o
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches, failed
}

// Size is the number of records that a change removes and adds, and the octets of their data.
func (c Change) Size() (records, octets int) {
	for _, sets := range [][]RecordSet{c.Before, c.After} {
		for _, s := range sets {
			records += len(s.Data)
			for _, d := range s.Data {
				octets += len(d)
			}
		}
	}
	return records, octets
}
