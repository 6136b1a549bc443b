// Package hdfs is the hdfs: file system: github.com/colinmarc/hdfs, with what that library leaves to its users.
//
// An FS speaks to one nameservice. It keeps a few connections to the NameNode, replaces those that break, repeats what
// can safely be repeated while a NameNode restarts or fails over, finds out what became of a rename whose answer was
// lost, gives every connection a deadline, and turns Hadoop's exceptions into errors that errors.Is understands.
//
// New connects to nothing; the first operation does. An FS is safe for concurrent use. Its goroutines (one per
// NameNode connection, for leases; one per call in flight, so that a caller whose ctx ends need not wait) are ended and
// joined by Close.
package hdfs

import (
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"strings"
	"time"

	hdfs "github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"
	krb "github.com/jcmturner/gokrb5/v8/client"

	"github.com/weftstream/weft/filesystem"
)

// Config says which HDFS to use and how. Only what differs from the defaults need be set, and Site is what normally
// does: the merged properties of core-site.xml and hdfs-site.xml.
type Config struct {
	// Site holds Hadoop properties. Used are fs.defaultFS, dfs.nameservices, dfs.ha.namenodes.*,
	// dfs.namenode.rpc-address*, dfs.replication, dfs.blocksize, dfs.user.home.dir.prefix,
	// dfs.client.use.datanode.hostname, dfs.client.socket-timeout, ipc.client.connect.timeout,
	// hadoop.security.authentication, dfs.namenode.kerberos.principal, dfs.data.transfer.protection and
	// dfs.encrypt.data.transfer.
	Site map[string]string
	// Authority is the host:port or nameservice of hdfs://authority/; empty means that of fs.defaultFS.
	Authority string
	// User is the name under which to act; empty means the user of this process. Kerberos ignores it.
	User string
	// Kerberos is a logged-in client; required if hadoop.security.authentication is kerberos, otherwise unused.
	Kerberos *krb.Client
	// Connections bounds the connections to the NameNode; 0 means 4. Each carries one call at a time.
	Connections int
	// ConnectTimeout bounds making a connection; 0 means ipc.client.connect.timeout, by default 20 s.
	ConnectTimeout time.Duration
	// Timeout bounds every single read and write on a connection; 0 means dfs.client.socket-timeout, by default 60 s.
	Timeout time.Duration
	// RetryWindow is how long to go on trying once the NameNode has answered before: 0 means 30 s, negative not at
	// all. Before the first answer an unreachable NameNode is an error at once.
	RetryWindow time.Duration
	// Logger hears of lost connections and retries; nil means nobody does.
	Logger *slog.Logger
}

const (
	defaultConnections    = 4
	defaultConnectTimeout = 20 * time.Second
	defaultTimeout        = 60 * time.Second
	defaultRetryWindow    = 30 * time.Second
	defaultPort           = "8020"
)

// Opener returns the way in which a filesystem.Set makes the file systems of the hdfs: scheme.
func Opener(cfg Config) filesystem.Opener {
	return func(authority string) (filesystem.FileSystem, error) {
		c := cfg
		if authority != "" {
			c.Authority = authority
		}
		return New(c)
	}
}

// New returns the file system that cfg describes. It checks cfg and connects to nothing.
func New(cfg Config) (*FS, error) {
	authority, err := cfg.authority()
	if err != nil {
		return nil, err
	}
	addresses, err := cfg.namenodes(authority)
	if err != nil {
		return nil, err
	}
	options := hdfs.ClientOptionsFromConf(hadoopconf.HadoopConf(cfg.Site))
	options.Addresses = addresses
	options.User = cfg.User
	if options.KerberosClient != nil {
		if cfg.Kerberos == nil {
			return nil, errors.New("open hdfs: hadoop.security.authentication is kerberos, but there is no Kerberos login")
		}
		options.KerberosClient, options.User = cfg.Kerberos, cfg.Kerberos.Credentials.UserName()
	}
	if options.User == "" {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("open hdfs: find out the current user (set HADOOP_USER_NAME or USER): %w", err)
		}
		options.User = u.Username
	}
	if err := cfg.fillIn(); err != nil {
		return nil, err
	}
	return newFS(cfg, authority, options), nil
}

// authority is the part of hdfs://authority/ that the file system serves.
func (c *Config) authority() (string, error) {
	if c.Authority != "" {
		return c.Authority, nil
	}
	def := c.Site["fs.defaultFS"]
	if def == "" {
		def = c.Site["fs.default.name"]
	}
	rest, ok := strings.CutPrefix(def, "hdfs://")
	authority, _, _ := strings.Cut(rest, "/")
	if !ok || authority == "" {
		return "", fmt.Errorf("open hdfs: no NameNode is named: fs.defaultFS is %q, want hdfs://host:port "+
			"(is HADOOP_CONF_DIR set to the directory with core-site.xml?)", def)
	}
	return authority, nil
}

// namenodes returns the RPC addresses of a nameservice, or those of the one NameNode that authority names.
func (c *Config) namenodes(authority string) ([]string, error) {
	if ids := split(c.Site["dfs.ha.namenodes."+authority]); len(ids) > 0 {
		var addresses []string
		for _, id := range ids {
			key := "dfs.namenode.rpc-address." + authority + "." + id
			a := c.Site[key]
			if a == "" {
				return nil, fmt.Errorf("open hdfs: nameservice %s has NameNode %s, but %s isn't set", authority, id, key)
			}
			addresses = append(addresses, withPort(a))
		}
		return addresses, nil
	}
	if a := c.Site["dfs.namenode.rpc-address."+authority]; a != "" {
		return []string{withPort(a)}, nil // a nameservice of one NameNode
	}
	return []string{withPort(authority)}, nil
}

func (c *Config) fillIn() error {
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.RetryWindow == 0 {
		c.RetryWindow = defaultRetryWindow
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.ConnectTimeout, err = c.millis("ipc.client.connect.timeout", c.ConnectTimeout, defaultConnectTimeout); err != nil {
		return err
	}
	c.Timeout, err = c.millis("dfs.client.socket-timeout", c.Timeout, defaultTimeout)
	return err
}

// millis reads a property that is a number of milliseconds, or a number with a unit (s, m, …) as Hadoop takes it too.
func (c *Config) millis(key string, set, def time.Duration) (time.Duration, error) {
	v := strings.TrimSpace(c.Site[key])
	if set > 0 {
		return set, nil
	}
	if v == "" {
		return def, nil
	}
	if strings.Trim(v, "0123456789") == "" {
		v += "ms"
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("open hdfs: %s=%s: %w", key, c.Site[key], err)
	}
	if d <= 0 {
		return def, nil
	}
	return d, nil
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

func withPort(address string) string {
	if i := strings.LastIndexByte(address, ':'); i < 0 || strings.HasSuffix(address, "]") {
		return address + ":" + defaultPort
	}
	return address
}
