package workload

import (
	"fmt"
	"testing"
)

// What the engine computes is what the bare loops compute: in one task host, and over connections between several.
func TestChecksums(t *testing.T) {
	cases := []struct {
		name string
		p    Params
	}{
		{"stateless", Params{Records: 20_001}},
		{"wordcount", Params{Records: 30_010}},
		{"window", Params{Records: 2_100_000, Keys: 500}}, // several windows
		{"window", Params{Records: 50_003, Keys: 100_000}},
		{"topspeed", Params{Records: 100_000}},
		{"pebble10k", Params{Records: 1_100_000, Keys: 500}},
		{"pebblespill", Params{Records: 50_003, Keys: 100_000}},
	}
	for _, c := range cases {
		for _, par := range []int{1, 2} {
			c.p.Parallelism = par
			t.Run(fmt.Sprintf("%s/keys=%d/parallelism=%d", c.name, c.p.Keys, par), func(t *testing.T) {
				want, err := Bare(c.name, c.p)
				if err != nil {
					t.Fatal(err)
				}
				if want.Checksum == 0 {
					t.Fatal("the bare loop's checksum is 0")
				}
				one, err := Run(t.Context(), c.name, c.p)
				if err != nil {
					t.Fatal(err)
				}
				spread, err := RunSpread(t.Context(), c.name, c.p)
				if err != nil {
					t.Fatal(err)
				}
				if !Comparable(c.name, par) {
					return
				}
				if one.Checksum != want.Checksum || spread.Checksum != want.Checksum {
					t.Errorf("checksum %d in one task host, %d in several, %d by the bare loop", one.Checksum, spread.Checksum, want.Checksum)
				}
			})
		}
	}
}

func TestUnknown(t *testing.T) {
	if _, err := Run(t.Context(), "nothing", Params{}); err == nil {
		t.Error("Run of an unknown workload gave no error")
	}
	if _, err := RunSpread(t.Context(), "nothing", Params{}); err == nil {
		t.Error("RunSpread of an unknown workload gave no error")
	}
	if _, err := Bare("nothing", Params{}); err == nil {
		t.Error("Bare of an unknown workload gave no error")
	}
}
