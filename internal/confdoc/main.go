// Command confdoc writes docs/configuration.md, the reference page of every configuration key, to its output:
//
//	go run ./internal/confdoc > docs/configuration.md
//
// With -check file it compares instead and fails if the file is out of date. With -unread directory it lists the keys
// whose option no Go file below directory mentions, package conf aside: such an option promises what nothing does, and
// its key belongs into the groups of conf/accepted_keys.go.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/weftstream/weft/conf"
)

// errStale is returned when the page on disk is not what the declarations say.
var errStale = errors.New("the page is out of date: run go run ./internal/confdoc > docs/configuration.md")

func main() {
	check := flag.String("check", "", "compare with this `file` instead of writing")
	unread := flag.String("unread", "", "list the options no Go file below this `directory` reads")
	flag.Parse()
	if err := run(os.Stdout, *check, *unread); err != nil {
		fmt.Fprintln(os.Stderr, "confdoc:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, check, unread string) error {
	if unread != "" {
		return writeUnread(out, unread)
	}
	page := render(conf.Options())
	if check == "" {
		_, err := out.Write(page)
		return err
	}
	return checkPage(check, page)
}

func checkPage(path string, page []byte) error {
	written, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("compare with the page: %w", err)
	}
	if !bytes.Equal(written, page) {
		return fmt.Errorf("compare with %s: %w", path, errStale)
	}
	return nil
}
