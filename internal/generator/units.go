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

// DropIn is the name of the file that gives an instance's unit its configuration directory.
const DropIn = "50-instance.conf"

// File is a file or, with Link, a symbolic link to make below the generator's output directory.
type File struct {
	Path string // relative
	Text string
	Link string
}

// Input is what the units are made from.
type Input struct {
	Instances []instance.Instance
	Enabled   []string // units of the administrator's own "systemctl enable postfix@NAME"
	Template  string   // the file postfix@.service
}

// Units gives all files, sorted by path. The primary instance is always among them, even if its main.cf could not be
// understood: Postfix itself may do so, and if it does not, postfix.service has to fail rather than to stand for nothing.
func Units(in Input) []File {
	insts := in.Instances
	if !slices.ContainsFunc(insts, instance.Instance.IsPrimary) {
		insts = append([]instance.Instance{{Name: instance.Primary, ConfigDir: paths.ConfigDir, Enabled: true}}, insts...)
	}
	var files []File
	want := func(unit string) {
		files = append(files, File{Path: path.Join(Umbrella+".wants", unit), Link: in.Template})
	}
	known := map[string]bool{}
	for _, inst := range insts {
		known[inst.Unit()] = true
	}
	for _, inst := range insts {
		var aliases []string
		for _, unit := range inst.Aliases() {
			// What only systemd-escape(1) would call it is left out: nobody types that, and it costs a file.
			if !known[unit] && strings.ReplaceAll(unit, `\x2d`, "-") != inst.Unit() {
				known[unit] = true
				aliases = append(aliases, unit)
				files = append(files, File{Path: dropIn(unit), Text: aliasText(inst)})
			}
		}
		files = append(files, File{Path: dropIn(inst.Unit()), Text: instanceText(inst, aliases)})
		if inst.Enabled {
			want(inst.Unit())
		}
	}
	// Debian 13 runs /etc/postfix-NAME as postfix@NAME without an entry in multi_instance_directories. Enabled, it is one of
	// this host's instances and comes back with the others after "systemctl stop postfix; systemctl start postfix".
	for _, unit := range in.Enabled {
		if !known[unit] {
			known[unit] = true
			want(unit)
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func dropIn(unit string) string { return path.Join(unit+".d", DropIn) }

// instanceText is the drop-in for the unit of an instance. Stopping or restarting one of its other names stops or restarts it.
func instanceText(inst instance.Instance, aliases []string) string {
	mainCF := path.Join(inst.ConfigDir, path.Base(paths.MainCF))
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("# Made by postfix-instance-generator from ", mainCF)
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
	if !inst.Enabled { // it may have been enabled since: the program looks again
		line("ExecCondition=", paths.Umbrella, " enabled")
	}
	return b.String()
}

// aliasText makes a unit another name of an instance: it runs no program, starts that instance's unit and ends with it.
func aliasText(inst instance.Instance) string {
	unit := inst.Unit()
	return `# Made by postfix-instance-generator: another name of ` + unit + `
[Unit]
Description=Postfix instance ` + specifier(inst.Name) + ` by another name
AssertPathExists=
BindsTo=` + unit + `
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
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(specifier(s)) + `"`
}
