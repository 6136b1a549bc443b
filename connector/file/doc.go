// Package file reads and writes files of lines: file:, hdfs:, and whatever else the process' file systems know.
//
// Lines is a bounded source. Its coordinator lists what there is to read once, cuts large files at lines and packs small
// ones together, and hands these splits out as readers ask for them. Text is a sink that writes hidden parts and makes
// them visible by renaming when the job's output is committed: readers of the directory see all of a job's output or
// nothing.
package file
