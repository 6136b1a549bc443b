package network

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"github.com/klauspost/compress/s2"
)

// secureConfig is TLS 1.3 between hosts that know the job key: both ends derive one Ed25519 key pair from it, use it as
// their certificate, and accept no other. The preamble goes ahead in the clear, since the TaskManager reads it.
func secureConfig(key []byte) (*tls.Config, error) {
	m := hmac.New(sha256.New, key)
	_, _ = io.WriteString(m, "weft data tls")
	private := ed25519.NewKeyFromSeed(m.Sum(nil))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private) // Ed25519 needs no randomness
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the data connections: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, //nolint:gosec // there is no authority: the peer must hold the very key that this host holds
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) != 1 || !bytes.Equal(s.PeerCertificates[0].Raw, der) {
				return fmt.Errorf("the peer's certificate is of another job key: %w", ErrHandshake)
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}, nil
}

// secured is c under TLS where the exchange encrypts. server says which end this is.
func (x *Exchange) secured(c net.Conn, server bool) net.Conn {
	switch {
	case x.tls == nil:
		return c
	case server:
		return tls.Server(c, x.tls)
	}
	return tls.Client(c, x.tls)
}

// compressedBlock is how much is compressed at a time, at most.
const compressedBlock = 64 << 10

// compressing is the producer's end of a connection: what is written goes out compressed, at once.
type compressing struct {
	net.Conn
	w *s2.Writer
}

func newCompressing(c net.Conn) *compressing {
	return &compressing{c, s2.NewWriter(c, s2.WriterConcurrency(1), s2.WriterBlockSize(compressedBlock))}
}

func (c *compressing) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if err == nil {
		err = c.w.Flush()
	}
	return n, err
}

// decompressing is the consumer's end.
type decompressing struct {
	net.Conn
	r *s2.Reader
}

func newDecompressing(c net.Conn) *decompressing {
	return &decompressing{c, s2.NewReader(c, s2.ReaderMaxBlockSize(compressedBlock), s2.ReaderAllocBlock(compressedBlock))}
}

func (c *decompressing) Read(b []byte) (int, error) { return c.r.Read(b) }
