package ipc

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/internal/digest"
	"github.com/weftstream/weft/hadoop/internal/pb"
	"github.com/weftstream/weft/hadoop/internal/wire"
)

// The one way to log in that tokens have.
const (
	methodToken   = "TOKEN"
	mechanismMD5  = "DIGEST-MD5"
	maxSASLRounds = 8 // a server that goes on challenging is broken
)

// handshake sends the preamble, logs in and names the protocol. It runs before
// the read loop, under the deadline that Dial sets.
func (c *Conn) handshake() error {
	auth := wire.AuthSimple
	if c.cfg.Token != nil {
		auth = wire.AuthSASL
	}
	if _, err := c.nc.Write(wire.Preamble(auth)); err != nil {
		return err
	}
	connection := &pb.IpcConnectionContext{Protocol: proto.String(c.cfg.Protocol)}
	if c.cfg.Token != nil {
		if err := c.login(); err != nil {
			return err
		}
	} else {
		connection.UserInfo = &pb.UserInformation{EffectiveUser: proto.String(c.cfg.User)}
	}
	return c.write(c.requestHeader(wire.CallConnectionContext, -1), connection)
}

func (c *Conn) write(messages ...proto.Message) error {
	frame, err := wire.AppendFrame(nil, messages...)
	if err != nil {
		return err
	}
	_, err = c.nc.Write(frame)
	return err
}

// login is the SASL exchange:
//
//	client NEGOTIATE ->
//	                 <- server NEGOTIATE [ways to log in, challenge]
//	client INITIATE [answer] ->
//	                 <- server SUCCESS [proof]
//
// A server that sends no challenge with its NEGOTIATE sends CHALLENGE after an
// empty INITIATE and gets RESPONSE.
func (c *Conn) login() error {
	exchange := digest.Exchange{
		Username: base64.StdEncoding.EncodeToString(c.cfg.Token.Identifier),
		Password: base64.StdEncoding.EncodeToString(c.cfg.Token.Password),
		CNonce:   rand.Text(),
	}
	answered := false
	out := &pb.RpcSasl{State: pb.SaslState_SASL_NEGOTIATE.Enum()}
	for range maxSASLRounds {
		in, err := c.exchangeSASL(out)
		if err != nil {
			return err
		}
		switch in.GetState() {
		case pb.SaslState_SASL_NEGOTIATE:
			out, err = c.initiate(&exchange, in)
			answered = err == nil && len(out.GetToken()) > 0
		case pb.SaslState_SASL_CHALLENGE:
			out = &pb.RpcSasl{State: pb.SaslState_SASL_RESPONSE.Enum()}
			out.Token, err = exchange.Answer(in.GetToken())
			answered = true
		case pb.SaslState_SASL_SUCCESS:
			if !answered {
				return fmt.Errorf("%w: the server lets anybody in and proves nothing of itself", ErrAuthentication)
			}
			if err := exchange.Verify(in.GetToken()); err != nil {
				return fmt.Errorf("%w: %w", ErrAuthentication, err)
			}
			return nil
		default:
			err = fmt.Errorf("unexpected SASL state %s", in.GetState())
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the SASL exchange doesn't end")
}

// initiate picks the token login among the server's and answers its challenge.
func (c *Conn) initiate(exchange *digest.Exchange, in *pb.RpcSasl) (*pb.RpcSasl, error) {
	var offers []string
	for _, auth := range in.GetAuths() {
		offers = append(offers, strings.Trim(auth.GetMethod()+"/"+auth.GetMechanism(), "/"))
		if auth.GetMethod() != methodToken || auth.GetMechanism() != mechanismMD5 {
			continue
		}
		exchange.URI = auth.GetProtocol() + "/" + auth.GetServerId()
		out := &pb.RpcSasl{State: pb.SaslState_SASL_INITIATE.Enum(), Auths: []*pb.SaslAuth{{
			Method: auth.Method, Mechanism: auth.Mechanism, Protocol: auth.Protocol, ServerId: auth.ServerId,
		}}}
		if auth.GetChallenge() == nil {
			return out, nil
		}
		var err error
		out.Token, err = exchange.Answer(auth.GetChallenge())
		return out, err
	}
	return nil, fmt.Errorf("%w: the server offers [%s], and %s/%s is needed for a token",
		ErrUnsupported, strings.Join(offers, " "), methodToken, mechanismMD5)
}

// exchangeSASL sends one SASL message and reads the next.
func (c *Conn) exchangeSASL(out *pb.RpcSasl) (*pb.RpcSasl, error) {
	header := c.requestHeader(wire.CallSASL, -1)
	header.ClientId = []byte{}
	if err := c.write(header, out); err != nil {
		return nil, err
	}
	head, body, err := c.readReply()
	if err != nil {
		return nil, err
	}
	if remote := c.remoteError(head); remote != nil {
		return nil, remote
	}
	if id := int32(head.GetCallId()); id != wire.CallSASL {
		return nil, fmt.Errorf("reply to call %d in the SASL exchange", id)
	}
	in := &pb.RpcSasl{}
	_, err = wire.Consume(body, in)
	return in, err
}
