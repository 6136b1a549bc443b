package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Exit codes of the command line.
const (
	// ExitOK: what was asked for was done; an attached command saw its job or application succeed.
	ExitOK = 0
	// ExitError: a usage mistake, or the command failed: nothing was submitted, or what became of it isn't known.
	ExitError = 1
	// ExitFailed: the job or the application ran, and ended FAILED.
	ExitFailed = 2
	// ExitCanceled: the job or the application was cancelled or killed by someone.
	ExitCanceled = 3
	// ExitConfiguration: the configuration directory or file couldn't be read.
	ExitConfiguration = 31
	// ExitSignal is added to the number of the signal that ended the command: 130 after Ctrl-C, 143 after SIGTERM.
	ExitSignal = 128
)

// usageError is a mistake on the command line; the verb's usage is shown with it.
type usageError struct {
	verb string // "" before there is one
	err  error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// exitError carries an exit code other than ExitError. Without err everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "got signal " + e.signal.String() }

func (e *signalError) code() int {
	if s, ok := e.signal.(syscall.Signal); ok {
		return ExitSignal + int(s)
	}
	return ExitError
}

// exitCode is the code for err. A command that a signal ended says so whatever went wrong on the way out.
func exitCode(ctx context.Context, err error) int {
	var sig *signalError
	var exit *exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &sig), errors.As(context.Cause(ctx), &sig):
		return sig.code()
	case errors.As(err, &exit):
		return exit.code
	}
	return ExitError
}

const rule = "------------------------------------------------------------"

// report writes err for people: a usage mistake with the verb's usage, anything else without.
func report(w io.Writer, err error) {
	var usage *usageError
	var exit *exitError
	var sig *signalError
	switch {
	case err == nil, errors.As(err, &exit) && exit.err == nil:
	case errors.As(err, &sig):
		fmt.Fprintf(w, "\n%v\n", err)
	case errors.As(err, &usage):
		fmt.Fprintln(w, usage.Error())
		if line := usageLine(usage.verb); line != "" {
			fmt.Fprintf(w, "\nUsage: %s\n", line)
		}
		fmt.Fprintln(w, "\nUse the help option (-h or --help) to get help on the command.")
	default:
		fmt.Fprintf(w, "\n%s\n The program finished with the following exception:\n\n%v\n", rule, err)
	}
}
