package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/client"
)

const (
	// unknownAfter is how long YARN may give no answer before the command says so.
	unknownAfter = 15 * time.Second
	replHelp     = "Available commands:\nhelp - show these commands\nstop - stop the YARN session\nquit - the same\n"
)

// attached reads commands and watches the session until one of both ends it.
func (y *sessionCommand) attached(ctx context.Context) error {
	defer y.forget()
	watching, stop := context.WithCancel(ctx)
	ended := make(chan client.Report, 1)
	var watch sync.WaitGroup
	watch.Go(func() { y.watch(watching, ended) })
	defer watch.Wait()
	defer stop()
	lines := readLines(watching, y.s.In)
	for {
		select {
		case <-ctx.Done():
			stop()
			if err := y.s.shutdown(context.WithoutCancel(ctx), y.place, y.cluster); err != nil {
				return fmt.Errorf("end session %s with this command: %w", y.cluster.ID, err)
			}
			return &exitError{ExitError, context.Cause(ctx)}
		case r := <-ended:
			y.s.print.ended(r)
			if r.State != client.Succeeded {
				fmt.Fprintln(y.s.Err, "The Weft Yarn cluster has failed.")
			}
			return endError("session", r)
		case line, ok := <-lines:
			if !ok {
				lines = nil
				y.s.log.Info("standard input has ended; the session goes on until Ctrl-C", "stop", "weft yarn-session stop "+y.cluster.ID)
				continue
			}
			if done, err := y.command(ctx, line); done {
				return err
			}
		}
	}
}

// command carries out one line; done says that the session has been ended by it.
func (y *sessionCommand) command(ctx context.Context, line string) (done bool, err error) {
	switch strings.TrimSpace(line) {
	case "":
		return false, nil
	case "stop", "quit":
		if err := y.s.shutdown(ctx, y.place, y.cluster); err != nil {
			return true, fmt.Errorf("stop session %s: %w", y.cluster.ID, err)
		}
		if r, err := y.place.Report(ctx, y.cluster.ID); err == nil {
			y.s.print.ended(r)
			y.s.log.Info("session ended", "applicationId", r.ID, "finalStatus", r.State, "diagnostics", r.Diagnostics)
		}
		return true, nil
	case "help":
		fmt.Fprint(y.s.Err, replHelp)
		return false, nil
	}
	fmt.Fprintf(y.s.Err, "Unknown command '%s'. Showing help:\n%s", strings.TrimSpace(line), replHelp)
	return false, nil
}

// watch asks YARN about the session until it has ended, which it reports, or until ctx has.
func (y *sessionCommand) watch(ctx context.Context, ended chan<- client.Report) {
	answered, told := time.Now(), false
	for {
		r, err := y.place.Report(ctx, y.cluster.ID)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, client.ErrNotFound):
			ended <- client.Report{ID: y.cluster.ID, State: client.Failed, Diagnostics: err.Error()}
			return
		case err != nil:
			if time.Since(answered) > unknownAfter && !told {
				y.s.log.Warn("The Weft Yarn cluster is in an unknown state. Please check the Yarn cluster.", "error", err)
				told = true
			}
		case r.State.Ended():
			ended <- r
			return
		default:
			answered, told = time.Now(), false
		}
		if pause(ctx, reportInterval) != nil {
			return
		}
	}
}

// readLines sends the lines of in and closes the channel at its end. A read that blocks can't be broken off, so the
// goroutine ends with in, or after the next line once ctx has ended; at the latest with the process.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		if in == nil {
			return
		}
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
