//go:build hadoop

package e2e

import (
	"testing"

	"github.com/weftstream/weft/internal/usertest"
)

func TestMain(m *testing.M) { usertest.Main(m) }

func faulty(t testing.TB) string    { t.Helper(); return usertest.App(t, "faulty") }
func wordcount(t testing.TB) string { t.Helper(); return usertest.Binary(t, "examples/wordcount") }
func topspeed(t testing.TB) string {
	t.Helper()
	return usertest.Binary(t, "examples/topspeedwindowing")
}
func chainedApp(t testing.TB) string { t.Helper(); return usertest.Binary(t, "examples/chained") }
