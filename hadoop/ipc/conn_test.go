package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/ipc/ipctest"
	"github.com/weftstream/weft/internal/testkit"
)

var token = hadoop.Token{Identifier: []byte("who\x00\xff"), Password: []byte("secret"), Kind: "T"}

func serve(t *testing.T, cfg ipctest.Config) *ipctest.Server {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	s, err := ipctest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func passwordOf(token hadoop.Token) func([]byte) ([]byte, error) {
	return func(id []byte) ([]byte, error) {
		if string(id) != string(token.Identifier) {
			return nil, ipctest.Exception("org.apache.hadoop.security.token.SecretManager$InvalidToken", "Invalid token")
		}
		return token.Password, nil
	}
}

// echo answers with the caller's token or user, the method and the body.
func echo(_ context.Context, r *ipctest.Request) (proto.Message, error) {
	var in wrapperspb.StringValue
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return wrapperspb.String(fmt.Sprintf("%q%q %s %s %s", r.Identifier, r.User, r.Protocol, r.Method, in.Value)), nil
}

func dial(t *testing.T, s *ipctest.Server, token *hadoop.Token) *ipc.Conn {
	t.Helper()
	c, err := ipc.Dial(t.Context(), ipc.Config{Address: s.Address(), Protocol: "p.P", Token: token, User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCallWithToken(t *testing.T) {
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: echo})
	c := dial(t, s, &token)
	var out wrapperspb.StringValue
	if err := c.Call(t.Context(), "speak", wrapperspb.String("hello"), &out); err != nil {
		t.Fatal(err)
	}
	if want := `"who\x00\xff""" p.P speak hello`; out.Value != want {
		t.Errorf("got %s, want %s", out.Value, want)
	}
}

func TestCallWithUserName(t *testing.T) {
	s := serve(t, ipctest.Config{Handle: echo})
	c := dial(t, s, nil)
	var out wrapperspb.StringValue
	// The connection context has no reply; the call behind it is handled later.
	if err := c.Call(t.Context(), "speak", wrapperspb.String("hello"), &out); err != nil {
		t.Fatal(err)
	}
	if want := `"""ann" p.P speak hello`; out.Value != want {
		t.Errorf("got %s, want %s", out.Value, want)
	}
}

func TestRefusedLogins(t *testing.T) {
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: echo})
	for _, tt := range []struct {
		name  string
		token *hadoop.Token
		want  error
		text  string
	}{
		{"wrong password", &hadoop.Token{Identifier: token.Identifier, Password: []byte("guess")}, ipc.ErrAuthentication, "Mismatched response"},
		{"unknown token", &hadoop.Token{Identifier: []byte("x"), Password: []byte("secret")}, ipc.ErrInvalidToken, "Invalid token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ipc.Dial(t.Context(), ipc.Config{Address: s.Address(), Protocol: "p.P", Token: tt.token})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
			var remote *ipc.RemoteError
			if !errors.As(err, &remote) || !remote.Fatal || remote.Detail != ipc.DetailUnauthorized {
				t.Errorf("got %#v, want a fatal refusal", remote)
			}
		})
	}
	// Without a token the refusal comes as the reply to nothing in particular.
	c, err := ipc.Dial(t.Context(), ipc.Config{Address: s.Address(), Protocol: "p.P", User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Call(t.Context(), "speak", wrapperspb.String(""), &wrapperspb.StringValue{})
	if !errors.Is(err, ipc.ErrAccessControl) && !errors.Is(err, ipc.ErrConnectionLost) {
		t.Errorf("got %v, want access denied", err)
	}
}

// TestRepliesInAnyOrder holds the first call back until the last is answered.
func TestRepliesInAnyOrder(t *testing.T) {
	const calls = 50
	release := make(chan struct{})
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: func(ctx context.Context, r *ipctest.Request) (proto.Message, error) {
		if r.Method == "first" {
			<-release
		}
		return echo(ctx, r)
	}})
	c := dial(t, s, &token)
	var wg sync.WaitGroup
	wg.Go(func() {
		var out wrapperspb.StringValue
		if err := c.Call(t.Context(), "first", wrapperspb.String("one"), &out); err != nil || !strings.HasSuffix(out.Value, "first one") {
			t.Errorf("got %q, %v", out.Value, err)
		}
	})
	var others sync.WaitGroup
	for i := range calls {
		others.Go(func() {
			var out wrapperspb.StringValue
			text := fmt.Sprint(i)
			if err := c.Call(t.Context(), "m", wrapperspb.String(text), &out); err != nil || !strings.HasSuffix(out.Value, " m "+text) {
				t.Errorf("got %q, %v", out.Value, err)
			}
		})
	}
	others.Wait()
	close(release)
	wg.Wait()
}

