package rpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Role is what a process is in its cluster, as its certificate says.
type Role string

const (
	// RoleJobManager may serve TaskManagers.
	RoleJobManager Role = "jobmanager"
	// RoleTaskManager may register with the JobManager. Task hosts have no certificate.
	RoleTaskManager Role = "taskmanager"
)

// DefaultLifetime is the lifetime of an Authority and of the leaves that it issues. A connection that is up stays up
// when its certificates expire; a new one is refused.
const DefaultLifetime = 365 * 24 * time.Hour

// clockSkew is how far the clocks of two nodes may differ.
const clockSkew = time.Hour

const (
	pemCertificate = "CERTIFICATE"
	pemAuthority   = "WEFT CLUSTER AUTHORITY"
	pemKey         = "EC PRIVATE KEY"
)

// ErrCertificate is wrapped by what a handshake returns for a certificate of another cluster or another role, or an
// expired one.
var ErrCertificate = errors.New("certificate refused")

// Authority is the private certificate authority of one cluster. It is made at deployment and known to the JobManager
// only. It is immutable.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes the authority of the cluster of that name; lifetime 0 is DefaultLifetime.
func NewAuthority(cluster string, lifetime time.Duration) (*Authority, error) {
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's certificate authority: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serialNumber(),
		Subject:               pkix.Name{Organization: []string{"weft"}, CommonName: "weft cluster " + cluster},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's certificate authority: %w", err)
	}
	return &Authority{certificate, key}, nil
}

// Issue makes a certificate for a process; name is for people (the container's id). It expires with the Authority.
func (a *Authority) Issue(role Role, name string) (*Leaf, error) {
	return a.issue(role, name, time.Now().Add(-clockSkew), a.certificate.NotAfter)
}

func (a *Authority) issue(role Role, name string, from, to time.Time) (*Leaf, error) {
	usage := x509.ExtKeyUsageClientAuth
	if role == RoleJobManager {
		usage = x509.ExtKeyUsageServerAuth
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s %s: %w", role, name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serialNumber(),
		Subject: pkix.Name{Organization: []string{"weft"}, OrganizationalUnit: []string{string(role)},
			CommonName: name},
		NotBefore:   from,
		NotAfter:    to,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s %s: %w", role, name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s %s: %w", role, name, err)
	}
	return &Leaf{certificate: certificate, key: key, authority: a.certificate}, nil
}

func serialNumber() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return new(big.Int).SetBytes(b[:])
}

// PEM writes the Authority with its key, for every attempt of the JobManager. It is the cluster's secret: a file that
// holds it has mode 0600.
func (a *Authority) PEM() ([]byte, error) { return encodePEM(pemAuthority, a.certificate, a.key) }

// ParseAuthority reads what Authority.PEM wrote.
func ParseAuthority(b []byte) (*Authority, error) {
	p, err := decodePEM(b)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's certificate authority: %w", err)
	}
	if p.authority == nil || p.key == nil {
		return nil, errors.New("read the cluster's certificate authority: the file lacks the certificate or the key")
	}
	if !p.key.PublicKey.Equal(p.authority.PublicKey) {
		return nil, errors.New("read the cluster's certificate authority: the key isn't the certificate's")
	}
	return &Authority{p.authority, p.key}, nil
}

// Leaf is the certificate of one process, with its key and the cluster's authority without the authority's key. It is
// immutable.
type Leaf struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	authority   *x509.Certificate
}

// PEM writes the Leaf with its key, to be shipped in the container's credentials.
func (l *Leaf) PEM() ([]byte, error) {
	own, err := encodePEM(pemCertificate, l.certificate, l.key)
	if err != nil {
		return nil, err
	}
	return append(own, pem.EncodeToMemory(&pem.Block{Type: pemAuthority, Bytes: l.authority.Raw})...), nil
}

// ParseLeaf reads what Leaf.PEM wrote.
func ParseLeaf(b []byte) (*Leaf, error) {
	p, err := decodePEM(b)
	if err != nil {
		return nil, fmt.Errorf("read the process's certificate: %w", err)
	}
	if p.leaf == nil || p.key == nil || p.authority == nil {
		return nil, errors.New("read the process's certificate: it lacks the certificate, the key or the authority")
	}
	if !p.key.PublicKey.Equal(p.leaf.PublicKey) {
		return nil, errors.New("read the process's certificate: the key isn't the certificate's")
	}
	return &Leaf{certificate: p.leaf, key: p.key, authority: p.authority}, nil
}

// Role is the role that the certificate gives.
func (l *Leaf) Role() Role { return roleOf(l.certificate) }

// Expires is when new connections with this certificate begin to be refused.
func (l *Leaf) Expires() time.Time { return l.certificate.NotAfter }

func roleOf(c *x509.Certificate) Role {
	if len(c.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return Role(c.Subject.OrganizationalUnit[0])
}

// ServerTLS is the JobManager's side of mutual TLS: TLS 1.3, and a TaskManager's certificate of this cluster is
// required.
func (l *Leaf) ServerTLS() *tls.Config {
	c := l.tls(RoleTaskManager, x509.ExtKeyUsageClientAuth)
	c.ClientAuth = tls.RequireAnyClientCert // VerifyConnection verifies it
	return c
}

// ClientTLS is the TaskManager's side of mutual TLS: TLS 1.3, and a JobManager's certificate of this cluster is required.
// Addresses are not compared: a JobManager's isn't known before it runs, and nobody else has such a certificate.
func (l *Leaf) ClientTLS() *tls.Config {
	c := l.tls(RoleJobManager, x509.ExtKeyUsageServerAuth)
	c.InsecureSkipVerify = true // replaced by VerifyConnection, which leaves out nothing but the host name
	return c
}

func (l *Leaf) tls(peer Role, usage x509.ExtKeyUsage) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(l.authority)
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{l.certificate.Raw}, PrivateKey: l.key}},
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyPeer(s.PeerCertificates, roots, peer, usage)
		},
	}
}

func verifyPeer(chain []*x509.Certificate, roots *x509.CertPool, role Role, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: the other side has none", ErrCertificate)
	}
	leaf := chain[0]
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("%w: %q isn't a valid certificate of this cluster: %w", ErrCertificate, leaf.Subject, err)
	}
	if got := roleOf(leaf); got != role || len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != usage {
		return fmt.Errorf("%w: it is one of a %s, want one of a %s", ErrCertificate, got, role)
	}
	return nil
}

func encodePEM(kind string, c *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of %q: %w", c.Subject, err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: c.Raw})
	return append(b, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})...), nil
}

// pemParts is what a PEM file held, each part at most once.
type pemParts struct {
	leaf, authority *x509.Certificate
	key             *ecdsa.PrivateKey
}

func decodePEM(b []byte) (pemParts, error) {
	var p pemParts
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return p, nil
		}
		var err error
		switch block.Type {
		case pemCertificate:
			p.leaf, err = x509.ParseCertificate(block.Bytes)
		case pemAuthority:
			p.authority, err = x509.ParseCertificate(block.Bytes)
		case pemKey:
			p.key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			err = fmt.Errorf("unknown block %q", block.Type)
		}
		if err != nil {
			return p, err
		}
		b = rest
	}
}
