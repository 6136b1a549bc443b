package filesystem

import (
	"errors"
	"io/fs"
	"syscall"
)

var (
	// ErrUnknownScheme is returned by Set.Resolve for a location whose scheme no file system serves.
	ErrUnknownScheme = errors.New("unknown file system scheme")

	// ErrUnavailable is returned when the store can't be reached: connection refused, no active NameNode, time-out.
	// The operation had no effect unless the error is an ErrUnknownOutcome as well.
	ErrUnavailable = errors.New("file system unavailable")

	// ErrUnknownOutcome is returned when the connection was lost after the request was sent: the operation may or may
	// not have taken effect. Look before repeating anything that isn't idempotent.
	ErrUnknownOutcome = errors.New("outcome unknown")

	// ErrSafeMode is returned by every change while the NameNode is in safe mode.
	ErrSafeMode = errors.New("NameNode is in safe mode")

	// ErrQuotaExceeded is returned when a directory's or a user's quota is used up.
	ErrQuotaExceeded = errors.New("quota exceeded")

	// ErrNoSpace is returned when the store has no room for another block.
	ErrNoSpace = errors.New("no space left")

	// ErrClosed is returned by a FileSystem, File or Writer that was closed.
	ErrClosed = fs.ErrClosed
)

// kindError gives a cause a second identity for errors.Is, without changing its text.
type kindError struct {
	kind  error
	cause error
}

func (e *kindError) Error() string   { return e.cause.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.cause} }

// WithKind returns cause, unchanged in text, so that errors.Is(result, kind) holds. It is for implementations of
// FileSystem that map their own errors to the sentinels of this package and of io/fs.
func WithKind(kind, cause error) error {
	if cause == nil || errors.Is(cause, kind) {
		return cause
	}
	return &kindError{kind: kind, cause: cause}
}

// Transient reports whether the failed operation may succeed if the whole of it is done again later.
func Transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrSafeMode) || errors.Is(err, ErrUnknownOutcome)
}

// localError maps what the operating system says to the sentinels above.
func localError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return WithKind(ErrNoSpace, err)
	case errors.Is(err, syscall.EDQUOT):
		return WithKind(ErrQuotaExceeded, err)
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY):
		return WithKind(fs.ErrExist, err)
	}
	return err
}