func TestRemoteErrorKeepsConnection(t *testing.T) {
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: func(ctx context.Context, r *ipctest.Request) (proto.Message, error) {
		if r.Method == "fail" {
			return nil, ipctest.Exception("org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException", "who are you")
		}
		return echo(ctx, r)
	}})
	c := dial(t, s, &token)
	err := c.Call(t.Context(), "fail", wrapperspb.String(""), &wrapperspb.StringValue{})
	if !errors.Is(err, ipc.ErrApplicationMasterNotRegistered) || errors.Is(err, ipc.ErrStandby) {
		t.Errorf("got %v", err)
	}
	want := "fail on " + s.Address() + ": ApplicationMasterNotRegisteredException: who are you"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	var remote *ipc.RemoteError
	if errors.As(err, &remote) && !strings.Contains(remote.Stack, "Test.java") {
		t.Errorf("stack is %q", remote.Stack)
	}
	if err := c.Call(t.Context(), "ok", wrapperspb.String(""), &wrapperspb.StringValue{}); err != nil {
		t.Errorf("the connection should have stayed usable: %v", err)
	}
}

func TestLostConnectionEndsAllCalls(t *testing.T) {
	arrived := make(chan struct{}, 2)
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: func(ctx context.Context, r *ipctest.Request) (proto.Message, error) {
		arrived <- struct{}{}
		return nil, ipctest.ErrSilence
	}})
	c := dial(t, s, &token)
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- c.Call(t.Context(), "m", wrapperspb.String(""), &wrapperspb.StringValue{}) }()
	}
	<-arrived
	<-arrived
	s.CloseConnections()
	for range 2 {
		if err := <-errs; !errors.Is(err, ipc.ErrConnectionLost) {
			t.Errorf("got %v, want %v", err, ipc.ErrConnectionLost)
		}
	}
	<-c.Done()
	if err := c.Call(t.Context(), "m", wrapperspb.String(""), &wrapperspb.StringValue{}); !errors.Is(err, ipc.ErrConnectionLost) {
		t.Errorf("a call on a dead connection: got %v", err)
	}
}

func TestDeadlineLeavesConnectionUsable(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, ipctest.Config{Password: passwordOf(token), Handle: func(ctx context.Context, r *ipctest.Request) (proto.Message, error) {
		if r.Method == "slow" {
			<-release
		}
		return echo(ctx, r)
	}})
	c := dial(t, s, &token)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := c.Call(ctx, "slow", wrapperspb.String(""), &wrapperspb.StringValue{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release) // its reply comes now and has no taker
	if err := c.Call(t.Context(), "quick", wrapperspb.String(""), &wrapperspb.StringValue{}); err != nil {
		t.Error(err)
	}
}

// TestHandshakeDeadline dials a server that accepts and says nothing.
func TestHandshakeDeadline(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = ipc.Dial(t.Context(), ipc.Config{
		Address: ln.Addr().String(), Protocol: "p.P", Token: &token, CallTimeout: 20 * time.Millisecond,
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestReplyTooLong(t *testing.T) {
	s := serve(t, ipctest.Config{Handle: func(context.Context, *ipctest.Request) (proto.Message, error) {
		return wrapperspb.String(strings.Repeat("x", 2000)), nil
	}})
	c, err := ipc.Dial(t.Context(), ipc.Config{Address: s.Address(), Protocol: "p.P", User: "ann", MaxFrame: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Call(t.Context(), "m", wrapperspb.String(""), &wrapperspb.StringValue{})
	if !errors.Is(err, ipc.ErrConnectionLost) || !strings.Contains(err.Error(), "frame") {
		t.Errorf("got %v, want the frame refused", err)
	}
}
