package rest

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/weftstream/weft/rest/api"
)

// admit checks the token in constant time.
func (s *Server) admit(r *http.Request) error {
	if s.token == nil {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, api.TokenScheme) {
		return fail(http.StatusUnauthorized, "this cluster wants to see its token: send the header "+
			"Authorization: Bearer <token>. weft reads the token from the cluster's staging directory, for a standalone cluster from "+
			"rest.token in weft.security.dir; for tools that can't send one, set security.rest.authentication to none when the cluster is started")
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(token)), s.token) != 1 {
		return fail(http.StatusUnauthorized, "the token is not that of this cluster")
	}
	return nil
}
