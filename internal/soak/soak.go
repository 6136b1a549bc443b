// Package soak is for tests that take a sample of what can go wrong, and everything in a soak (WEFT_SOAK=1).
package soak

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// On says that tests are to be thorough, however long that takes.
func On() bool { return os.Getenv("WEFT_SOAK") == "1" }

// Dice is the test's source of chance. The seed is printed; WEFT_SEED sets it.
func Dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("WEFT_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("WEFT_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("seed %d (to repeat: WEFT_SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}
