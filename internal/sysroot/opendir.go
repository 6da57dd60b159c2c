package sysroot

import "os"

// OpenDir is os.OpenRoot that waits for nobody: a named pipe in the place of the directory, put there by whoever owns the one above, would
// keep that for ever, for it opens the pipe before it looks at it. What is in the way of "/." the kernel takes for a directory or nothing.
func OpenDir(name string) (*os.Root, error) { return os.OpenRoot(name + "/.") }

// OpenDirIn is Root.OpenRoot in the same way. A slash alone would not do: package os looks at the name then, and opens what has it afterwards.
func OpenDirIn(in *os.Root, name string) (*os.Root, error) { return in.OpenRoot(name + "/.") }
