// Package graph turns a program into what runs: StreamGraph (operators and streams as the user wrote them, with the
// factories of their code) and JobGraph (protobuf: vertices that are chains of operators, and the exchanges between them).
//
// The driver builds a StreamGraph, checks it and calls JobGraphOf. A task host builds the same StreamGraph again, compares
// fingerprints and finds the factories of its operators by id. Ids are hashes of the uid, or of the position of the
// operator in the StreamGraph; neither parallelism nor chaining changes them.
//
// Values of this package are built by one goroutine and then only read.
package graph
