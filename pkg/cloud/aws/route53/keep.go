package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"golang.org/x/time/rate"

	"kubefed.dev/kubefed/pkg/dns"
)

// listChecks reads the account's health checks, and gives those that are part of others.
func (p *Provider) listChecks(ctx context.Context, z *zone, id string) (children map[string]bool, err error) {
	if !p.options.HealthChecks {
		return nil, nil
	}
	z.checks.working.Lock()
	defer z.checks.working.Unlock()
	var all []types.HealthCheck
	next := &route53.ListHealthChecksInput{MaxItems: aws.Int32(checksPage)}
	for {
		page, err := p.api.ListHealthChecks(ctx, next)
		if err != nil {
			return nil, z.classify(err)
		}
		all = append(all, page.HealthChecks...)
		if !page.IsTruncated {
			break
		}
		if aws.ToString(page.NextMarker) == aws.ToString(next.Marker) {
			return nil, z.stuck()
		}
		next = &route53.ListHealthChecksInput{Marker: page.NextMarker, MaxItems: next.MaxItems}
	}
	return z.checks.listed(all, reference(p.options.Federation, id)), nil
}

// checksPage is the most that Route 53 gives at once.
const checksPage = 1000

// createChecks makes a few of the health checks that changes need at once; the others are for Keep. What has none is published without.
func (p *Provider) createChecks(ctx context.Context, z *zone, id string, changes []dns.Change) {
	if !p.options.HealthChecks {
		return
	}
	left := inTime
	for _, c := range changes {
		for _, s := range c.After {
			q, asks := questionOf(s)
			if !asks || z.checks.id(q) != "" {
				continue
			}
			if left > 0 && p.create(ctx, z, id, q, false) == nil {
				left--
				continue
			}
			left = 0
			z.checks.want(q)
		}
	}
}

// inTime is how many health checks a change waits for.
const inTime = 5

// errLater: the rate at which Route 53 takes new health checks is used up.
var errLater = errors.New("it is not yet time for more health checks")

// tries is how often another reference is tried for a health check that Route 53 says was deleted in the same hour.
const tries = 3

// create makes a question's health check, and those that it adds up.
func (p *Provider) create(ctx context.Context, z *zone, id string, q question, wait bool) error {
	var config *types.HealthCheckConfig
	if parts := q.parts(); parts == nil {
		config = q.config()
	} else {
		config = &types.HealthCheckConfig{Type: types.HealthCheckTypeCalculated, HealthThreshold: aws.Int32(1)}
		for _, part := range parts {
			if err := p.create(ctx, z, id, part, wait); err != nil {
				return err
			}
			config.ChildHealthChecks = append(config.ChildHealthChecks, z.checks.id(part))
		}
	}
	switch {
	case z.checks.id(q) != "":
		return nil
	case wait:
		if err := z.checks.creating.Wait(ctx); err != nil {
			return err
		}
	case !z.checks.creating.Allow():
		return errLater
	}
	z.checks.working.Lock()
	defer z.checks.working.Unlock()
	if z.checks.id(q) != "" {
		return nil
	}
	err := p.request(ctx, z, q, config, reference(p.options.Federation, id))
	z.checks.failed(err)
	return err
}

func (p *Provider) request(ctx context.Context, z *zone, q question, config *types.HealthCheckConfig, prefix string) error {
	for try := range tries {
		out, err := p.api.CreateHealthCheck(ctx, &route53.CreateHealthCheckInput{HealthCheckConfig: config,
			CallerReference: aws.String(q.callerReference(prefix, z.checks.now(), try))})
		if _, taken := errors.AsType[*types.HealthCheckAlreadyExists](err); taken && try < tries-1 {
			continue
		}
		if err != nil {
			return z.classify(err)
		}
		id := aws.ToString(out.HealthCheck.Id)
		z.checks.made(q, id)
		_, err = p.api.ChangeTagsForResource(ctx, &route53.ChangeTagsForResourceInput{ResourceType: types.TagResourceTypeHealthcheck, ResourceId: &id,
			AddTags: []types.Tag{
				{Key: aws.String("Name"), Value: aws.String(shorten(p.options.Federation + ": " + q.String()))},
				{Key: aws.String("kubefed.dev/federation"), Value: &p.options.Federation},
				{Key: aws.String("kubefed.dev/zone"), Value: aws.String(shorten(strings.TrimSuffix(z.name, ".")))},
			}})
		if dns.KindOf(z.classify(err)) == dns.Denied && err != nil {
			return fmt.Errorf("a health check has no tags: %w", z.classify(err))
		}
		return nil // It is known by its reference: tags are for people.
	}
	return nil
}

// shorten keeps a tag within what Route 53 takes.
func shorten(text string) string { return text[:min(len(text), 255)] }

// deletions is at how many a second unused health checks go.
const deletions = 2

// Keep makes the health checks that sets wait for, and deletes those of the federation that no set has named for an hour, until ctx
// ends. What someone else made is left alone.
func (p *Provider) Keep(ctx context.Context) {
	done := make(chan struct{})
	for _, z := range p.zones {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				pause := p.keep(ctx, z)
				select {
				case <-ctx.Done():
				case <-z.checks.wake:
				case <-time.After(pause):
				}
			}
		}()
	}
	for range p.zones {
		<-done
	}
}

const (
	// keepInterval is how often to look for what nobody named for an hour.
	keepInterval = time.Minute
	// keepAgain is the pause after a failure.
	keepAgain = 5 * time.Minute
)

// keep does what there is to do now.
func (p *Provider) keep(ctx context.Context, z *zone) time.Duration {
	id, err := p.find(ctx, z)
	if err != nil {
		return keepAgain
	}
	for q := z.checks.next(); q != (question{}); q = z.checks.next() {
		if err := p.create(ctx, z, id, q, true); err != nil {
			z.checks.want(q)
			return keepAgain
		}
	}
	limit := rate.NewLimiter(deletions, 1)
	for limit.Wait(ctx) == nil {
		unused := z.checks.garbage()
		if unused == "" {
			break
		}
		z.checks.working.Lock()
		_, err := p.api.DeleteHealthCheck(ctx, &route53.DeleteHealthCheckInput{HealthCheckId: &unused})
		z.checks.working.Unlock()
		if _, gone := errors.AsType[*types.NoSuchHealthCheck](err); err != nil && !gone {
			z.checks.failed(z.classify(err))
			return keepAgain
		}
	}
	return keepInterval
}

// next takes what has waited longest.
func (c *checks) next() question {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 {
		q := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		if c.ids[q] == "" {
			return q
		}
	}
	return question{}
}

// Note implements dns.Noter.
func (p *Provider) Note(name string) string {
	z := p.zones[name]
	if z == nil || !p.options.HealthChecks {
		return ""
	}
	z.checks.mu.Lock()
	defer z.checks.mu.Unlock()
	var notes []string
	if n := len(z.checks.waiting); n > 0 {
		notes = append(notes, fmt.Sprintf("%d health checks are still to be made, and their names answer without", n))
	}
	if z.checks.problem != "" {
		notes = append(notes, "the last one that was tried: "+z.checks.problem)
	}
	return strings.Join(notes, "; ")
}
