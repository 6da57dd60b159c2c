package setup

import (
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

const procmailCommand = `procmail -a "$EXTENSION"`

// Live gives, per question, what the running configuration says; nil where there is no main.cf.
func Live(root *sysroot.Root) (map[answers.Question]string, error) {
	f, err := readMainCF(root)
	if f == nil || err != nil {
		return nil, err
	}
	name, _ := firstLine(root, paths.Mailname)
	a, _, _ := readAliases(root, aliasPath(f)) // what is wrong with them is said by whoever writes
	return liveAnswers(f, name, a, liveSync(root, placeOf(f, "queue_directory", paths.QueueDir))), nil
}

// liveAnswers shows values as they stand in main.cf, macros unexpanded: a confirmed value must be the same value, and an
// expanded one would freeze the host's name of today into the file.
func liveAnswers(f *maincf.File, mailname string, a *aliases.File, sync string) map[answers.Question]string {
	live := map[answers.Question]string{
		answers.MailerType: string(liveType(f)),
		answers.Mailname:   mailname,
		answers.Procmail:   "false",
		answers.Chattr:     sync,
	}
	for _, r := range answers.Rows() {
		if r.Param != "" {
			live[r.Question] = value(f, r.Param, r.Unset)
		}
	}
	if strings.Contains(value(f, "mailbox_command", ""), "procmail") {
		live[answers.Procmail] = "true"
	}
	live[answers.RootAddress] = ""
	if a != nil {
		if to, ok := a.Lookup("root"); ok {
			live[answers.RootAddress] = strings.Join(to, ", ")
		}
	}
	return live
}

// liveSync tells whether the queue is updated synchronously: the file attribute S on all directories that it concerns.
func liveSync(root *sysroot.Root, queue string) string {
	for _, dir := range queueDirs {
		if sync, err := isSync(root, queue+"/"+dir.name); dir.sync && (err != nil || !sync) {
			return "false"
		}
	}
	return "true"
}

// liveType guesses the general type from the parameters that it stands for. It tells relaying from direct delivery and
// listening from not listening, and never claims more: confirming the guess changes nothing.
func liveType(f *maincf.File) answers.Type {
	loopback := onlyLoopback(value(f, "inet_interfaces", "all"))
	relays := value(f, "relayhost", "") != "" || value(f, "default_transport", "") == answers.Waiting()["default_transport"]
	switch {
	case value(f, "default_transport", "smtp") == "error":
		return answers.LocalOnly
	case relays && loopback:
		return answers.Satellite
	case relays:
		return answers.Smarthost
	case loopback:
		return answers.LocalOnly
	}
	return answers.InternetSite
}

func onlyLoopback(interfaces string) bool {
	list := maincf.SplitList(interfaces)
	for _, i := range list {
		switch strings.ToLower(strings.Trim(i, "[]")) {
		case "loopback-only", "127.0.0.1", "::1", "localhost":
		default:
			return false
		}
	}
	return len(list) > 0
}

func value(f *maincf.File, name, unset string) string {
	if v, ok := f.Get(name); ok {
		return v
	}
	return unset
}
