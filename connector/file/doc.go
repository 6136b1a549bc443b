// Package file reads and writes files of lines: file:, hdfs:, and whatever else the process' file systems know.
//
// Lines is a bounded source. Its coordinator lists what there is to read once, cuts large files at lines and packs small
// ones together, and hands these splits out as readers ask for them. A reader's place in a checkpoint is the byte at which
// its next line begins.
//
// Text, CSV and JSONLines make a FileSink, which writes hidden parts and makes them visible by renaming when the
// checkpoint that covers them is complete, or at the end of the job: readers of the directory see each record exactly once
// or, as long as it isn't committed, not at all.
package file
