// Package rpcpb is the generated code of rpc.proto: the messages between JobManager and TaskManagers.
package rpcpb
