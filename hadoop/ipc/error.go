package ipc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weftstream/weft/hadoop/internal/digest"
)

var (
	// ErrConnectionLost is returned by calls whose connection broke before
	// their reply came: the server may or may not have executed them.
	ErrConnectionLost = errors.New("connection lost")
	// ErrUnsupported is returned by Dial when the server demands Kerberos, or
	// SASL protection above authentication.
	ErrUnsupported = digest.ErrUnsupported
	// ErrAuthentication is returned by Dial when the token's password is wrong,
	// or the server doesn't know it.
	ErrAuthentication = errors.New("authentication failed")
	// ErrInvalidToken is returned by Dial when the server no longer takes the
	// token: it expired, its key was rolled over, or its application ended.
	ErrInvalidToken = errors.New("invalid token")
	// ErrAccessControl is returned when the server refuses the caller.
	ErrAccessControl = errors.New("access denied")
	// ErrStandby is returned by a server that is not the active one of its group.
	ErrStandby = errors.New("server is standby")
	// ErrRetriable is returned by a server that can't serve just now, such as
	// one that is starting.
	ErrRetriable = errors.New("server asks to try again")
	// ErrApplicationMasterNotRegistered is returned to an application master
	// that the YARN ResourceManager doesn't know, as after its restart.
	ErrApplicationMasterNotRegistered = errors.New("application master not registered")
	// ErrInvalidApplicationMasterRequest is returned for a second registration
	// and for a response id that is neither the last one nor its repetition.
	ErrInvalidApplicationMasterRequest = errors.New("invalid application master request")
	// ErrApplicationAttemptNotFound is returned when the attempt has ended.
	ErrApplicationAttemptNotFound = errors.New("application attempt not found")
	// ErrInvalidResourceRequest is returned for an ask that the cluster never
	// can fulfil, such as one above the maximum allocation.
	ErrInvalidResourceRequest = errors.New("invalid resource request")
)

// classes maps the last part of a Java exception class to its sentinel.
var classes = map[string]error{
	"ApplicationMasterNotRegisteredException":  ErrApplicationMasterNotRegistered,
	"InvalidApplicationMasterRequestException": ErrInvalidApplicationMasterRequest,
	"ApplicationAttemptNotFoundException":      ErrApplicationAttemptNotFound,
	"InvalidResourceRequestException":          ErrInvalidResourceRequest,
	"StandbyException":                         ErrStandby,
	"RetriableException":                       ErrRetriable,
	"NMNotYetReadyException":                   ErrRetriable,
	"AccessControlException":                   ErrAccessControl,
	"AuthorizationException":                   ErrAccessControl,
	"InvalidToken":                             ErrInvalidToken,
	"SaslException":                            ErrAuthentication,
}

// Detail is the server's own classification of a failed call, as the number
// that IPC defines.
type Detail int32

// The details that callers tell apart.
const (
	DetailApplication  Detail = 1 // the method threw
	DetailNoMethod     Detail = 2
	DetailNoProtocol   Detail = 3
	DetailUnauthorized Detail = 15
)

// RemoteError is a failure that the server reported.
type RemoteError struct {
	// Address is the server's, Method the call's, or "connect" before any.
	Address, Method string
	// Class is the Java class of the exception.
	Class string
	// Message is the first line of its text, Stack the rest.
	Message, Stack string
	// Fatal tells that the server closed the connection with it.
	Fatal  bool
	Detail Detail
}

// Error names the call and the server's reason.
func (e *RemoteError) Error() string {
	class := e.Class[strings.LastIndexAny(e.Class, ".$")+1:]
	switch {
	case class == "":
		class = fmt.Sprintf("error %d", e.Detail)
	case e.Message == "":
		return fmt.Sprintf("%s on %s: %s", e.Method, e.Address, class)
	}
	return fmt.Sprintf("%s on %s: %s: %s", e.Method, e.Address, class, e.Message)
}

// Is maps the class to the package's sentinels.
func (e *RemoteError) Is(target error) bool {
	sentinel, ok := classes[e.Class[strings.LastIndexAny(e.Class, ".$")+1:]]
	return ok && sentinel == target
}

// splitMessage parts the first line of an exception's text from its stack.
func splitMessage(text string) (message, stack string) {
	message, stack, _ = strings.Cut(text, "\n")
	return strings.TrimSpace(message), stack
}
