// Package resourcemanager knows the slots of a cluster: which TaskManagers are registered, which of their slots are
// free, how many slots every job needs, and how many workers to ask for so that the needs are met.
//
// Need is declared, not requested: a JobMaster says how many slots its job needs, the ResourceManager gives what is free
// at once and declares to its WorkerDriver how many workers are missing. Every event leads to the same reconciliation of
// what is wanted with what is there, so nothing is asked for twice and nothing is forgotten.
//
// The decisions are a pure core (type core: event in, actions out, time passed in) that is tested by text scripts in
// testdata. ResourceManager is the actor around it: its goroutine, started by Run, owns the core and executes the actions.
// All exported methods of ResourceManager are safe for concurrent use and don't wait for I/O.
//
// Heartbeats are the business of package rpc: a TaskManager that is silent is disconnected there.
//
// A provider (YARN, standalone, minicluster) implements WorkerDriver and reports to WorkerEvents.
package resourcemanager
