package records

import "testing"

func TestIDs(t *testing.T) {
	app := ApplicationID{ClusterTimestamp: 1700000000000, ID: 7}
	attempt := AttemptID{Application: app, Attempt: 2}
	for _, tt := range []struct {
		id   interface{ String() string }
		want string
	}{
		{app, "application_1700000000000_0007"},
		{ApplicationID{1700000000000, 12345}, "application_1700000000000_12345"},
		{attempt, "appattempt_1700000000000_0007_000002"},
		{ContainerID{attempt, 3}, "container_1700000000000_0007_02_000003"},
		{ContainerID{attempt, 1<<40 | 3}, "container_e01_1700000000000_0007_02_000003"},
		{ContainerID{attempt, 123<<40 | 1234567}, "container_e123_1700000000000_0007_02_1234567"},
		{NodeID{"host", 8041}, "host:8041"},
	} {
		if got := tt.id.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
		var back any
		var err error
		switch tt.id.(type) {
		case ApplicationID:
			back, err = ParseApplicationID(tt.want)
		case AttemptID:
			back, err = ParseAttemptID(tt.want)
		case ContainerID:
			back, err = ParseContainerID(tt.want)
		case NodeID:
			back, err = ParseNodeID(tt.want)
		}
		if err != nil || back != tt.id {
			t.Errorf("%s: read back %v, %v", tt.want, back, err)
		}
	}
	c := ContainerID{attempt, 5<<40 | 9}
	if c.Epoch() != 5 || c.Sequence() != 9 {
		t.Errorf("epoch %d, sequence %d", c.Epoch(), c.Sequence())
	}
	if c.Compare(ContainerID{attempt, 9}) <= 0 || c.Compare(c) != 0 {
		t.Error("the epoch comes first in the order")
	}
}

func TestBadIDs(t *testing.T) {
	for _, s := range []string{
		"", "application_", "application_1", "application_1_2_3", "application_-1_2", "application_1_99999999999",
		"application_x_1", "job_1_1",
	} {
		if id, err := ParseApplicationID(s); err == nil {
			t.Errorf("%q: read %v", s, id)
		}
	}
	for _, s := range []string{
		"container_1_1_1", "container_e_1_1_1_1", "container_e99999999_1_1_1_1", "container_1_1_1_1099511627776", "container_ex_1_1_1_1",
	} {
		if id, err := ParseContainerID(s); err == nil {
			t.Errorf("%q: read %v", s, id)
		}
	}
	for _, s := range []string{"host", ":1", "host:", "host:70000", "host:x"} {
		if id, err := ParseNodeID(s); err == nil {
			t.Errorf("%q: read %v", s, id)
		}
	}
}

func FuzzParseContainerID(f *testing.F) {
	f.Add("container_e01_1700000000000_0007_02_000003")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseContainerID(s)
		if err != nil {
			return
		}
		if again, err := ParseContainerID(id.String()); err != nil || again != id {
			t.Fatalf("%q: %v became %v, %v", s, id, again, err)
		}
	})
}

func TestResource(t *testing.T) {
	gpu := Resource{1024, 2, map[string]int64{"yarn.io/gpu": 1}}
	plain := Resource{MemoryMB: 1024, VCores: 2}
	if gpu.FitsIn(plain) || !plain.FitsIn(gpu) || gpu.Equal(plain) {
		t.Error("a GPU makes a difference")
	}
	if got := gpu.Sub(gpu); !got.Equal(Resource{}) || got.String() != "<memory:0, vCores:0>" {
		t.Errorf("nothing left: %s", got)
	}
	if got := plain.Add(gpu).String(); got != "<memory:2048, vCores:4, yarn.io/gpu:1>" {
		t.Errorf("sum %s", got)
	}
	if len(plain.Extra) != 0 || gpu.Extra["yarn.io/gpu"] != 1 {
		t.Error("the operands changed")
	}
}
