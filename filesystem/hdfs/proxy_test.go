package hdfs_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between a file system and a NameNode. It can lose an answer: it passes the call on, waits for what comes
// back, and closes the connection instead of passing it on.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]struct{}
	method string
	count  int
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) dropAnswerTo(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.method = method
}

func (p *proxy) dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[s] = struct{}{}, struct{}{}
		p.mu.Unlock()
		var drop sync.Mutex
		dropping := false
		p.wg.Go(func() {
			defer s.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				if n > 0 {
					if p.hit(buf[:n]) {
						drop.Lock()
						dropping = true
						drop.Unlock()
					}
					if _, err := s.Write(buf[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
		p.wg.Go(func() {
			defer c.Close()
			_, _ = io.Copy(writerFunc(func(b []byte) (int, error) {
				drop.Lock()
				defer drop.Unlock()
				if dropping {
					return 0, io.ErrClosedPipe
				}
				return c.Write(b)
			}), s)
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// hit reports whether a packet calls the method; once.
func (p *proxy) hit(packet []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.method == "" || !bytes.Contains(packet, []byte(p.method)) {
		return false
	}
	p.method = ""
	p.count++
	return true
}
