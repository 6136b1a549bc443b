package entrypoint

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/weftstream/weft/conf"
)

// listen opens the first port of ports that is free. what and key are for the error.
func listen(what, host string, ports conf.PortRange, key string) (net.Listener, error) {
	var last error
	for port := range ports.All() {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		last = err
		var op *net.OpError
		if errors.As(err, &op) && op.Addr == nil {
			break // the host isn't one of this machine's: no port will do
		}
	}
	return nil, fmt.Errorf("listen for %s on %q, ports %s (%s): %w", what, host, ports, key, last)
}

// bindHost is the address to listen on: the configured one, else all. A process that others reach by a loopback address
// listens there and nowhere else.
func bindHost(configured, host string) string {
	if ip := net.ParseIP(host); configured == "" && (ip.IsLoopback() || host == "localhost") {
		return host
	}
	return configured
}

// advertised is the address under which others reach l.
func advertised(host string, l net.Listener) string {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	return net.JoinHostPort(host, port)
}
