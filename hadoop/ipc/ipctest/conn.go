package ipctest

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/internal/digest"
	"github.com/weftstream/weft/hadoop/internal/pb"
	"github.com/weftstream/weft/hadoop/internal/wire"
)

// What Hadoop's own servers answer a token login with.
const (
	realm    = "default"
	serverID = "default"
	maxFrame = 64 << 20
)

// conn is one accepted connection.
type conn struct {
	server     *Server
	nc         net.Conn
	identifier []byte
	user       string
	writeMu    sync.Mutex
}

func (c *conn) serve(ctx context.Context) {
	r := bufio.NewReader(c.nc)
	var preamble [wire.PreambleLen]byte
	if _, err := io.ReadFull(r, preamble[:]); err != nil {
		return
	}
	auth, err := wire.ParsePreamble(preamble)
	if err != nil {
		return
	}
	if err := c.authenticate(r, auth); err != nil {
		return
	}
	for {
		header, body, err := c.read(r)
		if err != nil {
			return
		}
		switch id := header.GetCallId(); {
		case id == wire.CallPing:
		case id == wire.CallConnectionContext:
			var connection pb.IpcConnectionContext
			if _, err := wire.Consume(body, &connection); err != nil {
				return
			}
			c.user = connection.GetUserInfo().GetEffectiveUser()
		default:
			c.server.wg.Go(func() { c.call(ctx, header, body) })
		}
	}
}

func (c *conn) read(r io.Reader) (*pb.RpcRequestHeader, []byte, error) {
	frame, err := wire.ReadFrame(r, maxFrame)
	if err != nil {
		return nil, nil, err
	}
	header := &pb.RpcRequestHeader{}
	body, err := wire.Consume(frame, header)
	return header, body, err
}

func (c *conn) write(messages ...proto.Message) error {
	frame, err := wire.AppendFrame(nil, messages...)
	if err != nil {
		return err
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	_, err = c.nc.Write(frame)
	return err
}

// authenticate refuses a connection as Hadoop does: with a fatal reply.
func (c *conn) authenticate(r io.Reader, auth byte) error {
	switch {
	case c.server.cfg.Password == nil && auth == wire.AuthSimple:
		return nil
	case auth == wire.AuthSASL && c.server.cfg.Password != nil:
		err := c.login(r)
		if err != nil {
			_ = c.write(failure(wire.CallSASL, err, true))
		}
		return err
	}
	err := Exception("org.apache.hadoop.security.AccessControlException",
		"SIMPLE authentication is not enabled.  Available:[TOKEN]")
	_ = c.write(failure(-1, err, true))
	return err
}

func (c *conn) login(r io.Reader) error {
	if _, err := c.readSASL(r, pb.SaslState_SASL_NEGOTIATE); err != nil {
		return err
	}
	nonce := newNonce()
	err := c.writeSASL(&pb.RpcSasl{State: pb.SaslState_SASL_NEGOTIATE.Enum(), Auths: []*pb.SaslAuth{{
		Method: proto.String("TOKEN"), Mechanism: proto.String("DIGEST-MD5"),
		Protocol: proto.String(""), ServerId: proto.String(serverID),
		Challenge: digest.Challenge(realm, nonce),
	}}})
	if err != nil {
		return err
	}
	in, err := c.readSASL(r, pb.SaslState_SASL_INITIATE)
	if err != nil {
		return err
	}
	_, reply, err := digest.Accept(in.GetToken(), realm, nonce, "/"+serverID, c.password)
	if errors.Is(err, digest.ErrMismatch) {
		return Exception("javax.security.sasl.SaslException",
			"DIGEST-MD5: digest response format violation. Mismatched response.")
	}
	if err != nil {
		return err
	}
	return c.writeSASL(&pb.RpcSasl{State: pb.SaslState_SASL_SUCCESS.Enum(), Token: reply})
}

func (c *conn) password(user string) (string, error) {
	identifier, err := base64.StdEncoding.DecodeString(user)
	if err != nil {
		return "", fmt.Errorf("user name is not a token identifier: %w", err)
	}
	password, err := c.server.cfg.Password(identifier)
	if err != nil {
		return "", err
	}
	c.identifier = identifier
	return base64.StdEncoding.EncodeToString(password), nil
}

func (c *conn) readSASL(r io.Reader, want pb.SaslState) (*pb.RpcSasl, error) {
	header, body, err := c.read(r)
	if err != nil {
		return nil, err
	}
	in := &pb.RpcSasl{}
	if _, err := wire.Consume(body, in); err != nil {
		return nil, err
	}
	if header.GetCallId() != wire.CallSASL || in.GetState() != want {
		return nil, fmt.Errorf("call %d in state %s, want %s", header.GetCallId(), in.GetState(), want)
	}
	return in, nil
}

func (c *conn) writeSASL(m *pb.RpcSasl) error {
	return c.write(success(wire.CallSASL), m)
}

func success(callID int32) *pb.RpcResponseHeader {
	return &pb.RpcResponseHeader{
		CallId: proto.Uint32(uint32(callID)), Status: pb.RpcStatus_SUCCESS.Enum(),
		ServerIpcVersionNum: proto.Uint32(wire.Version), ClientId: []byte{}, RetryCount: proto.Int32(-1),
	}
}

// call executes one request and replies.
func (c *conn) call(ctx context.Context, header *pb.RpcRequestHeader, body []byte) {
	var method pb.RequestHeader
	rest, err := wire.Consume(body, &method)
	if err != nil {
		_ = c.write(failure(header.GetCallId(), err, true))
		c.nc.Close()
		return
	}
	raw, n := protowire.ConsumeBytes(rest)
	if n < 0 {
		c.nc.Close()
		return
	}
	out, err := c.server.cfg.Handle(ctx, &Request{
		Method: method.GetMethodName(), Protocol: method.GetDeclaringClassProtocolName(),
		Identifier: c.identifier, User: c.user, Body: raw,
	})
	switch {
	case errors.Is(err, ErrDrop):
		c.nc.Close()
	case errors.Is(err, ErrSilence):
	case err != nil:
		reply := failure(header.GetCallId(), err, false)
		_ = c.write(reply)
		if reply.GetStatus() == pb.RpcStatus_FATAL {
			c.nc.Close()
		}
	default:
		_ = c.write(success(header.GetCallId()), out)
	}
}
