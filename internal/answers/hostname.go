package answers

// CheckHostname tells whether Postfix would take name as its myhostname, and other mail systems as a host's name:
// labels of RFC 1035, not all digits, no address, no trailing dot.
func CheckHostname(name string) error { return checkDomain(name, false) }
