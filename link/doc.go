// Package link is the sockets between an application and the Weft process that started it: what crosses them, how
// versions are compared, and how each end learns that the other is gone.
//
// A parent prepares the application with Command, starts it from a Spawner, and serves its end of the link: ServeDriver
// for an application in the driver role (`weft run`, or the JobManager in application mode), ServeHost for a task host
// (the TaskManager). Both are gRPC over one inherited socket of a socketpair: no port, no certificate. A task host has a
// second one, over which data connections arrive as descriptors (DataSender, DataSource).
//
// The application finds its Role in its environment. The variables are read and removed while this package initialises,
// before any of the user's own initialisation that follows it, so that they are not inherited by what the application
// starts, and no flag of the user's can set them. One in the Local role that was started by `weft run -t local` finds its
// configuration there, too (LocalConfiguration). An application whose link ends exits: it doesn't outlive its parent.
//
// What limits a child, and says how it died, is here for both parents: the wall around its memory (LimitData), and the
// end of its standard error (Tail).
//
// Goroutines: a served link has those of its gRPC server, which are joined when ServeDriver or ServeHost returns; a
// client has those of its gRPC connection, ended by Close; a Spawner has one, which is its thread.
package link
