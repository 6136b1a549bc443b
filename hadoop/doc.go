// Package hadoop reads what a Hadoop cluster tells its clients: the site files
// (Site) and the token file (Credentials, Token). Its sub-packages are ipc, the
// client of Hadoop's RPC, and records, YARN's identifiers and records.
//
// The package reads files that it is given and no environment variable. Site
// is immutable and safe for concurrent use; Credentials is a plain value.
package hadoop
