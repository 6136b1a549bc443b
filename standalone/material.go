package standalone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/runtime/rpc"
)

// Files of weft.security.dir; all are 0600.
const (
	// AuthorityFile is the certificate authority with its key: for the JobManager only.
	AuthorityFile = "authority.pem"
	// TaskManagerFile is the certificate that all TaskManagers share, with its key.
	TaskManagerFile = "taskmanager.pem"
	// TokenFile is what clients show to the REST endpoint.
	TokenFile = "rest.token"
)

const (
	// materialWait is how long a TaskManager that is started together with the first JobManager waits for its certificate.
	materialWait = 10 * time.Second
	materialPoll = 100 * time.Millisecond
	// lifetime is that of the certificates: nobody replaces them, so they are made to last.
	lifetime = 10 * rpc.DefaultLifetime
)

// securityDir is weft.security.dir, or its default.
func securityDir(c conf.Configuration) (string, error) {
	if dir := conf.Get(c, conf.WeftSecurityDir); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the directory of certificates: %w; set %s", err, conf.WeftSecurityDir.Key())
	}
	return filepath.Join(home, ".weft", "security"), nil
}

// Material is what a JobManager has of weft.security.dir.
type Material struct {
	Authority *rpc.Authority
	Token     rpc.Token
}

// OpenMaterial reads the JobManager's files of dir, and makes those that aren't there, the directory included. Two
// JobManagers that do so at once end up with the same.
func OpenMaterial(dir string) (Material, error) {
	m, err := openMaterial(dir)
	if err != nil {
		return m, fmt.Errorf("open the directory of certificates %s (%s): %w", dir, conf.WeftSecurityDir.Key(), err)
	}
	return m, nil
}

func openMaterial(dir string) (m Material, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, err
	}
	pem, err := readOrMake(filepath.Join(dir, AuthorityFile), func() ([]byte, error) {
		a, err := rpc.NewAuthority("standalone", lifetime)
		if err != nil {
			return nil, err
		}
		return a.PEM()
	})
	if err != nil {
		return m, err
	}
	if m.Authority, err = rpc.ParseAuthority(pem); err != nil {
		return m, err
	}
	token, err := readOrMake(filepath.Join(dir, TokenFile), func() ([]byte, error) { return []byte(rpc.NewToken()), nil })
	if err != nil {
		return m, err
	}
	if m.Token, err = rpc.ParseToken(string(token)); err != nil {
		return m, err
	}
	_, err = readOrMake(filepath.Join(dir, TaskManagerFile), func() ([]byte, error) {
		leaf, err := m.Authority.Issue(rpc.RoleTaskManager, "standalone")
		if err != nil {
			return nil, err
		}
		return leaf.PEM()
	})
	return m, err
}

// readOrMake reads a secret file; if there is none it makes it, whole or not at all.
func readOrMake(path string, content func() ([]byte, error)) ([]byte, error) {
	b, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if b, err = content(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	// A link, unlike a rename, doesn't replace what another process has put there meanwhile.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readSecret(path)
}

// readSecret reads a file that only its owner may read.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read or written by others (%s): chmod 600 it", path, mode)
	}
	return os.ReadFile(path)
}

// readLeaf reads the TaskManagers' certificate. It waits a little for a JobManager that makes it just now.
func readLeaf(ctx context.Context, dir string) (*rpc.Leaf, error) {
	ctx, cancel := context.WithTimeout(ctx, materialWait)
	defer cancel()
	path := filepath.Join(dir, TaskManagerFile)
	for {
		b, err := readSecret(path)
		if err == nil {
			leaf, err := rpc.ParseLeaf(b)
			if err == nil && time.Now().After(leaf.Expires()) {
				err = errors.New("the certificate has expired; remove the directory and start the JobManager anew")
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
			return leaf, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the TaskManagers' certificate: %w", err)
		}
		timer := time.NewTimer(materialPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("read the TaskManagers' certificate: %w; start the JobManager first, and on another machine "+
				"copy %s from there to %s", err, TaskManagerFile, dir)
		}
	}
}

// readToken reads the REST token; "" if there is none: the cluster may want none.
func readToken(dir string) (rpc.Token, error) {
	path := filepath.Join(dir, TokenFile)
	b, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the REST token: %w", err)
	}
	t, err := rpc.ParseToken(string(b))
	if err != nil {
		return "", fmt.Errorf("read the REST token %s: %w", path, err)
	}
	return t, nil
}
