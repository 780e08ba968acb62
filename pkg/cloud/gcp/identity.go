package gcp

import "context"

// Identity is the mail address of who asks, once a token could be had for it: empty for people, whose credentials do not say it, and
// for nobody.
func (s *Session) Identity(ctx context.Context) (string, error) {
	if s.tokens == nil {
		return "", nil
	}
	if _, _, err := s.Token(ctx); err != nil {
		return "", err
	}
	return s.tokens.source.identity(), nil
}
