package conf

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// CachedFile is an entry of pipeline.cached-files. The path and the flag are the user's. A client that has brought a file of
// its own to the cluster puts the path there in its place and says with it what it is: a hash, its size, what it was called, and
// whether it is a directory, as an archive.
type CachedFile struct {
	Name, Path string
	Executable bool
	// SHA256 are 64 hexadecimal digits, or "" for a file that nobody has uploaded; then what follows means nothing.
	SHA256    string
	Size      int64
	Directory bool
	// File is the name of the local copy, "" for the one at the end of the path.
	File string
}

const cachedFilesForm = "files with names and paths, like name:file1,path:'file:///tmp/file1';name:file2,path:'hdfs:///file2',executable:true; " +
	"a path with a colon is quoted, and each file has a name of its own"

var cachedFilesKind = kind[[]CachedFile]{
	name:   "list",
	form:   cachedFilesForm,
	parse:  parseCachedFiles,
	format: formatCachedFiles,
	clone:  func(l []CachedFile) []CachedFile { return slices.Clone(l) },
}

// parseCachedFiles reads a list of maps, in Flink's own form or in YAML's short one.
func parseCachedFiles(s string) ([]CachedFile, error) {
	elements, err := splitMaps(s)
	if err != nil {
		return nil, err
	}
	files := make([]CachedFile, 0, len(elements))
	for _, e := range elements {
		m, err := parseMap(e)
		if err != nil {
			return nil, err
		}
		f, err := cachedFile(m)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(files, func(other CachedFile) bool { return other.Name == f.Name }) {
			return nil, errForm
		}
		files = append(files, f)
	}
	return files, nil
}

// splitMaps is parseList for elements that may be maps in YAML's short form, whose commas are their own.
func splitMaps(s string) ([]string, error) {
	inner, ok := brackets(s, '[', ']')
	if !ok || !strings.HasPrefix(strings.TrimSpace(inner), "{") {
		return parseList(s)
	}
	var elements []string
	start, depth, quoted, before := 0, 0, byte(0), byte(0)
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		switch {
		case quoted != 0:
			if c == quoted { // a doubled one closes and opens again
				quoted = 0
			}
		case (c == '\'' || c == '"') && (before == '{' || before == ':' || before == ',' || before == c):
			quoted = c
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			elements = append(elements, inner[start:i])
			start = i + 1
		}
		if c != ' ' && c != '\t' {
			before = c
		}
	}
	if depth != 0 || quoted != 0 {
		return nil, errForm
	}
	return append(elements, inner[start:]), nil
}

func cachedFile(m map[string]string) (CachedFile, error) {
	f := CachedFile{Name: m["name"], Path: m["path"]}
	if f.Name == "" || f.Path == "" {
		return f, errForm
	}
	for key, value := range m {
		var err error
		switch key {
		case "name", "path":
		case "file":
			f.File = value
		case "executable":
			f.Executable, err = boolKind.parse(value)
		case "directory":
			f.Directory, err = boolKind.parse(value)
		case "size":
			f.Size, err = int64Kind.parse(value)
		case "sha256":
			f.SHA256 = strings.ToLower(value)
			if b, herr := hex.DecodeString(value); herr != nil || len(b) != 32 {
				err = errForm
			}
		default:
			err = errForm
		}
		if err != nil {
			return f, errForm
		}
	}
	if f.SHA256 == "" && (f.File != "" || f.Size != 0 || f.Directory) || f.Size < 0 {
		return f, errForm
	}
	return f, nil
}

func formatCachedFiles(files []CachedFile) string {
	elements := make([]string, len(files))
	for i, f := range files {
		m := map[string]string{"name": f.Name, "path": f.Path}
		if f.Executable {
			m["executable"] = "true"
		}
		if f.SHA256 != "" {
			m["sha256"], m["size"] = f.SHA256, strconv.FormatInt(f.Size, 10)
			if f.File != "" {
				m["file"] = f.File
			}
			if f.Directory {
				m["directory"] = "true"
			}
		}
		elements[i] = FormatMap(m)
	}
	return FormatList(elements)
}
