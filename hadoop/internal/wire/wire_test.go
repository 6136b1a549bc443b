package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/hadoop/internal/pb"
)

// goldenCall is the first call on a connection, byte by byte.
const goldenCall = "0000006d" + // length of the rest
	"1a" + // RpcRequestHeader
	"0802" + "1000" + "1800" + "2210" + "000102030405060708090a0b0c0d0e0f" + "2800" +
	"44" + // RequestHeader
	"0a08" + "616c6c6f63617465" + // allocate
	"1236" + "6f72672e6170616368652e6861646f6f702e7961726e2e6170692e4170706c69636174696f6e4d617374657250726f746f636f6c5042" +
	"1801" +
	"0c" + // an IpcConnectionContext stands for the request
	"1a0a" + "70726f746f636f6c5f5f"

func header(id, retry int32) *pb.RpcRequestHeader {
	clientID := make([]byte, 16)
	for i := range clientID {
		clientID[i] = byte(i)
	}
	return &pb.RpcRequestHeader{
		RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcOp_RPC_FINAL_PACKET.Enum(),
		CallId: proto.Int32(id), ClientId: clientID, RetryCount: proto.Int32(retry),
	}
}

func TestGoldenFrames(t *testing.T) {
	if got := hex.EncodeToString(Preamble(AuthSASL)); got != "68727063"+"09"+"00"+"df" {
		t.Errorf("preamble %s", got)
	}
	const protocol = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"
	for _, tt := range []struct {
		name     string
		messages []proto.Message
		want     string
	}{
		{
			// sint32 -33 is 0x41, and -1 is 0x01.
			"SASL negotiate",
			[]proto.Message{
				&pb.RpcRequestHeader{
					RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcOp_RPC_FINAL_PACKET.Enum(),
					CallId: proto.Int32(CallSASL), ClientId: []byte{}, RetryCount: proto.Int32(-1),
				},
				&pb.RpcSasl{State: pb.SaslState_SASL_NEGOTIATE.Enum()},
			},
			"0000000e" + "0a" + "0802" + "1000" + "1841" + "2200" + "2801" + "02" + "1001",
		},
		{
			"connection context",
			[]proto.Message{header(CallConnectionContext, -1), &pb.IpcConnectionContext{Protocol: proto.String("p.P")}},
			"00000021" + "1a" + "0802" + "1000" + "1805" + "2210" + "000102030405060708090a0b0c0d0e0f" + "2801" +
				"05" + "1a03" + "702e50",
		},
		{
			"call",
			[]proto.Message{header(0, 0), &pb.RequestHeader{
				MethodName: proto.String("allocate"), DeclaringClassProtocolName: proto.String(protocol),
				ClientProtocolVersion: proto.Uint64(1),
			}, &pb.IpcConnectionContext{Protocol: proto.String("protocol__")}},
			goldenCall,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendFrame(nil, tt.messages...)
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(got) != tt.want {
				t.Errorf("got  %x\nwant %s", got, tt.want)
			}
		})
	}
}

func TestReadFrame(t *testing.T) {
	long := append([]byte{0, 3, 0, 0}, make([]byte, 3<<16)...)
	for _, tt := range []struct {
		name  string
		in    []byte
		limit int
		want  int
		err   error
	}{
		{"empty frame", []byte{0, 0, 0, 0}, 10, 0, nil},
		{"frame at the limit", []byte{0, 0, 0, 2, 1, 2}, 2, 2, nil},
		{"above the limit", []byte{0, 0, 0, 3, 1, 2, 3}, 2, 0, ErrFrameTooLong},
		{"negative as signed", []byte{255, 255, 255, 255}, 1 << 30, 0, ErrFrameTooLong},
		{"long frame", long, 1 << 20, 3 << 16, nil},
		{"long frame cut", long[:1000], 1 << 20, 0, io.ErrUnexpectedEOF},
		{"cut in the body", []byte{0, 0, 0, 2, 1}, 2, 0, io.ErrUnexpectedEOF},
		{"end between frames", nil, 2, 0, io.EOF},
		{"cut in the length", []byte{0, 0}, 2, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadFrame(bytes.NewReader(tt.in), tt.limit)
			if !errors.Is(err, tt.err) || len(got) != tt.want {
				t.Errorf("got %d bytes, %v; want %d, %v", len(got), err, tt.want, tt.err)
			}
		})
	}
}

func FuzzReply(f *testing.F) {
	good, _ := AppendFrame(nil, &pb.RpcResponseHeader{CallId: proto.Uint32(1), Status: pb.RpcStatus_SUCCESS.Enum()}, &pb.RpcSasl{})
	f.Add(good)
	raw, _ := hex.DecodeString(strings.ReplaceAll(goldenCall, " ", ""))
	f.Add(raw)
	f.Add([]byte{0, 0, 0, 1, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ReadFrame(bytes.NewReader(b), 1<<16)
		if err != nil {
			return
		}
		if len(frame) > len(b) {
			t.Fatalf("frame of %d bytes out of %d", len(frame), len(b))
		}
		var h pb.RpcResponseHeader
		rest, err := Consume(frame, &h)
		if err == nil && len(rest) >= len(frame) {
			t.Fatalf("consumed nothing")
		}
	})
}
