// Package smarthost (ring: flow) makes Postfix send its mail through a relay: address and TLS of the relay, account and
// password, sender rewriting, root's mail. Everything is decided from files first (Set, Unset give a Plan); Apply then makes
// it so as one transaction, of which main.cf is the moment. What a killed run left is Recover's: whoever is to change something calls it
// first.
//
// The files by rooms: a wish (options, relay, rules, questions, answered, wish.go) says what is to be; plan*.go decide what that changes and
// refuse what could not work; commit.go makes it; trial*.go send a test message and give advice. host.go, tables.go and state.go read for
// all of them.
//
// What was in force before the first "set" is remembered below paths.SmarthostState without any secret. Each set starts from
// that former state, with the settings of the set before taken out again, so Unset is a set of nothing.
//
// A secret is in the password table, in the table's index, and in memory. The table is handed to postmap(1) by name; no
// program gets a secret as argument, in its environment or on its standard input.
package smarthost
