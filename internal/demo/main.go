// Command demo is what `make demo` runs once Hadoop is up: it puts the Go standard library's sources into HDFS, runs
// wordcount over them and topspeedwindowing in application mode, compares the counts with its own, and says where each
// process ran and how long each step took.
//
//	demo -hadoop DIR -bin DIR
//
// It starts one goroutine that watches containers while an application runs, and joins it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/hadoop"
)

func main() {
	cluster := flag.String("hadoop", "", "directory of `scripts/hadoop up`")
	bin := flag.String("bin", "bin", "directory of the built binaries")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *cluster, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	confDir, bin string
	rest         string
	fs           *filesystem.Set
	steps        []step
}

type step struct {
	name string
	took time.Duration
}

func run(ctx context.Context, cluster, bin string) error {
	d := &demo{confDir: filepath.Join(cluster, "conf"), bin: bin}
	site, err := hadoop.LoadSite(d.confDir)
	if err != nil {
		return err
	}
	d.rest = "http://" + site.Get("yarn.resourcemanager.webapp.address")
	props := site.Values()
	d.fs, err = filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{"hdfs": hdfs.Opener(hdfs.Config{Site: props})}})
	if err != nil {
		return err
	}
	defer d.fs.Close()

	counts := map[string]int64{}
	if err := d.timed("put the Go standard library's sources into HDFS, and count their words here", func() error { return d.upload(ctx, counts) }); err != nil {
		return err
	}
	say("weft run-application: wordcount over hdfs:///demo/text, 4 subtasks in 2 TaskManagers")
	err = d.application(ctx, "wordcount, command start to end", "-p", "4", "-Dtaskmanager.numberOfTaskSlots=2",
		"-Dyarn.application.name=wordcount", filepath.Join(bin, "examples/wordcount"), "--input", "hdfs:///demo/text", "--output", "hdfs:///demo/counts")
	if err != nil {
		return err
	}
	if err := d.timed("read the result", func() error { return d.check(ctx, counts) }); err != nil {
		return err
	}
	say("weft run-application: topspeedwindowing, 1,000,000 events, 3 subtasks in 3 TaskManagers")
	err = d.application(ctx, "topspeedwindowing, command start to end", "-p", "3", "-Dyarn.application.name=topspeedwindowing",
		filepath.Join(bin, "examples/topspeedwindowing"), "--events", "1000000")
	if err != nil {
		return err
	}
	say("how long each step took")
	for _, s := range d.steps {
		fmt.Printf("  %8.2f s  %s\n", s.took.Seconds(), s.name)
	}
	return nil
}

func say(text string) { fmt.Printf("\n== %s\n", text) }

func (d *demo) timed(name string, f func() error) error {
	start := time.Now()
	err := f()
	d.steps = append(d.steps, step{name, time.Since(start)})
	return err
}

// upload concatenates the sources below each top-level directory of the standard library into one HDFS file.
func (d *demo) upload(ctx context.Context, counts map[string]int64) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find the Go installation: %w", err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	dirs, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	fsys, _, err := d.fs.Resolve("hdfs:///demo/text")
	if err != nil {
		return err
	}
	if err := fsys.MkdirAll(ctx, "/demo/text", 0o755); err != nil {
		return err
	}
	var files int
	var total int64
	for _, dir := range dirs {
		var text bytes.Buffer
		if err := concatenate(&text, filepath.Join(src, dir.Name())); err != nil {
			return err
		}
		if text.Len() == 0 {
			continue
		}
		countWords(text.Bytes(), counts)
		w, err := fsys.Create(ctx, "/demo/text/"+dir.Name()+".txt", filesystem.CreateOptions{Overwrite: true})
		if err != nil {
			return err
		}
		_, err = w.Write(text.Bytes())
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
		files++
		total += int64(text.Len())
	}
	fmt.Printf("  %d files, %.1f MB\n", files, float64(total)/1e6)
	return nil
}

func concatenate(to *bytes.Buffer, dir string) error {
	return filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		to.Write(b)
		return err
	})
}

// countWords is the independent count: byte by byte, into a map.
func countWords(text []byte, counts map[string]int64) {
	var word []byte
	end := func() {
		if len(word) > 0 {
			counts[string(word)]++
			word = word[:0]
		}
	}
	for _, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			word = append(word, c+32)
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			word = append(word, c)
		default:
			end()
		}
	}
	end()
}

// check reads wordcount's output, compares every count, and shows the most frequent words.
func (d *demo) check(ctx context.Context, want map[string]int64) error {
	fsys, _, err := d.fs.Resolve("hdfs:///demo/counts")
	if err != nil {
		return err
	}
	parts, err := fsys.List(ctx, "/demo/counts")
	if err != nil {
		return err
	}
	type count struct {
		word string
		n    int64
	}
	var all []count
	for _, p := range parts {
		f, err := fsys.Open(ctx, p.Path)
		if err != nil {
			return err
		}
		s := bufio.NewScanner(io.NewSectionReader(f, 0, p.Size))
		s.Buffer(nil, 1<<24)
		for s.Scan() {
			word, number, ok := strings.Cut(s.Text(), "\t")
			n, err := strconv.ParseInt(number, 10, 64)
			if !ok || err != nil || want[word] != n {
				f.Close()
				return fmt.Errorf("%s says %q, the independent count of %q is %d", p.Path, s.Text(), word, want[word])
			}
			all = append(all, count{word, n})
		}
		f.Close()
		if err := s.Err(); err != nil {
			return err
		}
	}
	if len(all) != len(want) {
		return fmt.Errorf("wordcount put out %d words, the independent count has %d", len(all), len(want))
	}
	say("the ten most frequent words")
	sort.Slice(all, func(i, j int) bool { return all[i].n > all[j].n || all[i].n == all[j].n && all[i].word < all[j].word })
	for _, c := range all[:min(10, len(all))] {
		fmt.Printf("  %9d  %s\n", c.n, c.word)
	}
	fmt.Printf("  all %d words in %d part files agree with the independent count\n", len(all), len(parts))
	return nil
}

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// application runs `weft run-application` attached, shows what it says, and where YARN ran its containers.
func (d *demo) application(ctx context.Context, name string, args ...string) error {
	start := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "weft"), append([]string{"run-application", "-t", "yarn-application"}, args...)...)
	cmd.Env = append(os.Environ(), "HADOOP_CONF_DIR="+d.confDir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		w.Close()
		return err
	}
	w.Close()
	watch := newWatcher(d.rest)
	for s := bufio.NewScanner(r); s.Scan(); {
		fmt.Printf("  [%6.2f] %s\n", time.Since(start).Seconds(), s.Text())
		if id := applicationID.FindString(s.Text()); id != "" {
			watch.start(id)
		}
	}
	r.Close()
	err = cmd.Wait()
	d.steps = append(d.steps, step{name, time.Since(start)})
	placed := watch.stop()
	if err != nil {
		return fmt.Errorf("weft run-application: %w", err)
	}
	fmt.Println("  where its processes ran:")
	for _, p := range placed {
		fmt.Println("    " + p)
	}
	return nil
}
