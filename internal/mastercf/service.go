package mastercf

import (
	"strings"

	"postfix-maint/internal/maincf"
)

// Service is one service of a master.cf. The fields hold the file's text; "-" stands for the default.
type Service struct {
	Name, Type, Private, Unpriv, Chroot, Wakeup, MaxProc, Command string
	// Args are the command's arguments without the braces around { long ones }. An option and its value are two elements,
	// written together or not; the value of -o is name=value without blanks around its parts.
	Args []string
	Line int // number of the service's first line
}

// Chrooted tells whether master(8) runs the service in the queue directory. compat is the value of compatibility_level, ""
// if it is not set: "-" in the field means y only below level 1 (bug #995129). What is no level counts as level 0.
func (s Service) Chrooted(compat string) bool {
	if s.Chroot != "-" {
		return s.Chroot == "y"
	}
	order, err := maincf.CompareLevels(compat, "1")
	return err != nil || order < 0
}

// Option returns the value that the service gives a parameter with -o name=value. As in the daemons the last one wins and
// options end at the first argument that is no option.
func (s Service) Option(name string) (value string, ok bool) {
	for i := 0; i < len(s.Args); i++ {
		arg := s.Args[i]
		if !isOption(arg) {
			break
		}
		if !takesValue(arg) || i+1 == len(s.Args) {
			continue
		}
		i++
		if n, v, found := strings.Cut(s.Args[i], "="); found && n == name {
			value, ok = v, true
		}
	}
	return value, ok
}

func isOption(arg string) bool { return strings.HasPrefix(arg, "-") && arg != "--" }

// takesValue tells of an option in normal form whether the next argument is its value.
func takesValue(option string) bool { return strings.HasPrefix(option, "-o") }

// normalArgs brings arguments into the form of postconf -M: "-vo name=value" and "-oname=value" split, braces removed, blanks
// around the name and the value of -o removed. What is wrong in them, as an unclosed brace, is kept as it stands.
func normalArgs(text string) (out []string) {
	options := true
	for start, end := next(text, 0); start < end; start, end = next(text, end) {
		arg := text[start:end]
		if options = options && isOption(arg); !options {
			out = append(out, unbrace(arg))
			continue
		}
		flags, value, found := strings.Cut(arg[1:], "o")
		if flags != "" || !found {
			out = append(out, arg[:1+len(flags)])
		}
		if !found {
			continue
		}
		out = append(out, "-o")
		if value == "" {
			start, end = next(text, end)
			value = text[start:end]
		}
		if value != "" {
			out = append(out, normalSetting(value))
		}
	}
	return out
}

// normalSetting is the argument of -o: "name=value", or "{ name = value }" where it holds blanks.
func normalSetting(arg string) string {
	text := unbrace(arg)
	name, value, found := strings.Cut(text, "=")
	if !found {
		return text
	}
	if name, value = strings.Trim(name, blanks), strings.Trim(value, blanks); len(name)+1+len(value) == len(text) {
		return text
	}
	return name + "=" + value
}

// unbrace takes the text out of { } (extpar(3)).
func unbrace(arg string) string {
	if arg == "" || arg[0] != '{' {
		return arg
	}
	level := 0
	for i := range len(arg) {
		switch arg[i] {
		case '{':
			level++
		case '}':
			level--
		}
		if level == 0 && i+1 < len(arg) {
			return arg // no group, or one with text behind it
		}
	}
	if level != 0 {
		return arg
	}
	return strings.Trim(arg[1:len(arg)-1], blanks)
}
