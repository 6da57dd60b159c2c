package answers

// Waiting gives, per parameter, the transport of a relay type for which nobody named a relay host: mail for elsewhere waits in the
// queue, and flows once relayhost is set, by whatever means. The service "retry" defers with the text behind it (error(8)).
func Waiting() map[string]string {
	return map[string]string{
		"default_transport": "${relayhost?{smtp}:{retry:4.3.0 no relay host is set}}",
		"relay_transport":   "${relayhost?{relay}:{retry:4.3.0 no relay host is set}}",
	}
}
