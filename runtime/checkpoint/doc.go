// Package checkpoint decides about checkpoints and savepoints, keeps them, and says what a job starts from.
//
// A Coordinator is the pure core of Flink's CheckpointCoordinator, embedded in a job's JobMaster: events with a time come
// in, actions go out, in order. Storage writes and reads what a checkpoint consists of. Assign spreads the state of a
// completed checkpoint over the subtasks of a job, whatever its parallelism is now. A RestartStrategy says whether and
// when a job that failed runs again. The messages are those of checkpointpb and linkpb.
//
// The package starts no goroutine. Coordinator and RestartStrategy belong to one goroutine; Storage is safe for
// concurrent use.
package checkpoint
