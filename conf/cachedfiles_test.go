package conf

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestCachedFiles(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	two := []CachedFile{{Name: "file1", Path: "file:///tmp/file1"}, {Name: "file2", Path: "hdfs:///tmp/file2", Executable: true}}
	plain := []CachedFile{{Name: "file1", Path: "/path/to/file1", Executable: true}, {Name: "file2", Path: "/path/to/file2"}}
	for text, want := range map[string][]CachedFile{
		"":    {},
		" \t": {},
		// Of Flink's documentation and of its tests.
		"name:file1,path:'file:///tmp/file1';name:file2,path:'hdfs:///tmp/file2',executable:true":                             two,
		"[{path: /path/to/file1, name: file1, executable: 'true'}, {path: /path/to/file2, name: file2, executable: 'false'}]": plain,
		"{path: /path/to/file1, name: file1, executable: 'true'};{path: /path/to/file2, name: file2, executable: 'false'}":    plain,
		"name:file1,path:/path/to/file1,executable:true;name:file2,path:/path/to/file2":                                       plain,
		"'name:file1,path:\"file:///tmp/file1\"';'name:file2,path:''hdfs:///tmp/file2'',executable:TRUE'":                     two,
		"[{name: file1, path: 'file:///tmp/file1'},{executable: true, path: \"hdfs:///tmp/file2\", name: file2}]":             two,
		"[\"name:file1,path:'file:///tmp/file1'\", \"name:file2,path:'hdfs:///tmp/file2',executable:true\"]":                  two,
		"name:a,path:b":                                {{Name: "a", Path: "b"}},
		" name : 'a b' , path : /x y/z ":               {{Name: "a b", Path: "/x y/z"}},
		"name:m,path:'hdfs:///s',size:7,sha256:" + sum: {{Name: "m", Path: "hdfs:///s", Size: 7, SHA256: sum}},
		"name:m,path:x,directory:true,executable:true,size:7,sha256:" + strings.ToUpper(sum): {
			{Name: "m", Path: "x", Size: 7, SHA256: sum, Directory: true, Executable: true}},
	} {
		got, err := PipelineCachedFiles.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, bad := range []string{
		"file1", "name:file1", "path:/x", "name:,path:/x", "name:a,path:", "name:a,path:file:///tmp/x", "name:a,path:/x,executable:yes",
		"name:a,path:/x;name:a,path:/y", "name:a,name:b,path:/x", "name:a,path:'/x", "name:a,path:/x,excutable:true", ";", "name:a,path:/x;",
		"[{name: a, path: /x}", "[{name: a, path: /x]", "{name: a, path: /x", "name:a,path:/x,sha256:12", "name:a,path:/x,size:1",
		"name:a,path:/x,directory:true", "name:a,path:/x,size:-1,sha256:" + sum,
	} {
		if got, err := PipelineCachedFiles.Parse(bad); err == nil {
			t.Errorf("%q was accepted: %+v", bad, got)
		} else if !strings.Contains(err.Error(), "pipeline.cached-files") || !strings.Contains(err.Error(), "name:file1,path:'file:///tmp/file1'") {
			t.Errorf("%q: the error doesn't say the key and the form: %v", bad, err)
		}
	}
}

// TestCachedFilesFormat: whatever the names and paths are, what is written is read back.
func TestCachedFilesFormat(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	text := func() string {
		b := make([]byte, 1+r.IntN(8))
		for i := range b {
			b[i] = "ab:;,'\"{}[] /é"[r.IntN(15)]
		}
		return strings.TrimSpace("x" + string(b))
	}
	for range 2000 {
		var files []CachedFile
		for i := range r.IntN(4) {
			f := CachedFile{Name: string(rune('a'+i)) + text(), Path: text()[1:] + "/", Executable: r.IntN(2) == 0}
			if r.IntN(2) == 0 {
				f.SHA256, f.Size, f.Directory = strings.Repeat("0f", 32), r.Int64N(1<<40), r.IntN(2) == 0
				f.File = text()
			}
			files = append(files, f)
		}
		s := PipelineCachedFiles.Format(files)
		got, err := PipelineCachedFiles.Parse(s)
		if err != nil || len(got)+len(files) > 0 && !reflect.DeepEqual(got, files) {
			t.Fatalf("seed %d: %q is read as %+v (%v), want %+v", seed, s, got, err, files)
		}
	}
}
