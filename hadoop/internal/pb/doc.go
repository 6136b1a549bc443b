// Package pb holds the generated messages of Hadoop IPC version 9 and of the
// token file. ipc.proto is written from the wire facts and has only what Weft
// uses.
package pb

//go:generate protoc -I ../../.. --go_out=../../.. --go_opt=paths=source_relative hadoop/internal/pb/ipc.proto
