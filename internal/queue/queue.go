// Package queue (ring: format) has what Postfix's queues are called and how many messages are in them (QSHAPE_README).
package queue

// Dirs are the queues that hold messages, as directories of a queue directory, in the order of a message's way.
var Dirs = []string{"maildrop", "incoming", "active", "deferred", "hold", "corrupt"}

// Counts are numbers of messages.
type Counts struct {
	Maildrop int `json:"maildrop"` // submitted, not picked up yet
	Incoming int `json:"incoming"`
	Active   int `json:"active"`
	Deferred int `json:"deferred"`
	Hold     int `json:"hold"`
	Corrupt  int `json:"corrupt"`
}

// Of gives the counter of one of Dirs, nil for another directory.
func (c *Counts) Of(dir string) *int {
	return map[string]*int{
		"maildrop": &c.Maildrop, "incoming": &c.Incoming, "active": &c.Active, "deferred": &c.Deferred, "hold": &c.Hold, "corrupt": &c.Corrupt,
	}[dir]
}

// Total is the number of all messages.
func (c Counts) Total() int {
	return c.Maildrop + c.Incoming + c.Active + c.Deferred + c.Hold + c.Corrupt
}
