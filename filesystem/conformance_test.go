package filesystem_test

import (
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

func TestConformance(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		fstest.Run(t, func(t *testing.T) (filesystem.FileSystem, string) { return filesystem.Local{}, t.TempDir() })
	})
	t.Run("memory", func(t *testing.T) {
		fstest.Run(t, func(t *testing.T) (filesystem.FileSystem, string) {
			m := fstest.NewMemory("alice")
			if err := m.MkdirAll(t.Context(), "/work", 0o755); err != nil {
				t.Fatal(err)
			}
			return m, "/work"
		})
	})
	t.Run("faulty", func(t *testing.T) {
		fstest.Run(t, func(t *testing.T) (filesystem.FileSystem, string) {
			f, _ := fstest.NewFaulty(filesystem.Local{})
			return f, t.TempDir()
		})
	})
}
