// Package ipc is a client of Hadoop's RPC (IPC version 9, protobuf engine).
//
// Dial opens a Conn to one server for one protocol, authenticated by a token
// (SASL DIGEST-MD5) or, where a server allows it, by a user name alone. Calls
// on a Conn run concurrently and are matched to their replies by call id. A
// Conn doesn't reconnect and repeats nothing: a connection that broke stays
// broken, and whoever owns it decides what may be sent again.
//
// A failure that the server reports is a *RemoteError, which errors.Is matches
// against this package's sentinels. Kerberos (GSSAPI) and SASL's integrity and
// privacy protection are refused with ErrUnsupported.
//
// Each Conn has one goroutine, which reads replies; it ends with the connection,
// and Close waits for it.
package ipc
