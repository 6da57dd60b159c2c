package sysroot

// Change is what becomes of one file.
type Change struct {
	Path   string
	Seen   *Seen  // what it was worked out from
	New    []byte // nil: it is to go
	Attr   Attr   // of a new file
	Secret bool   // neither text may be kept anywhere
}

// Recorder keeps the history of a tree.
type Recorder interface {
	// Record gives the files that note a change. They come into force with it, or not at all.
	Record(title string, files []Change) ([]Change, error)
	// Alone lets nobody else in who changes a file without the lock of a command, and names the journal for such changes.
	Alone() (journal string, release func(), err error)
}
