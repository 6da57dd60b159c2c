package instance

import (
	"errors"
	"fmt"
	"math"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// defaults are Postfix's built-in values (postconf -d) of what a path or an instance's name is likely to refer to.
var defaults = map[string]string{
	"command_directory":          paths.CommandDir,
	"compatibility_level":        "0",
	"daemon_directory":           paths.DaemonDir,
	"data_directory":             paths.DataDir,
	"maillog_file":               "",
	"mail_owner":                 "postfix",
	"meta_directory":             paths.ConfigDir,
	"multi_instance_directories": "",
	"multi_instance_enable":      "no",
	"multi_instance_group":       "",
	"multi_instance_name":        "",
	"multi_instance_wrapper":     "",
	"myorigin":                   "$myhostname",
	"queue_directory":            paths.QueueDir,
	"cyrus_sasl_config_path":     "",
	"smtpd_sasl_auth_enable":     "no",
	"smtpd_sasl_path":            "smtpd",
	"smtpd_sasl_type":            "cyrus",
	"setgid_group":               "postdrop",
	"shlib_directory":            paths.LibDir,
	"smtp_tls_CApath":            "",
	"smtpd_tls_CApath":           "",
	"syslog_name":                "${multi_instance_name?{$multi_instance_name}:{postfix}}",
	"local_recipient_maps":       "proxy:unix:passwd.byname $alias_maps",
}

// computed are parameters that Postfix works out while it runs; without a setting their value is not to be had from files.
var computed = map[string]bool{"mydomain": true, "myhostname": true, "process_id": true, "process_name": true, "mail_version": true}

// Lookup returns the function for maincf.Expand that knows the settings of main.cf in dir and, for the few parameters a
// path may refer to, Postfix's defaults.
func Lookup(f *maincf.File, dir string) func(name string) (value string, ok bool) {
	return func(name string) (string, bool) {
		if name == "config_directory" {
			return dir, true
		}
		if v, ok := f.Get(name); ok {
			return v, true
		}
		v, ok := defaults[name]
		return v, ok
	}
}

// Value is the expanded value of a parameter, with Postfix's default where main.cf does not set it.
func Value(f *maincf.File, dir, name string) (string, error) {
	value, err := Expand(f, dir, "$"+name)
	if err != nil {
		return "", fmt.Errorf("cannot work out %s of %q: %w", name, dir, err)
	}
	return value, nil
}

// MetaDir is meta_directory, which Debian has moved below /usr with 3.11.2-4 where main.cf does not name another one.
func MetaDir(root interface {
	Exists(path string) (bool, error)
}, f *maincf.File, dir string) (string, error) {
	if _, set := f.Get("meta_directory"); !set {
		if moved, err := root.Exists(paths.DynamicMapsD); moved || err != nil {
			return paths.ShareDir, err
		}
	}
	return Value(f, dir, "meta_directory")
}

// Expand expands text as a parameter's value in main.cf of dir. What depends on something Postfix computes by itself (a host
// name that is not set) is an error, never half a value.
func Expand(f *maincf.File, dir, text string) (string, error) {
	one := math.MaxInt // bounded by itself
	return ExpandWithin(f, dir, text, &one)
}

// ExpandWithin is Expand for who expands many texts: left says how many macros may be looked up in all of them. With a hundred levels to
// each of the parameters of a long file there is no end to it.
func ExpandWithin(f *maincf.File, dir, text string, left *int) (string, error) {
	lookup, unknown, over := Lookup(f, dir), "", false
	text, err := maincf.Expand(text, func(n string) (string, bool) {
		if *left--; *left < 0 {
			over = true
			return "", false
		}
		v, ok := lookup(n)
		if !ok && computed[n] {
			unknown = n
		}
		return v, ok
	})
	switch {
	case err == nil && over:
		err = errors.New("too many macros")
	case err == nil && unknown != "":
		err = fmt.Errorf("$%s is not set", unknown)
	}
	return text, err
}
