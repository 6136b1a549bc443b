package network

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"time"
)

// handshakeTimeout bounds a handshake.
const handshakeTimeout = 10 * time.Second

const nonceSize = 32

// The handshake proves to both hosts that the other knows the job key. After the preamble (D dials, A accepts):
//
//	A -> D   nonce of A 32 | length of A's resource id 1 | A's resource id
//	D -> A   nonce of D 32 | HMAC-SHA256(key, "weft data dialler"  + transcript)
//	A -> D   HMAC-SHA256(key, "weft data acceptor" + transcript)
//
// where the transcript is version, job id, both resource ids with their lengths, and both nonces. The two labels differ,
// so neither side's proof can be played back to it.
type transcript struct {
	preamble          Preamble // of the dialler
	acceptor          string
	acceptNonce, dial [nonceSize]byte
}

func (t *transcript) proof(key []byte, role string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = io.WriteString(m, "weft data "+role)
	m.Write([]byte{Version})
	m.Write(t.preamble.Job[:])
	for _, id := range []string{t.preamble.Resource, t.acceptor} {
		m.Write([]byte{byte(len(id))})
		_, _ = io.WriteString(m, id)
	}
	m.Write(t.acceptNonce[:])
	m.Write(t.dial[:])
	return m.Sum(nil)
}

// dialHandshake runs the dialling side on c, to which the preamble p has been written. peer is the resource id that must
// answer.
func dialHandshake(c net.Conn, p Preamble, peer string, key []byte) error {
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	t := transcript{preamble: p}
	var head [nonceSize + 1]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return fmt.Errorf("read challenge of task host %s: %w", peer, err)
	}
	copy(t.acceptNonce[:], head[:])
	id, err := readText(c, head[nonceSize])
	if err != nil {
		return fmt.Errorf("read challenge of task host %s: %w", peer, err)
	}
	if id != peer {
		return fmt.Errorf("dialled task host %s, but %s answered: %w", peer, id, ErrHandshake)
	}
	t.acceptor = id
	rand.Read(t.dial[:])
	if _, err := c.Write(append(t.dial[:], t.proof(key, "dialler")...)); err != nil {
		return fmt.Errorf("send proof to task host %s: %w", peer, err)
	}
	var proof [sha256.Size]byte
	if _, err := io.ReadFull(c, proof[:]); err != nil {
		return fmt.Errorf("read proof of task host %s (it closes the connection when the job keys differ): %w: %w", peer, ErrHandshake, err)
	}
	if !hmac.Equal(proof[:], t.proof(key, "acceptor")) {
		return fmt.Errorf("task host %s has another job key: %w", peer, ErrHandshake)
	}
	return c.SetDeadline(time.Time{})
}

// acceptHandshake runs the accepting side on c, whose preamble p has been read.
func acceptHandshake(c net.Conn, p Preamble, self Preamble, key []byte) error {
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	if p.Job != self.Job {
		return fmt.Errorf("task host %s dialled job %x, this host runs %x: %w", p.Resource, p.Job, self.Job, ErrHandshake)
	}
	t := transcript{preamble: p, acceptor: self.Resource}
	rand.Read(t.acceptNonce[:])
	challenge := append(t.acceptNonce[:], byte(len(self.Resource)))
	if _, err := c.Write(append(challenge, self.Resource...)); err != nil {
		return fmt.Errorf("send challenge to task host %s: %w", p.Resource, err)
	}
	var answer [nonceSize + sha256.Size]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("read proof of task host %s: %w", p.Resource, err)
	}
	copy(t.dial[:], answer[:])
	if !hmac.Equal(answer[nonceSize:], t.proof(key, "dialler")) {
		return fmt.Errorf("task host %s has another job key: %w", p.Resource, ErrHandshake)
	}
	if _, err := c.Write(t.proof(key, "acceptor")); err != nil {
		return fmt.Errorf("send proof to task host %s: %w", p.Resource, err)
	}
	return c.SetDeadline(time.Time{})
}
