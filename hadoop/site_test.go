package hadoop

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeSite makes a directory with these files, each a list of properties.
func writeSite(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		text := `<?xml version="1.0"?><?xml-stylesheet href="configuration.xsl"?>
<!-- a comment --><configuration>` + body + `</configuration>`
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func prop(name, value string) string {
	return "<property><name>" + name + "</name><value>" + value + "</value><description>x</description></property>\n"
}

func final(name, value string) string {
	return "<property><name>" + name + "</name><value>" + value + "</value><final>true</final></property>\n"
}

func load(t *testing.T, dirs ...string) *Site {
	t.Helper()
	s, err := LoadSite(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadSite(t *testing.T) {
	first := writeSite(t, map[string]string{
		"core-site.xml": prop("fs.defaultFS", "hdfs://nn:9000/") + final("a", "first") + prop("b", "first") + prop("dup", "1") + prop("dup", "2"),
		"hdfs-site.xml": prop("b", "hdfs") + `<property name="attr" value="yes"/>` + "<property><name>novalue</name></property>",
	})
	second := writeSite(t, map[string]string{
		"yarn-site.xml": prop("a", "second") + prop("c", " ${b}/${yarn.resourcemanager.hostname}/${unknown} "),
		"other.xml":     "not read",
	})
	s := load(t, first, "", second, first)
	for name, want := range map[string]string{
		"fs.defaultFS": "hdfs://nn:9000/", "a": "first", "b": "hdfs", "dup": "2", "attr": "yes",
		"c": "hdfs/0.0.0.0/${unknown}", "missing": "", "novalue": "", "dfs.replication": "3",
	} {
		if got := s.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if s.DefaultFS() != "hdfs://nn:9000" {
		t.Errorf("default file system %q", s.DefaultFS())
	}
	if got := strings.Join(s.Names(), " "); got != "a attr b c dup fs.defaultFS" {
		t.Errorf("names %s", got)
	}
	want := []string{filepath.Join(first, "core-site.xml"), filepath.Join(first, "hdfs-site.xml"), filepath.Join(second, "yarn-site.xml")}
	if !slices.Equal(s.Sources(), want) {
		t.Errorf("sources %v", s.Sources())
	}
	if s.Origin("b") != want[1] || s.Origin("dfs.replication") != "default" {
		t.Errorf("origins %q, %q", s.Origin("b"), s.Origin("dfs.replication"))
	}

	o := s.WithOverrides(map[string]string{"a": "override"})
	if o.Get("a") != "override" || s.Get("a") != "first" {
		t.Errorf("override: %q over %q", o.Get("a"), s.Get("a"))
	}
}

func TestUnreadableSites(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"include":      {`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="x.xml"/>`, "xi:include is not supported"},
		"not closed":   {"<property>", "core-site.xml"},
		"no name":      {"<property><value>x</value></property>", "has no <name>"},
		"other markup": {"<item/>", "unexpected element <item>"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeSite(t, map[string]string{"core-site.xml": tt.body})
			if _, err := LoadSite(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := LoadSite(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory was taken")
	}
}

func TestVariables(t *testing.T) {
	s := NewSite(map[string]string{
		"dir": "${hadoop.tmp.dir}/x", "env": "${env.A}", "default": "${env.MISSING-fallback}",
		"empty": "${env.EMPTY:-fallback}", "kept": "${env.EMPTY-fallback}", "unset": "${env.MISSING}",
		"nested": "${${which}}", "which": "dir", "loop": "a${loop}", "open": "${never", "twice": "${which}${which}",
	}).WithVariables(map[string]string{"user.name": "ann", "env.A": "1", "env.EMPTY": ""})
	for name, want := range map[string]string{
		"dir": "/tmp/hadoop-ann/x", "env": "1", "default": "fallback", "empty": "fallback", "kept": "",
		"unset": "${env.MISSING}", "nested": "/tmp/hadoop-ann/x", "open": "${never", "twice": "dirdir",
	} {
		if got := s.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := s.Get("loop"); len(got) > 100 {
		t.Errorf("a value that names itself: %q", got)
	}
}

func TestTypedValues(t *testing.T) {
	s := NewSite(map[string]string{
		"n": "010", "hex": "0x10", "bad": "ten", "yes": "TRUE", "no": "false", "maybe": "1",
		"plain": "20", "ms": "250ms", "min": "2 m", "huge": "9223372036854775807h", "list": " a, ,b,", "blank": " ",
	})
	for name, want := range map[string]int{"n": 10, "hex": 16, "missing": 7, "blank": 7} {
		if got, err := s.GetInt(name, 7); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", name, got, err, want)
		}
	}
	if _, err := s.GetInt("bad", 7); err == nil || !strings.Contains(err.Error(), "bad from override") {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]bool{"yes": true, "no": false, "maybe": true, "missing": true} {
		if got := s.GetBool(name, true); got != want {
			t.Errorf("%s is %t, want %t", name, got, want)
		}
	}
	for name, want := range map[string]time.Duration{
		"plain": 20 * time.Second, "ms": 250 * time.Millisecond, "min": 2 * time.Minute, "missing": time.Hour,
	} {
		if got, err := s.GetDuration(name, time.Second, time.Hour); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"bad", "huge"} {
		if got, err := s.GetDuration(name, time.Second, 0); err == nil {
			t.Errorf("%s is %s", name, got)
		}
	}
	if got := s.GetStrings("list"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("list is %q", got)
	}
}

func TestAddresses(t *testing.T) {
	ha := map[string]string{
		"yarn.resourcemanager.ha.enabled": "true", "yarn.resourcemanager.ha.rm-ids": "rm1, rm2",
		"yarn.resourcemanager.hostname.rm1": "h1", "yarn.resourcemanager.scheduler.address.rm2": "h2:18030",
		"yarn.resourcemanager.webapp.address.rm2": "h2",
	}
	for _, tt := range []struct {
		name   string
		values map[string]string
		extra  map[string]string
		fn     func(*Site) ([]string, error)
		want   string // addresses, or a part of the error behind "!"
	}{
		{"default web", nil, nil, (*Site).RMWebAddresses, "http://localhost:8088"},
		{"host name", map[string]string{"yarn.resourcemanager.hostname": "rm"}, nil, (*Site).RMSchedulerAddresses, "rm:8030"},
		{"derived by variable", map[string]string{
			"yarn.resourcemanager.hostname": "rm", "yarn.resourcemanager.scheduler.address": "${yarn.resourcemanager.hostname}:9030",
		}, nil, (*Site).RMSchedulerAddresses, "rm:9030"},
		{"https", map[string]string{"yarn.http.policy": "HTTPS_ONLY", "yarn.resourcemanager.hostname": "rm"}, nil,
			(*Site).RMWebAddresses, "https://rm:8090"},
		{"IPv6", map[string]string{"yarn.resourcemanager.hostname": "::1"}, nil, (*Site).RMSchedulerAddresses, "[::1]:8030"},
		{"ha scheduler", ha, map[string]string{"yarn.resourcemanager.hostname.rm2": "h2"}, (*Site).RMSchedulerAddresses, "h1:8030 h2:18030"},
		{"ha web", ha, nil, (*Site).RMWebAddresses, "http://h1:8088 http://h2:8088"},
		{"ha without ids", map[string]string{"yarn.resourcemanager.ha.enabled": "true"}, nil, (*Site).RMWebAddresses, "!rm-ids is empty"},
		{"ha without host", map[string]string{
			"yarn.resourcemanager.ha.enabled": "true", "yarn.resourcemanager.ha.rm-ids": "x",
		}, nil, (*Site).RMWebAddresses, "!yarn.resourcemanager.hostname.x"},
		{"no HDFS", nil, nil, func(s *Site) ([]string, error) { return s.NameNodes("") }, "!not an hdfs URL"},
		{"NameNode", map[string]string{"fs.defaultFS": "hdfs://nn"}, nil,
			func(s *Site) ([]string, error) { return s.NameNodes("") }, "nn:8020"},
		{"other NameNode", nil, nil, func(s *Site) ([]string, error) { return s.NameNodes("nn2:9000") }, "nn2:9000"},
		{"nameservice", map[string]string{
			"fs.defaultFS": "hdfs://ns", "dfs.nameservices": "other,ns", "dfs.ha.namenodes.ns": "a,b",
			"dfs.namenode.rpc-address.ns.a": "x:1", "dfs.namenode.rpc-address.ns.b": "y",
		}, nil, func(s *Site) ([]string, error) { return s.NameNodes("") }, "x:1 y:8020"},
		{"nameservice, an address missing", map[string]string{
			"dfs.nameservices": "ns", "dfs.ha.namenodes.ns": "a",
		}, nil, func(s *Site) ([]string, error) { return s.NameNodes("ns") }, "!dfs.namenode.rpc-address.ns.a is not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.fn(NewSite(tt.values).WithOverrides(tt.extra))
			if text, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, %v; want an error with %q", got, err, text)
				}
			} else if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// TestShippedSite is how a container gets the client's configuration.
func TestShippedSite(t *testing.T) {
	dir := writeSite(t, map[string]string{
		"core-site.xml": final("fs.defaultFS", "hdfs://${host}:8020") + prop("host", "nn") + prop("odd", "&lt;a&gt; &amp; \"b\""),
	})
	s := load(t, dir).WithOverrides(map[string]string{"more": "1"})
	var xml bytes.Buffer
	if err := s.WriteXML(&xml); err != nil {
		t.Fatal(err)
	}
	fromXML, err := ParseSite(&xml, "shipped")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON Site
	if err := json.Unmarshal(b, &fromJSON); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*Site{"XML": fromXML, "JSON": &fromJSON} {
		if !slices.Equal(got.Names(), s.Names()) {
			t.Errorf("%s: names %v, want %v", name, got.Names(), s.Names())
		}
		for _, n := range s.Names() {
			if got.Get(n) != s.Get(n) {
				t.Errorf("%s: %s is %q, want %q", name, n, got.Get(n), s.Get(n))
			}
		}
	}
	if got := fromXML.Get("fs.defaultFS"); got != "hdfs://nn:8020" {
		t.Errorf("the variable should be expanded: %q", got)
	}
}

func FuzzParseSite(f *testing.F) {
	f.Add([]byte("<configuration>" + prop("a", "${b}") + final("b", "${a}") + "</configuration>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSite(bytes.NewReader(b), "fuzz")
		if err != nil {
			return
		}
		for _, name := range s.Names() {
			s.Get(name)
		}
	})
}
