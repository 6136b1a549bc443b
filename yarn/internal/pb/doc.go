// Package pb holds the generated messages of YARN's ApplicationMasterProtocol
// and ContainerManagementProtocol, and their conversion to and from the plain
// types of package records. yarn.proto is written from the wire facts and has
// only what Weft uses. Everything is optional in it, so that a message which
// leaves out a field is a decision of the conversion and not of the parser.
package pb

//go:generate protoc -I ../../.. --go_out=../../.. --go_opt=paths=source_relative yarn/internal/pb/yarn.proto
