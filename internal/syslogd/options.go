package syslogd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
)

const (
	begin = "# postfix-maint: sockets in the chroots of Postfix; removed with Postfix. Without them: "
	end   = "# postfix-maint: end\n"
)

// assignment is a line that sets a variable to a plain value. systemd reads the file too and expands nothing (systemd.exec(5)).
// What would mean something else in the double quotes that we write is not plain, whatever its own quotes.
func assignment(variable string) *regexp.Regexp {
	return regexp.MustCompile(`^\s*` + variable + "=(?:\"([^\"$`\\\\]*)\"|'([^'\"$`\\\\]*)'|([^\\s\"'$`\\\\;#&|]*))\\s*$")
}

// setOptions gives the text of a file of options that has each socket with -a in the variable: a marked assignment at its end, which
// holds what the assignments before it say as well. Without sockets the mark and what belongs to it are taken out. Words that somebody
// has put into the marked line are kept.
func setOptions(text, variable string, sockets []string) (string, error) {
	before, ours, after, err := cut(text)
	if err != nil {
		return "", err
	}
	rest := before + after
	base, err := value(rest, variable)
	if err != nil {
		return "", err
	}
	added, err := handwork(ours, variable)
	if err != nil {
		return "", err
	}
	words := append(base, added...)
	if len(sockets) == 0 && len(added) == 0 {
		return rest, nil
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	if len(sockets) == 0 {
		return rest + fmt.Sprintf("%s=\"%s\"\n", variable, strings.Join(words, " ")), nil
	}
	was := strings.Join(base, " ")
	for _, s := range sockets {
		words = append(words, "-a", s)
	}
	return rest + begin + was + "\n" + fmt.Sprintf("%s=\"%s\"\n", variable, strings.Join(words, " ")) + end, nil
}

// cut takes the marked lines out.
func cut(text string) (before, ours, after string, err error) {
	before, rest, found := strings.Cut(text, begin)
	if !found {
		return text, "", "", nil
	}
	ours, after, found = strings.Cut(rest, end)
	if !found || before != "" && !strings.HasSuffix(before, "\n") {
		return "", "", "", fmt.Errorf("the mark %q has no end", strings.TrimSpace(begin))
	}
	return before, ours, after, nil
}

// value gives the words that the last assignment says.
func value(text, variable string) (words []string, err error) {
	plain := assignment(variable)
	mention := regexp.MustCompile(`(^|[\s;])` + variable + `\+?=`)
	n := 0
	for line := range strings.Lines(text) {
		n++
		m := plain.FindStringSubmatch(strings.TrimRight(line, "\n"))
		switch {
		case m != nil:
			words = strings.Fields(m[1] + m[2] + m[3])
		case !strings.HasPrefix(strings.TrimSpace(line), "#") && mention.MatchString(line):
			return nil, fmt.Errorf("line %d sets %s in a way that is not understood", n, variable)
		}
	}
	return words, nil
}

// handwork gives the words that stand in the marked line and are neither what it was made over nor our sockets.
func handwork(ours, variable string) (words []string, err error) {
	if ours == "" {
		return nil, nil
	}
	was, line, _ := strings.Cut(ours, "\n")
	all, err := value(line, variable)
	if err != nil {
		return nil, fmt.Errorf("the marked line was changed: %w", err)
	}
	known := strings.Fields(was)
	for n := 0; n < len(all); n++ {
		if i := slices.Index(known, all[n]); i >= 0 {
			known = slices.Delete(known, i, i+1)
			continue
		}
		if all[n] == "-a" && n+1 < len(all) && strings.HasSuffix(all[n+1], socketPath) {
			n++
			continue
		}
		words = append(words, all[n])
	}
	return words, nil
}

// setLink gives the text of busybox's file of options in which the link /dev/log leads to the socket, "" takes it out. Lines that somebody
// has put between the marks are kept.
func setLink(text, socket string) (string, error) {
	before, ours, after, err := cut(text)
	if err != nil {
		return "", err
	}
	rest := before
	for line := range strings.Lines(ours) {
		if l := strings.TrimSpace(line); l != "" && !(strings.HasPrefix(l, linkStart) && strings.HasSuffix(l, " "+devLog)) {
			rest += line
		}
	}
	if rest += after; socket == "" {
		return rest, nil
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	return rest + begin + "\n" + linkStart + socket + " " + devLog + "\n" + end, nil
}

const (
	linkStart = "ln -sfn "
	devLog    = paths.DevLog
)
