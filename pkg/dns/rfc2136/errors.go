package rfc2136

import (
	"errors"
	"fmt"

	miekg "github.com/miekg/dns"

	"kubefed.dev/kubefed/pkg/dns"
)

// rcodeError is an answer that is not NOERROR.
type rcodeError struct {
	rcode int
	// tsig is the error in the answer's signature record, 0 for none.
	tsig uint16
	// signed says whether the request was.
	signed bool
	// served says that the server answers for the zone where it is asked without a key.
	served bool
}

func (e *rcodeError) Error() string {
	name := miekg.RcodeToString[e.rcode]
	if e.tsig != 0 {
		// 16 is BADVERS elsewhere.
		name += " (" + map[uint16]string{miekg.RcodeBadSig: "BADSIG", miekg.RcodeBadKey: "BADKEY", miekg.RcodeBadTime: "BADTIME"}[e.tsig] + ")"
	}
	return "the server answers " + name + advice(e)
}

// advice is what to do about an answer.
func advice(e *rcodeError) string {
	switch {
	case e.tsig == miekg.RcodeBadKey:
		return ": it does not know the key; check that its name, algorithm and secret are the same at both ends"
	case e.tsig == miekg.RcodeBadSig:
		return ": the key has another secret there; give both ends the same"
	case e.tsig == miekg.RcodeBadTime:
		return ": the clocks differ by more than 5 minutes; let both machines keep time with NTP"
	}
	switch e.rcode {
	case miekg.RcodeRefused:
		if e.signed {
			return ": allow the key to update and transfer the zone there; PowerDNS answers so to a wrong key, secret or clock too"
		}
		return ": it may want a signature; give a key"
	case miekg.RcodeNotAuth:
		if e.served && e.signed {
			return ": it has the zone, so it is the key that it does not take; check its name, algorithm and secret, the clocks, and that it may transfer the zone"
		}
		if e.signed {
			return ": it is not the zone's primary; name the zone and the server that has it"
		}
		return ": it is not the zone's primary, or wants a signature; give a key"
	case miekg.RcodeNotImplemented:
		return ": it takes no dynamic updates; use another provider"
	case miekg.RcodeServerFailure:
		return ": its log says why, such as a zone that is not loaded or a journal that cannot be written"
	}
	return ""
}

// conflict says that a prerequisite does not hold.
func (e *rcodeError) conflict() bool {
	switch e.rcode {
	case miekg.RcodeNXRrset, miekg.RcodeYXRrset, miekg.RcodeYXDomain, miekg.RcodeNameError:
		return true
	}
	return false
}

func (e *rcodeError) kind() dns.ErrorKind {
	switch {
	case e.tsig != 0:
		return dns.Denied
	case e.conflict():
		return dns.Conflict
	}
	switch e.rcode {
	case miekg.RcodeRefused, miekg.RcodeNotImplemented:
		return dns.Denied
	case miekg.RcodeNotAuth:
		if !e.signed || e.served {
			return dns.Denied
		}
		return dns.NotFound
	case miekg.RcodeNotZone, miekg.RcodeFormatError:
		return dns.Invalid
	}
	return dns.Unavailable
}

// signatureError is an answer that is not the server's, or cannot be shown to be.
type signatureError struct{ reason string }

func (e *signatureError) Error() string {
	return e.reason + "; somebody else may answer, or the server signs with another key"
}

// timeError is a server's signed word that its clock differs.
type timeError struct{ server, ours int64 }

func (e *timeError) Error() string {
	return fmt.Sprintf("the server's clock differs by %d s (BADTIME); let both machines keep time with NTP", e.server-e.ours)
}

// classify makes an error one that the callers of a provider know.
func classify(subject string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*dns.Error](err); ok {
		return known
	}
	kind := dns.Unavailable
	if answer, ok := errors.AsType[*rcodeError](err); ok {
		kind = answer.kind()
	}
	if _, ok := errors.AsType[*signatureError](err); ok {
		kind = dns.Denied
	}
	if _, ok := errors.AsType[*timeError](err); ok {
		kind = dns.Denied
	}
	return &dns.Error{Kind: kind, Subject: subject, Err: err}
}
