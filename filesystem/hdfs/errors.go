package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	hdfs "github.com/colinmarc/hdfs/v2"

	"github.com/weftstream/weft/filesystem"
)

// isRemote reports whether err is an answer of the NameNode, as opposed to the lack of one: an exception, or what the
// library puts in the place of one.
func isRemote(err error) bool {
	var exception hdfs.Error
	var own *remoteError
	if errors.As(err, &exception) || errors.As(err, &own) {
		return true
	}
	for _, target := range []error{fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, fs.ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// remoteError is an exception of the NameNode, said in one line.
type remoteError struct {
	exception string // class without package
	message   string
	err       error
}

func (e *remoteError) Error() string {
	if e.message == "" {
		return e.exception
	}
	return e.exception + ": " + e.message
}
func (e *remoteError) Unwrap() error { return e.err }

// cause turns what the library returned into something errors.Is and people understand.
func (f *FS) cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the library's path lacks the NameNode; the caller names it
	}
	var remote hdfs.Error
	switch {
	case errors.As(err, &remote):
		return remoteCause(remote, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w for user %s", err, f.User())
	}
	return err
}

// kinds maps exceptions to sentinels, by class name without package.
var kinds = map[string]error{
	"SafeModeException":                    filesystem.ErrSafeMode,
	"NSQuotaExceededException":             filesystem.ErrQuotaExceeded,
	"DSQuotaExceededException":             filesystem.ErrQuotaExceeded,
	"QuotaByStorageTypeExceededException":  filesystem.ErrQuotaExceeded,
	"QuotaExceededException":               filesystem.ErrQuotaExceeded,
	"AccessControlException":               fs.ErrPermission,
	"FileNotFoundException":                fs.ErrNotExist,
	"FileAlreadyExistsException":           fs.ErrExist,
	"AlreadyBeingCreatedException":         fs.ErrExist,
	"PathIsNotEmptyDirectoryException":     syscall.ENOTEMPTY,
	"ParentNotDirectoryException":          syscall.ENOTDIR,
	"PathIsNotDirectoryException":          syscall.ENOTDIR,
	"StandbyException":                     filesystem.ErrUnavailable,
	"RetriableException":                   filesystem.ErrUnavailable,
	"ObserverRetryOnActiveException":       filesystem.ErrUnavailable,
	"ServerNotActiveException":             filesystem.ErrUnavailable,
	"RetryStartFileException":              filesystem.ErrUnavailable,
	"NotReplicatedYetException":            filesystem.ErrUnavailable,
	"SecretManager$InvalidToken":           fs.ErrPermission,
	"AccessControlException$Authorization": fs.ErrPermission,
}

func remoteCause(remote hdfs.Error, err error) error {
	class := remote.Exception()
	class = class[strings.LastIndexByte(class, '.')+1:]
	line, _, _ := strings.Cut(remote.Message(), "\n")
	line = strings.TrimPrefix(strings.TrimPrefix(line, remote.Exception()), ": ")
	e := &remoteError{exception: class, message: line, err: err}
	// The NameNode has no class of its own for these two. (RemoteException repeats the class in front of the message.)
	switch {
	case strings.Contains(line, "could only be written to"), strings.Contains(line, "could only be replicated to"):
		return filesystem.WithKind(filesystem.ErrNoSpace, e)
	case strings.Contains(line, "rename destination directory is not empty"):
		return filesystem.WithKind(syscall.ENOTEMPTY, e)
	}
	if kind := kinds[class]; kind != nil {
		return filesystem.WithKind(kind, e)
	}
	return e
}

// unavailable is the error for a NameNode that doesn't answer.
func (f *FS) unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, filesystem.ErrClosed) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "no available namenodes: ")
	return filesystem.WithKind(filesystem.ErrUnavailable, fmt.Errorf("connect to NameNode %s: %s: is HDFS running? fs.defaultFS=%s",
		strings.Join(f.pool.options.Addresses, " or "), text, f.cfg.Site["fs.defaultFS"]))
}

func (f *FS) wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, f.URI(path), err)
}
