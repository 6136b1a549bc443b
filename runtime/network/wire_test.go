package network

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/runtime/network/networktest"
)

func frameBytes(h header, payload []byte) []byte {
	b := make([]byte, headerSize)
	h.length = len(payload)
	h.put(b)
	return append(b, payload...)
}

func TestHeaderBounds(t *testing.T) {
	for name, h := range map[string]header{
		"kind 0":              {},
		"unknown kind":        {kind: frameUrgent + 1},
		"data too long":       {kind: frameData, length: MaxFrame + 1},
		"data far too long":   {kind: frameData, length: math.MaxUint32},
		"empty part":          {kind: framePart},
		"part with a value":   {kind: framePart, length: 1, value: 1},
		"end with a payload":  {kind: frameEnd, length: 1},
		"barrier and payload": {kind: frameBarrier, length: 1},
		"urgent and payload":  {kind: frameUrgent, length: 1},
		"short open":          {kind: frameOpen, length: openSize - 1},
		"no credit":           {kind: frameCredit},
		"negative credit":     {kind: frameCredit, value: -1},
		"endless credit":      {kind: frameCredit, value: maxCredits + 1},
	} {
		var b [headerSize]byte
		h.put(b[:])
		if _, err := parseHeader(b[:]); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	id := ChannelID{1, 2, 3, 4, 5}
	for credits, good := range map[int]bool{0: false, 1: true, maxCredits: true, maxCredits + 1: false, 1 << 31: false} {
		got, n, err := parseOpen(appendOpen(nil, 9, id, credits)[headerSize:])
		if good != (err == nil) || good && (got != id || n != credits) {
			t.Errorf("open with %d credits: %v %d %v", credits, got, n, err)
		}
	}
}

// consume feeds a consumer's connection that has one channel open with some bytes.
func consume(data []byte) (*Gate, error) {
	g := newGate(NewWaker(), []ChannelSpec{{Type: networktest.Type{}, Peer: "a"}})
	c := newConsumerConn("a", func() {})
	if err := c.open(g.channels[0]); err != nil {
		return nil, err
	}
	return g, c.readAll(bytes.NewReader(data))
}

func TestConsumerRefusesWhatBreaksTheProtocol(t *testing.T) {
	end := frameBytes(header{channel: 1, kind: frameEnd}, nil)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":         {nil, io.EOF},
		"end":             {end, io.EOF},
		"cut header":      {end[:5], io.ErrUnexpectedEOF},
		"cut payload":     {frameBytes(header{channel: 1, kind: frameData}, []byte("abc"))[:headerSize+1], io.ErrUnexpectedEOF},
		"no payload":      {frameBytes(header{channel: 1, kind: frameData}, []byte("abc"))[:headerSize], io.ErrUnexpectedEOF},
		"unknown channel": {frameBytes(header{channel: 2, kind: frameEnd}, nil), ErrFrame},
		"open":            {appendOpen(nil, 1, ChannelID{}, 1), ErrFrame},
		"above credits":   {bytes.Repeat(end, 17), ErrFrame},
	} {
		if _, err := consume(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// produce feeds a producer's connection with some bytes and returns what was opened.
func produce(data []byte) (opened []ChannelID, err error) {
	c := newProducerConn("b", nil, func(id ChannelID, r *receiver) error {
		opened = append(opened, id)
		return nil
	})
	return opened, c.readAll(bytes.NewReader(data))
}

func TestProducerRefusesWhatBreaksTheProtocol(t *testing.T) {
	open := appendOpen(nil, 1, ChannelID{Edge: 7}, 4)
	grant := frameBytes(header{channel: 1, kind: frameCredit, value: maxCredits - 4}, nil)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"open":             {open, io.EOF},
		"most credits":     {append(open[:len(open):len(open)], grant...), io.EOF},
		"too many credits": {append(append(open[:len(open):len(open)], grant...), frameBytes(header{channel: 1, kind: frameCredit, value: 1}, nil)...), ErrFrame},
		"opened twice":     {append(open[:len(open):len(open)], open...), ErrFrame},
		"not open":         {grant, ErrFrame},
		"data":             {frameBytes(header{channel: 1, kind: frameData}, []byte("x")), ErrFrame},
	} {
		if _, err := produce(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestPendingOpeningsAreBoundedAndDroppedWithTheirConnection(t *testing.T) {
	x, err := NewExchange(Config{Resource: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for i := range maxPending {
		if err := x.bind(ChannelID{Edge: i}, &receiver{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.bind(ChannelID{Edge: maxPending}, &receiver{}); !errors.Is(err, ErrFrame) {
		t.Errorf("one above the bound: %v", err)
	}
}

func TestPreamble(t *testing.T) {
	var b bytes.Buffer
	want := Preamble{Job: [16]byte{1, 2, 3}, Resource: "container_1_0001_01_000002"}
	if err := WritePreamble(&b, want); err != nil {
		t.Fatal(err)
	}
	b.WriteString("rest")
	if got, err := ReadPreamble(&b); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	if b.String() != "rest" {
		t.Errorf("left %q", b.String())
	}
	for name, text := range map[string]string{
		"http":       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"version":    "WEFT\x02" + strings.Repeat("x", 16) + "\x01a",
		"empty name": "WEFT\x01" + strings.Repeat("x", 16) + "\x00",
	} {
		if _, err := ReadPreamble(strings.NewReader(text)); !errors.Is(err, ErrPreamble) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, p := range []Preamble{{}, {Resource: strings.Repeat("x", 256)}} {
		if WritePreamble(io.Discard, p) == nil {
			t.Errorf("resource id of %d bytes was written", len(p.Resource))
		}
	}
}

func FuzzPreamble(f *testing.F) {
	var b bytes.Buffer
	WritePreamble(&b, Preamble{Resource: "a"})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPreamble(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WritePreamble(&b, p); err != nil || !bytes.HasPrefix(data, b.Bytes()) {
			t.Errorf("read %v of %q, which is written as %q: %v", p, data, b.Bytes(), err)
		}
	})
}

// FuzzConsumer feeds a consumer any bytes: nothing may panic, no more may be held than was granted, and what is read must
// be what the bytes say.
func FuzzConsumer(f *testing.F) {
	v := operator.NewVec[networktest.Record](2)
	v.V = append(v.V, networktest.Record{Key: "a", N: 1}, networktest.Record{Key: "b", N: 2})
	payload := networktest.Type{}.Encode(nil, v, 0, 2)
	f.Add(frameBytes(header{channel: 1, kind: frameData, value: 5}, payload))
	f.Add(append(frameBytes(header{channel: 1, kind: framePart}, payload[:3]), frameBytes(header{channel: 1, kind: frameData}, payload[3:])...))
	f.Add(append(frameBytes(header{channel: 1, kind: frameBarrier, value: 3}, nil), frameBytes(header{channel: 1, kind: frameEnd}, nil)...))
	urgent := frameBytes(header{channel: 1, kind: frameUrgent, value: 7}, nil)
	f.Add(append(frameBytes(header{channel: 1, kind: frameData, value: 5}, payload), urgent...))
	f.Add(bytes.Repeat(urgent, maxUrgent+2))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := consume(data)
		if err == nil {
			t.Fatal("no error at the end of the connection")
		}
		kept := checkOvertaken(t, g, len(data))
		held := 0
		for {
			e, ok, err := g.Next()
			if !ok || err != nil {
				break
			}
			if held++; held > g.channels[0].credits+maxUrgent {
				t.Fatalf("%d elements were held, %d were granted", held, g.channels[0].credits)
			}
			if e.Batch != nil && e.Batch.Len() > len(data) {
				t.Fatalf("%d records of %d bytes", e.Batch.Len(), len(data))
			}
			if e.Event.Kind != 0 {
				kept = nil
			}
			if e.Batch != nil && len(kept) > 0 {
				if kept[0] != e.Batch.Len() {
					t.Fatalf("%d records were overtaken where %d are delivered", kept[0], e.Batch.Len())
				}
				kept = kept[1:]
			}
		}
	})
}

// checkOvertaken overtakes with the first barrier that is announced and returns the sizes of what was in front of it.
func checkOvertaken(t *testing.T, g *Gate, most int) (sizes []int) {
	announced := 0
	for {
		channel, e, ok := g.Announced()
		if !ok {
			return sizes
		}
		if announced++; announced > maxUrgent {
			t.Fatalf("more than %d barriers are announced", maxUrgent)
		}
		if announced > 1 {
			continue
		}
		bytes := 0
		complete := g.Overtake(channel, e.ID, func(_ int, _ int64, records []byte) {
			bytes += len(records)
			v := operator.NewVec[networktest.Record](0)
			if len(records) > 0 && (networktest.Type{}).Decode(v, records) != nil {
				return // delivered, it fails the task
			}
			sizes = append(sizes, v.Len())
		})
		if !complete || bytes > most {
			t.Fatalf("overtaken %d bytes of %d, complete: %v", bytes, most, complete)
		}
	}
}

func FuzzProducer(f *testing.F) {
	f.Add(appendOpen(nil, 1, ChannelID{Edge: 7}, 4))
	f.Add(append(appendOpen(nil, 1, ChannelID{Edge: 7}, 4), frameBytes(header{channel: 1, kind: frameCredit, value: 2}, nil)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		opened, err := produce(data)
		if err == nil {
			t.Fatal("no error at the end of the connection")
		}
		if len(opened) > len(data)/(headerSize+openSize) {
			t.Fatalf("%d channels were opened by %d bytes", len(opened), len(data))
		}
	})
}
