package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPropertiesFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".yarn-properties-alice")
	p := &propertiesFile{path: path, id: appID, dynamic: []string{"a.b=c=d", "env.X=1 # x!", `p=C:\dir`, "flag"}}
	if err := p.write(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "#Generated YARN properties file\n#Fri Nov 20 12:00:00 UTC 2026\napplicationID=" + appID + "\n" +
		`dynamicPropertiesString=a.b\=c\=d@@env.X\=1 \# x\!@@p\=C\:\\dir@@flag` + "\n"
	if string(text) != want {
		t.Errorf("wrote\n%s\nwant\n%s", text, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got, err := readProperties(path)
	if err != nil || got.id != appID || !slices.Equal(got.dynamic, p.dynamic) {
		t.Errorf("read %+v, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files beside it: %v", left)
	}
}

func TestPropertiesWithSecretAreNotForOthers(t *testing.T) {
	p := &propertiesFile{path: filepath.Join(t.TempDir(), "f"), id: appID, dynamic: []string{"some.password=x"}}
	if err := p.write(time.Now()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(p.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestReadProperties(t *testing.T) {
	for text, want := range map[string]string{
		"applicationID=" + appID:                                   appID,
		"# c\n! c\n\n  applicationID : " + appID + "\r\nother=1\n": appID,
		"applicationID=":                                           "has no applicationID",
		"":                                                         "has no applicationID",
		"applicationID=../../etc":                                  "is no application id",
		"applicationID=application_1_2; ls":                        "is no application id",
		strings.Repeat("#x\n", 400000) + "x":                       "it has",
	} {
		path := filepath.Join(t.TempDir(), "f")
		write(t, path, text)
		p, err := readProperties(path)
		if want == appID {
			if err != nil || p.id != want {
				t.Errorf("%q: %+v, %v", text, p, err)
			}
			continue
		}
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != ExitConfiguration || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.40q: error %v", text, err)
		}
	}
	if p, err := readProperties(filepath.Join(t.TempDir(), "none")); p != nil || err != nil {
		t.Errorf("no file: %v, %v", p, err)
	}
}

// The directory is everyone's: a link, or another user's file, isn't followed.
func TestForeignPropertiesFile(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	write(t, target, "applicationID="+appID)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := readProperties(link); err == nil {
		t.Error("a link is followed")
	}
	p := &propertiesFile{path: link, id: "application_1_2"}
	if err := p.write(time.Now()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(target); !strings.Contains(string(text), appID) {
		t.Errorf("writing went through the link: %s", text)
	}
	if os.Getuid() != 0 {
		return // only root can make another user's file
	}
	foreign := filepath.Join(dir, ".yarn-properties-alice")
	write(t, foreign, "applicationID="+appID)
	if err := os.Chown(foreign, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := readProperties(foreign); !errors.Is(err, errNotOwn) {
		t.Errorf("another user's file: %v", err)
	}
	k := newKit(t)
	k.TempDir = dir
	k.wants(k.run("list"), ExitError, nil, []string{"the YARN properties file is ignored", "belongs to another user", "No cluster id was specified"})
}

func TestRemoveOwnSessionOnly(t *testing.T) {
	p := &propertiesFile{path: filepath.Join(t.TempDir(), "f"), id: "application_1_2"}
	write(t, p.path, "applicationID="+appID)
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.path); err != nil {
		t.Errorf("another session's file was removed: %v", err)
	}
	p.id = appID
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if err := p.remove(); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// Whoever reads while another writes sees one of both, never half of one.
func TestPropertiesAreReplacedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	ids := []string{"application_1_1", "application_2_22222"}
	var writers sync.WaitGroup
	for _, id := range ids {
		p := &propertiesFile{path: path, id: id, dynamic: []string{"x=" + strings.Repeat(id, 500)}}
		if err := p.write(time.Now()); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			for range 50 {
				if err := p.write(time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		p, err := readProperties(path)
		if err != nil || !slices.Contains(ids, p.id) || p.dynamic[0] != "x="+strings.Repeat(p.id, 500) {
			t.Fatalf("read %+v, %v", p, err)
		}
	}
	writers.Wait()
}

func FuzzParseProperty(f *testing.F) {
	f.Add("a=b")
	f.Add(`a\=b : c\\`)
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\x00") {
			return
		}
		line := "key=" + escaper.Replace(value)
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q is escaped to more than a line: %q", value, line)
		}
		key, got, ok := parseProperty(line + "\n")
		// Blanks before a value belong to the separator, as in Java where they are escaped.
		if want := strings.TrimLeft(value, " "); !ok || key != "key" || got != want {
			t.Errorf("%q came back as %q, %q", value, key, got)
		}
	})
}
