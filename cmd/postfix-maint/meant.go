package main

import (
	"fmt"
	"slices"
	"strings"
)

// wordHints are for people who know other tools: words that are no commands of ours, and what does that.
var wordHints = map[string]string{
	"start":     `"systemctl start postfix" does that`,
	"stop":      `"systemctl stop postfix" does that`,
	"restart":   `"systemctl restart postfix" does that`,
	"reload":    `"systemctl reload postfix" does that`,
	"queue":     `"postqueue -p" shows the queue, "postfix-maint status" how much is in it`,
	"mailq":     `"postqueue -p" shows the queue, "postfix-maint status" how much is in it`,
	"flush":     `"postqueue -f" does that`,
	"log":       `"journalctl -u 'postfix@*'" shows the log`,
	"logs":      `"journalctl -u 'postfix@*'" shows the log`,
	"install":   `"postfix-maint adopt --install" takes over the Postfix of this host`,
	"uninstall": `"postfix-maint adopt --revert" gives this host back to Debian's layer`,
	"revert":    `"postfix-maint adopt --revert" gives this host back to Debian's layer, "postfix-maint undo" takes one change back`,
	"rollback":  `"postfix-maint undo" takes a change back`,
	"version":   "did you mean --version?",
	"relay":     "did you mean smarthost?",
	"relayhost": "did you mean smarthost?",
	"check":     "did you mean doctor, check-config or chroot check?",
	"setup":     `"dpkg-reconfigure postfix" asks the questions, "postfix-maint apply" does what they were answered with`,
	"configure": `"dpkg-reconfigure postfix" asks the questions, "postfix-maint apply" does what they were answered with`,
	"fix":       "did you mean check-config --fix?",
}

// synonyms are words that other tools have for ours.
var synonyms = map[string][]string{
	"ls": {"list"}, "rm": {"remove", "unset"}, "delete": {"remove", "unset"}, "del": {"remove", "unset"}, "remove": {"unset"}, "purge": {"remove"},
	"add": {"create", "set"}, "new": {"create"}, "make": {"create"}, "get": {"show"}, "info": {"status", "show"}, "log": {"history"},
	"enable": {"on"}, "disable": {"off"}, "yes": {"on"}, "no": {"off"}, "update": {"sync"}, "refresh": {"sync"}, "verify": {"test", "check"},
	"start": {"enable"}, "stop": {"disable"}, "hard": {"strict"}, "normal": {"default"}, "reset": {"unset"},
}

// otherOptions are options of other tools, and those that ours have for that.
var otherOptions = map[string][]string{
	"n": {"dry-run"}, "s": {"dry-run"}, "simulate": {"dry-run"}, "noop": {"dry-run"}, "check": {"dry-run"}, "test": {"dry-run"},
	"host": {"relay"}, "server": {"relay"}, "relayhost": {"relay"}, "port": {"relay"}, "username": {"user"}, "login": {"user"}, "account": {"user"},
	"ca": {"ca-file"}, "timeout": {"wait"}, "t": {"wait"}, "i": {"instance"}, "j": {"json"}, "format": {"json"}, "o": {"json", "set", "output"},
	"w": {"watch"}, "follow": {"watch"}, "f": {"watch"}, "uninstall": {"revert"}, "sender": {"from"},
	"smtps": {"wrapper"}, "ssl": {"wrapper"}, "p": {"password-file"},
}

// otherOption says what may have been meant by an option that there is not.
func otherOption(wrong string, known []string) string {
	switch {
	case slices.Contains([]string{"password", "pass", "passwd"}, wrong) && slices.Contains(known, "password-file"):
		return ": use --password-file FILE or --password-stdin, everybody on this host can read a command line"
	case slices.Contains([]string{"y", "yes", "assume-yes"}, wrong):
		return ": nothing is asked, leave it out"
	case slices.Contains([]string{"q", "quiet", "verbose"}, wrong):
		return ": leave it out"
	}
	for _, name := range otherOptions[wrong] {
		if slices.Contains(known, name) {
			return fmt.Sprintf("; did you mean --%s?", name)
		}
	}
	return meant(wrong, "--", known)
}

// meant is the word that a wrong one resembles most, as a question; "" if none is near. Dashes of any kind before the word are no part
// of it: word processors make one long one of two.
func meant(wrong, prefix string, known []string) string {
	wrong = strings.ToLower(strings.TrimLeft(wrong, "-\u2010\u2011\u2012\u2013\u2014\u2212"))
	best, least := "", 1+len(wrong)/3
	for _, word := range known {
		d := distance(wrong, word)
		if len(wrong) > 1 && strings.HasPrefix(word, wrong) {
			d = 0
		}
		if d < least || d == least && best == "" {
			best, least = word, d
		}
	}
	for _, word := range synonyms[wrong] {
		if slices.Contains(known, word) && prefix == "" {
			best = word
			break
		}
	}
	if best == "" || len(wrong) < 2 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, best)
}

// distance counts the bytes to change, add or take away to make b of a (Levenshtein's). What is far too long is far away.
func distance(a, b string) int {
	if len(a) > 2*len(b)+3 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
