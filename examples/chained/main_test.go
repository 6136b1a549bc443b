package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/streamtest"
)

func TestSecondJobGetsTheFirstOnesResult(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := drive(t.Context(), streamtest.Driver(t), []string{"--events", "1000", "--output", out}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out + "/part-0-0-0")
	if err != nil || string(b) != "primes\t168\n" {
		t.Fatalf("got %q, %v; there are 168 primes below 1000", b, err)
	}
}

func TestFailureOfTheSecondJobIsTheDriversError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/x", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := drive(t.Context(), streamtest.Driver(t), []string{"--events", "10", "--output", dir})
	if err == nil || !strings.Contains(err.Error(), "already has content (x)") {
		t.Fatalf("got %v", err)
	}
}

func TestRebuild(t *testing.T) {
	streamtest.Rebuild(t, count, Limit{10})
	streamtest.Rebuild(t, report, Report{1, ""})
}
