package hadoop

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Ports that Hadoop uses where an address is derived from a host name.
const (
	portScheduler = 8030
	portWeb       = 8088
	portWebTLS    = 8090
	portNameNode  = 8020
)

// DefaultFS is fs.defaultFS without a trailing slash, such as
// hdfs://namenode:8020, or file:// if the cluster has no other.
func (s *Site) DefaultFS() string {
	return strings.TrimRight(s.Get("fs.defaultFS"), "/")
}

// NameNodes returns host:port of the NameNodes behind the authority of an HDFS
// URL: those of a nameservice, or the authority itself with the default port.
// With an empty authority it is that of the default file system.
func (s *Site) NameNodes(authority string) ([]string, error) {
	if authority == "" {
		u, err := url.Parse(s.Get("fs.defaultFS"))
		if err != nil {
			return nil, fmt.Errorf("read fs.defaultFS from %s: %w", s.Origin("fs.defaultFS"), err)
		}
		if u.Scheme != "hdfs" || u.Host == "" {
			return nil, fmt.Errorf("find the NameNode: fs.defaultFS is %q (from %s), not an hdfs URL: is HADOOP_CONF_DIR set?",
				s.Get("fs.defaultFS"), s.Origin("fs.defaultFS"))
		}
		authority = u.Host
	}
	if !s.isNameservice(authority) {
		return []string{withPort(authority, portNameNode)}, nil
	}
	prefix := "dfs.namenode.rpc-address." + authority
	ids := s.GetStrings("dfs.ha.namenodes." + authority)
	if len(ids) == 0 { // a nameservice without high availability
		if addr := s.Get(prefix); addr != "" {
			return []string{withPort(addr, portNameNode)}, nil
		}
		return nil, fmt.Errorf("find the NameNodes of nameservice %s: neither dfs.ha.namenodes.%s nor %s is set",
			authority, authority, prefix)
	}
	var out []string
	for _, id := range ids {
		addr := s.Get(prefix + "." + id)
		if addr == "" {
			return nil, fmt.Errorf("find the NameNodes of nameservice %s: %s.%s is not set", authority, prefix, id)
		}
		out = append(out, withPort(addr, portNameNode))
	}
	return out, nil
}

func (s *Site) isNameservice(authority string) bool {
	for _, ns := range append(s.GetStrings("dfs.nameservices"), s.GetStrings("dfs.internal.nameservices")...) {
		if ns == authority {
			return true
		}
	}
	_, ha := s.Lookup("dfs.ha.namenodes." + authority)
	return ha
}

// RMWebAddresses returns the base URLs of the YARN ResourceManagers' web
// services, such as http://rm1:8088, in the order of ha.rm-ids. The scheme is
// decided by yarn.http.policy.
func (s *Site) RMWebAddresses() ([]string, error) {
	scheme, key, port := "http", "yarn.resourcemanager.webapp.address", portWeb
	if s.Get("yarn.http.policy") == "HTTPS_ONLY" {
		scheme, key, port = "https", "yarn.resourcemanager.webapp.https.address", portWebTLS
	}
	addrs, err := s.rmAddresses(key, port)
	if err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		addrs[i] = scheme + "://" + addr
	}
	return addrs, nil
}

// RMSchedulerAddresses returns host:port of the YARN ResourceManagers'
// scheduler interfaces, where application masters register, in the order of
// ha.rm-ids.
func (s *Site) RMSchedulerAddresses() ([]string, error) {
	return s.rmAddresses("yarn.resourcemanager.scheduler.address", portScheduler)
}

// rmAddresses finds one address per YARN ResourceManager: key.<id> or
// hostname.<id> with high availability, otherwise key or hostname.
func (s *Site) rmAddresses(key string, port int) ([]string, error) {
	ids := []string{""}
	if s.GetBool("yarn.resourcemanager.ha.enabled", false) {
		ids = s.GetStrings("yarn.resourcemanager.ha.rm-ids")
		if len(ids) == 0 {
			return nil, fmt.Errorf("find the YARN ResourceManagers: yarn.resourcemanager.ha.enabled is true (from %s), "+
				"but yarn.resourcemanager.ha.rm-ids is empty", s.Origin("yarn.resourcemanager.ha.enabled"))
		}
	}
	var out []string
	for _, id := range ids {
		suffix := ""
		if id != "" {
			suffix = "." + id
		}
		addr := s.Get(key + suffix)
		if addr == "" {
			host := s.Get("yarn.resourcemanager.hostname" + suffix)
			if host == "" {
				return nil, fmt.Errorf("find the YARN ResourceManagers: neither %s%s nor yarn.resourcemanager.hostname%s is set",
					key, suffix, suffix)
			}
			addr = host
		}
		out = append(out, reachable(withPort(addr, port)))
	}
	return out, nil
}

func withPort(addr string, port int) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), strconv.Itoa(port))
}

// reachable replaces the wildcard address, which servers bind and nobody can
// dial portably, by this machine's loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "0.0.0.0" || host == "::") {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
