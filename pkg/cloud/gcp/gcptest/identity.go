package gcptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenPath    = "/token"
	metadataPath = "/computeMetadata/v1/"
)

// identity is a service account.
type identity struct {
	keys     map[string]*rsa.PublicKey
	disabled bool
}

// issued is a token that was given out.
type issued struct {
	mail  string
	until time.Time
}

// Key makes a new key of a service account, which it makes too if need be: the JSON of its file, which says that tokens are asked of
// this server at a URL.
func (s *Server) Key(mail, url string) ([]byte, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	id := random(20)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity(mail).keys[id] = &private.PublicKey
	return json.MarshalIndent(map[string]string{"type": "service_account", "project_id": s.Project, "private_key_id": id,
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": mail, "client_id": "100000000000000000001", "token_uri": strings.TrimSuffix(url, "/") + tokenPath, "universe_domain": "googleapis.com"}, "", "  ")
}

// identity is the service account of a name, made if need be. The caller holds the lock.
func (s *Server) identity(mail string) *identity {
	if s.identities[mail] == nil {
		s.identities[mail] = &identity{keys: map[string]*rsa.PublicKey{}}
	}
	return s.identities[mail]
}

// Disable makes a service account unable to get tokens and its tokens worthless, or undoes that.
func (s *Server) Disable(mail string, disabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity(mail).disabled = disabled
}

// Revoke makes all tokens worthless that were given out so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Lifetime is how long tokens are good that are given out from now on; an hour by default.
func (s *Server) Lifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// Machine makes the server a metadata server too, whose machine is a service account; nobody without a name.
func (s *Server) Machine(mail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine = mail
	if mail != "" {
		s.identity(mail)
	}
}

// AllowAnonymous asks for no token any more.
func (s *Server) AllowAnonymous() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anonymous = true
}

// VerifyToken says whose an access token is, as a cluster of GKE asks.
func (s *Server) VerifyToken(token string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verify(token)
}

func (s *Server) verify(token string) (string, error) {
	t, ok := s.tokens[token]
	switch {
	case !ok:
		return "", errors.New("nobody was given this token")
	case time.Now().After(t.until):
		return "", errors.New("the token is over")
	case s.identities[t.mail].disabled:
		return "", fmt.Errorf("%s is disabled", t.mail)
	}
	return t.mail, nil
}

// issue gives out a token. The caller holds the lock.
func (s *Server) issue(w http.ResponseWriter, mail string) {
	token := "ya29." + random(32)
	s.tokens[token] = issued{mail, time.Now().Add(s.lifetime)}
	write(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": int(s.lifetime.Seconds()), "token_type": "Bearer"})
}

// serveToken is the grant of RFC 7523, as https://developers.google.com/identity/protocols/oauth2/service-account has it.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	fault, failed := s.enter("token")
	if failed && !fault.hold(r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault.Error.Status != 0 {
		fault.Error.write(w)
		return
	}
	if r.Method != http.MethodPost || r.ParseForm() != nil || r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		refuseGrant(w, "unsupported_grant_type", "Invalid grant_type: "+r.PostForm.Get("grant_type"))
		return
	}
	mail, refusal := s.check(r.PostForm.Get("assertion"))
	if refusal != "" {
		refuseGrant(w, "invalid_grant", refusal)
		return
	}
	s.issue(w, mail)
}

func refuseGrant(w http.ResponseWriter, code, description string) {
	write(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": description})
}

// check says who signed an assertion, or what the server says of it.
func (s *Server) check(assertion string) (mail, refusal string) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "", "Invalid JWT: Token must be in three parts"
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || part(parts[0], &header) != nil || part(parts[1], &claims) != nil {
		return "", "Invalid JWT: Failed to parse"
	}
	who := s.identities[claims.Iss]
	now := time.Now().Unix()
	switch {
	case who == nil:
		return "", "Invalid grant: account not found"
	case who.disabled:
		return "", "Invalid grant: account disabled"
	case header.Alg != "RS256" || who.keys[header.Kid] == nil:
		return "", "Invalid JWT Signature."
	case claims.Scope == "":
		return "", "Invalid OAuth scope or ID token audience provided."
	case !strings.HasSuffix(claims.Aud, tokenPath):
		return "", "Invalid JWT: Failed audience check."
	case claims.Iat > now+300 || claims.Exp < now || claims.Exp-claims.Iat > 3600+60:
		return "", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(who.keys[header.Kid], crypto.SHA256, sum[:], signature) != nil {
		return "", "Invalid JWT Signature."
	}
	return claims.Iss, ""
}

func part(text string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// serveMetadata is the metadata server of a machine, as https://cloud.google.com/compute/docs/metadata has it.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	fault, failed := s.enter("metadata")
	if failed && !fault.hold(r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Metadata-Flavor", "Google")
	what, ok := strings.CutPrefix(r.URL.Path, metadataPath+"instance/service-accounts/default/")
	switch {
	case fault.Error.Status != 0:
		fault.Error.write(w)
	case r.Header.Get("Metadata-Flavor") != "Google":
		http.Error(w, "Missing required header \"Metadata-Flavor\": \"Google\"", http.StatusForbidden)
	case !ok || s.machine == "" || !slices.Contains([]string{"email", "token"}, what):
		http.NotFound(w, r)
	case what == "email":
		_, _ = w.Write([]byte(s.machine))
	case s.identities[s.machine].disabled:
		http.Error(w, "account disabled", http.StatusForbidden)
	default:
		s.issue(w, s.machine)
	}
}

func random(octets int) string {
	data := make([]byte, octets)
	_, _ = rand.Read(data)
	return hex.EncodeToString(data)
}
