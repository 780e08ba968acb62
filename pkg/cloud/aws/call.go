package aws

import (
	"context"
	"fmt"

	"kubefed.dev/kubefed/pkg/cloud"
)

// Call is what is asked of AWS. Family and Operation together are the permission that it needs, as a policy names it.
type Call struct {
	Family, Operation string
	// Subject of the operation, and the region; both may be empty.
	Subject, Region string
}

// Permission that the call needs.
func (c Call) Permission() string { return c.Family + ":" + c.Operation }

func (c Call) String() string {
	text := c.Permission()
	if c.Subject != "" {
		text += " " + c.Subject
	}
	if c.Region != "" {
		text += " in " + c.Region
	}
	return text
}

// Ask makes a call, within the session's limit of time, and says what its error means: it is a *cloud.Error.
func Ask[T any](ctx context.Context, s *Session, c Call, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	answer, err := call(ctx)
	if err != nil {
		var none T
		return none, s.classify(ctx, c, err)
	}
	return answer, nil
}

// Pages makes a call until there are no further pages: page is given where to go on, and says where the next one begins, nil at the
// end. An AWS that points back to a page that was read would be asked for ever: that is an error.
func Pages(ctx context.Context, s *Session, c Call, page func(ctx context.Context, from *string) (next *string, err error)) error {
	seen := map[string]bool{}
	for from := (*string)(nil); ; {
		next, err := Ask(ctx, s, c, func(ctx context.Context) (*string, error) { return page(ctx, from) })
		if err != nil {
			return err
		}
		if next == nil || *next == "" {
			return nil
		}
		if seen[*next] {
			return &cloud.Error{Kind: cloud.Unavailable, Operation: c.String(), Err: fmt.Errorf("page %d was given before", len(seen)+1)}
		}
		seen[*next], from = true, next
	}
}
