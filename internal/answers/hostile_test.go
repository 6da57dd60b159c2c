package answers

import "testing"

// Whatever somebody answers, it is taken or refused, and equal to itself.
func FuzzAnswers(f *testing.F) {
	f.Add("[2001:db8::1]:25, {a b}", "!10.0.0.0/8")
	f.Add("inline:{ a=b, c=d }", "x@[IPv6:::1]")
	f.Fuzz(func(t *testing.T, value, other string) {
		a := Answers{}
		for _, q := range Questions() {
			a[q] = Answer{Value: other, Answered: true}
		}
		for _, q := range Questions() {
			_ = Check(q, value, a)
			Resolve(q, value, Facts{})
			Equal(q, value, other)
			if !Equal(q, value, value) {
				t.Errorf("%s: %q is not equal to itself", q, value)
			}
			if Equal(q, value, other) != Equal(q, other, value) {
				t.Errorf("%s: %q and %q are equal one way only", q, value, other)
			}
		}
		CheckAll(a)
		Default(MailerType, Facts{Domain: value, FQDN: other, Mailname: value, Protocols: other}, a)
		Default(Destinations, Facts{Domain: value, FQDN: other, Mailname: value, Protocols: other}, a)
	})
}
