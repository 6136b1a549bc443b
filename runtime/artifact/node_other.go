//go:build !unix

package artifact

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Task hosts, and so the fetching of executables, are for Unix; elsewhere the package only has to build, for clients.

func isOurs(os.FileInfo) bool { return true }

func lockFile(_ context.Context, p string) (unlock func(), err error) {
	return nil, fmt.Errorf("lock %s: executables can't be fetched on %s; TaskManagers run on Linux", p, runtime.GOOS)
}
