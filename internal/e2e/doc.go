// Package e2e tests Weft as its users meet it: the built weft executable and applications, a real Hadoop, and things that
// go wrong on purpose. All of it carries the build tag hadoop.
//
// Every test is a user of its own ([newUser]) with its own home on HDFS, so that what a command leaves behind is seen, and
// isn't removed by another test's command. A test says how a command must end, what it must say, what YARN must report,
// and that nothing is left: no container, no process, no staging directory.
//
// The users and their commands are those of package usertest, which says whose the commands' goroutines are.
package e2e
