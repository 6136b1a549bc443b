// Package usertest is for tests that use Weft as its users do: the built weft executable, started as a command, on a real
// Hadoop ([hadooptest]). Only tests import it. All of it carries the build tag hadoop.
//
// A [User] is somebody with a name and a home on Hadoop and a directory here, whose environment their commands have; no
// two tests share one, so that what a command leaves behind is seen, and isn't removed by another test's command. A
// [Command] is a weft that was started: the test waits for what it says and how it ends. [User.Processes] finds the
// processes in an application's containers by their role. The executables are those of `make build` ([Binary]) and those
// that a test's own package has in its directory apps ([App]); its TestMain is [Main].
//
// Each Command has one goroutine, which ends with the weft process. The test owns both: its end kills the process and
// waits for the goroutine. Nothing else is started. What fails the test is called by the test's goroutine; all that a Command
// has written may be read by any.
package usertest
