// Package generator (ring: flow) turns the Postfix instances of a host into systemd units: which of them postfix.service starts,
// and where each has its configuration. It runs at boot, before any file system but the root is sure to be there, and inside
// PID 1's daemon-reload; so it may not wait for anything (systemd.generator(7)).
package generator

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
)

// Umbrella is the unit that stands for all instances.
const Umbrella = "postfix.service"

// Table is the name of the file with one line for each instance, its unit and its queue directory.
const Table = "postfix-instances"

// Complaints is the name of the file with one line for each instance that cannot be used, for postfix.service to say: a container has
// no kernel log. It is there only if there is one.
const Complaints = Table + ".bad"

// DropIn is the name of the file that gives an instance's unit its configuration directory.
const DropIn = "50-instance.conf"

// File is a file to make below the generator's output directory.
type File struct {
	Path string // relative
	Text string
}

// Input is what the units are made from.
type Input struct {
	Instances []instance.Instance
	Enabled   []string // units of the administrator's own "systemctl enable postfix@NAME"
}

// Units gives all files, sorted by path. The primary instance is always among them, even if its main.cf could not be
// understood: Postfix itself may do so, and if it does not, postfix.service has to fail rather than to stand for nothing.
//
// Each file and directory costs a daemon-reload of hundreds of instances dearly, so one file says what postfix.service wants.
func Units(in Input) []File {
	insts := in.Instances
	if !slices.ContainsFunc(insts, instance.Instance.IsPrimary) {
		insts = append([]instance.Instance{{Name: instance.Primary, ConfigDir: paths.ConfigDir, Enabled: true}}, insts...)
	}
	files := make([]File, 0, 2*len(insts)+2)
	var wanted []string
	known, units := make(map[string]bool, 2*len(insts)), make([]string, len(insts))
	for n, inst := range insts {
		units[n] = inst.Unit()
		known[units[n]] = true
	}
	for n, inst := range insts {
		unit := units[n]
		var aliases []string
		for _, alias := range inst.Aliases() {
			// What only systemd-escape(1) would call it is left out: nobody types that, and it costs a file.
			if known[alias] || strings.ReplaceAll(alias, `\x2d`, "-") == unit {
				continue
			}
			known[alias] = true
			aliases = append(aliases, alias)
			files = append(files, File{Path: dropIn(alias), Text: aliasText(unit)})
		}
		files = append(files, File{Path: dropIn(unit), Text: instanceText(inst, aliases)})
		if inst.Enabled {
			wanted = append(wanted, unit)
		}
	}
	// Debian 13 runs /etc/postfix-NAME as postfix@NAME without an entry in multi_instance_directories. Enabled, it is one of
	// this host's instances and comes back with the others after "systemctl stop postfix; systemctl start postfix".
	for _, unit := range in.Enabled {
		if !known[unit] {
			known[unit] = true
			wanted = append(wanted, unit)
			part := strings.TrimSuffix(strings.TrimPrefix(unit, "postfix@"), ".service")
			files = append(files, File{Path: dropIn(unit), Text: madeBy + "\n[Service]\n" + slice(strings.ReplaceAll(part, "-", `\x2d`))})
		}
	}
	if len(wanted) > 0 {
		files = append(files, File{Path: path.Join(Umbrella+".d", "50-instances.conf"), Text: wantsText(wanted)})
	}
	files = append(files, watched(in.Instances)...)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// takeover is the unit that notices an instance that was started by hand.
const takeover = "postfix-takeover.path"

// maxWatched is how many files with process numbers are watched: systemd needs an inotify(7) instance for each, of which the kernel
// gives a user 128. "postfix start" begins with the primary one, and all are looked at when one is noticed.
const maxWatched = 50

// watched are the files by which a start by hand is noticed and its unit found.
func watched(insts []instance.Instance) []File {
	var table, pidFiles strings.Builder
	for n, inst := range insts {
		table.WriteString(inst.Unit() + " " + inst.QueueDir + "\n")
		if n < maxWatched {
			pidFiles.WriteString("PathModified=" + specifier(path.Join(inst.QueueDir, "pid/master.pid")) + "\n")
		}
	}
	return []File{
		{Path: Table, Text: table.String()},
		{Path: path.Join(takeover+".d", "50-instances.conf"), Text: madeBy + "\n[Path]\n" + pidFiles.String()},
		{Path: "multi-user.target.d/50-postfix.conf", Text: madeBy + "\n[Unit]\nWants=" + takeover + "\n"},
	}
}

const madeBy = "# Made by postfix-instance-generator"

// wantsText is the drop-in that makes postfix.service start the instances.
func wantsText(units []string) string {
	return madeBy + ": the instances that belong to the host\n[Unit]\nWants=" + strings.Join(units, "\nWants=") + "\n"
}

// slice is the setting that gives an instance a resource slice of its own, below the one that systemd has for all of them.
// A "-" in the name would be a level of its own (systemd.slice(5)). A name that makes it too long stays in the common one.
func slice(escaped string) string {
	name := "system-postfix-" + escaped + ".slice"
	if len(name) > instance.MaxUnit {
		return ""
	}
	return "Slice=" + name + "\n"
}

func dropIn(unit string) string { return path.Join(unit+".d", DropIn) }

// instanceText is the drop-in for the unit of an instance. Stopping or restarting one of its other names stops or restarts it.
func instanceText(inst instance.Instance, aliases []string) string {
	mainCF := path.Join(inst.ConfigDir, path.Base(paths.MainCF))
	var b strings.Builder
	b.Grow(512)
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteByte('\n')
	}
	line(madeBy, " from ", mainCF)
	line("[Unit]")
	line("AssertPathExists=")
	if inst.IsPrimary() { // no main.cf is a choice there: "No configuration"
		line("ConditionPathExists=", specifier(mainCF))
	} else {
		line("Description=Postfix Mail Transport Agent (instance ", specifier(inst.Name), " in ", specifier(inst.ConfigDir), ")")
		line("AssertPathExists=", specifier(mainCF))
	}
	dirs := []string{quote(inst.ConfigDir)}
	for _, dir := range []string{inst.QueueDir, inst.DataDir} {
		if dir != "" {
			dirs = append(dirs, quote(dir))
		}
	}
	line("RequiresMountsFor=", strings.Join(dirs, " "))
	for _, alias := range aliases {
		line("PartOf=", alias)
	}
	line("[Service]")
	line("Environment=", quote("MAIL_CONFIG="+inst.ConfigDir))
	if !inst.IsPrimary() { // it stays where systemd, and Debian, have it: others look for its log by _SYSTEMD_SLICE=system-postfix.slice
		b.WriteString(slice(instance.Escape(inst.Name)))
	}
	if !inst.Enabled { // it may have been enabled since: the program looks again
		line("ExecCondition=", paths.ConfigureInstance, " --enabled")
	}
	return b.String()
}

// aliasText makes a unit another name of an instance's: it runs no program and starts that unit. No BindsTo=: when the instance dies
// this unit would stop, and with it, by PartOf=, the instance that systemd is about to restart. No specifier in Requires=: systemd
// passes over a template that requires itself with a longer name.
func aliasText(unit string) string {
	return madeBy + `: another name of ` + unit + `
[Unit]
Description=Another name of ` + unit + `
AssertPathExists=
Requires=` + unit + `
After=` + unit + `
PropagatesReloadTo=` + unit + `
[Service]
Type=oneshot
RemainAfterExit=yes
Restart=no
Environment=
ExecStartPre=
ExecStart=
ExecStart=/bin/true
ExecStop=
ExecReload=
ExecReload=/bin/true
`
}

// specifier keeps "%" from being read as one, systemd.unit(5).
func specifier(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// quote makes one word of a list setting, systemd.syntax(7).
func quote(s string) string { return `"` + quoted.Replace(specifier(s)) + `"` }

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
