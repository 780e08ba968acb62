package server

import (
	"context"
	"fmt"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	notifyTries   = 6
	exchangeLimit = 2 * time.Second
)

// notifier tells one secondary of changes; several in a short time are one.
type notifier struct {
	zone      *primary
	secondary Secondary
	wake      chan struct{}
}

// notify wakes the notifiers of a zone.
func (s *Server) notify(p *primary) {
	for _, n := range s.notifiers {
		if n.zone != p {
			continue
		}
		select {
		case n.wake <- struct{}{}:
		default: // It has not begun with the last change yet.
		}
	}
}

// run sends a NOTIFY (RFC 1996) for each change, again after 1, 2, 4 ... s until the secondary answers. One that is down asks for the
// serial itself when it is back.
func (n *notifier) run(ctx context.Context, s *Server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		for try := 0; try < notifyTries && !n.zone.standsBy(); try++ {
			m := new(miekg.Msg).SetNotify(n.zone.config.Name)
			_, err := s.exchange(ctx, m, n.secondary)
			if err == nil {
				notificationsTotal.WithLabelValues("ok").Inc()
				break
			}
			notificationsTotal.WithLabelValues("failed").Inc()
			s.log.V(1).Info("secondary does not answer a notification", "zone", n.zone.config.Name, "secondary", n.secondary.Address, "error", err.Error())
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second << try):
			case <-n.wake: // Another change: begin again.
				try = -1
			}
		}
	}
}

// exchange asks a secondary, signed if it has a key.
func (s *Server) exchange(ctx context.Context, m *miekg.Msg, secondary Secondary) (*miekg.Msg, error) {
	client := &miekg.Client{Timeout: exchangeLimit}
	if secondary.Key != "" {
		key := s.keys[secondary.Key]
		client.TsigSecret = map[string]string{key.Name: key.Secret}
		m.SetTsig(key.Name, key.Algorithm, tsigFudge, time.Now().Unix())
	}
	reply, _, err := client.ExchangeContext(ctx, m, secondary.Address)
	if err != nil {
		return nil, err
	}
	if reply.Rcode != miekg.RcodeSuccess {
		return nil, fmt.Errorf("%s answers %s", secondary.Address, miekg.RcodeToString[reply.Rcode])
	}
	return reply, nil
}
