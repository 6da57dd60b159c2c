package smarthost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// Runner runs other programs; run.Runner is one.
type Runner interface {
	Output(ctx context.Context, name string, args ...string) ([]byte, error)
	Run(ctx context.Context, name string, args ...string) error
}

// Deps are the ports that the flow acts through.
type Deps struct {
	Root *sysroot.Root
	Run  Runner
	// Reload makes the running instance read its configuration; a stopped one stays stopped. nil leaves that to the caller.
	Reload func(ctx context.Context, inst instance.Instance) error
	// Runs tells whether the instance does: a message that is submitted to another waits in its queue. nil takes it to run.
	Runs func(inst instance.Instance) bool
	// Tell says what a test waits for next. nil says nothing.
	Tell func(what string)
	// Submit hands a message to sendmail(1): its standard input and arguments.
	Submit func(ctx context.Context, message []byte, args ...string) error
	// Units is the way to systemd; nil where it does not run the host. Free tells whether nothing listens at a port of the loopback; nil takes
	// all to be free.
	Units func(ctx context.Context) (Units, error)
	Free  func(port int) bool
}

func (d Deps) tell(format string, args ...any) {
	if d.Tell != nil {
		d.Tell(fmt.Sprintf(format, args...))
	}
}

// Names of the tables, all in the instance's configuration directory.
const (
	passwordTable  = "sasl_passwd"
	genericTable   = "generic"
	canonicalTable = "sender_canonical"
	headerTable    = "smtp_header_checks"
	stageName      = ".postfix-maint" // directory for drafts of tables; see commit.go
)

// tableNames are all names that a table of ours can have.
var tableNames = []string{passwordTable, genericTable, canonicalTable, canonicalTable + ".regexp", canonicalTable + ".pcre", headerTable}

// The tables of the senders' accounts.
const (
	senderRelayTable     = "sender_relayhost"
	senderPasswordTable  = "sender_passwd"
	senderPolicyTable    = "smtp_tls_policy"
	senderTransportTable = "sender_transport"
	senderGenericTable   = "sender_generic"
)

var senderTables = []string{senderRelayTable, senderPasswordTable, senderPolicyTable, senderTransportTable, senderGenericTable}

// secretTable tells whether a table has passwords.
func secretTable(name string) bool { return name == passwordTable || name == senderPasswordTable }

// suffixes are what postmap(1) appends to the name of a table for its index, per type (DATABASE_README).
var suffixes = map[string]string{"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}

// host is what the plan is made from.
type host struct {
	d     Deps
	inst  instance.Instance
	disk  []byte // main.cf as it is
	state state
	// onDisk is the same parsed; live what it means, the names of an interrupted commit replaced by the lasting ones.
	onDisk, live *maincf.File
	// effective are parameters with their defaults, expanded, as Postfix itself works them out; types the map types it has.
	effective map[string]string
	types     []string
	sender    string // whose mail is tried, in small letters
	routed    bool   // its way was asked for or found: the relay for all mail is another thing
}

// deciding are the parameters whose effective value decides something.
var deciding = []string{
	"default_database_type", "myhostname", "mydestination", "myorigin", "alias_maps", "alias_database", "default_transport", "relayhost",
	"smtp_tls_CAfile", "smtp_tls_CApath", "smtp_tls_policy_maps", "smtp_tls_per_site", "smtp_tls_security_level", "smtp_tls_wrappermode",
	"smtp_sasl_auth_enable", "smtp_sasl_password_maps", "smtp_sasl_security_options", "smtp_sasl_tls_security_options",
	"smtp_sasl_tls_verified_security_options", "smtp_sasl_mechanism_filter", "smtp_sasl_password_result_delimiter", "smtp_generic_maps", "sender_canonical_maps", "smtp_header_checks", "transport_maps",
	"relay_domains", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps", "inet_protocols", "smtp_helo_name",
	"smtp_tls_verify_cert_match", "smtp_tls_secure_cert_match", "tls_append_default_CA", "smtp_cname_overrides_servername", "relay_transport", "maillog_file", "smtp_host_lookup",
	"content_filter", "smtp_sender_dependent_authentication", "recipient_delimiter",
}

// toolLimit bounds a program of Postfix's that makes a table of any size, answerLimit one that only tells something. One of the many files that
// they read may be a named pipe.
const (
	toolLimit   = 3 * time.Minute
	answerLimit = 15 * time.Second
)

// look reads the instance. It runs postconf(1) twice and nothing else.
func look(ctx context.Context, d Deps, inst instance.Instance) (*host, error) {
	h, err := glance(d, inst)
	if err != nil {
		return nil, err
	}
	if h.disk == nil {
		return nil, fmt.Errorf("cannot read the configuration: there is no %q", h.file("main.cf"))
	}
	for _, name := range []string{h.file("master.cf"), paths.DynamicMaps} { // postconf(1) reads them, and says nothing of what it waits for
		if _, err := h.read(name); err != nil {
			return nil, err
		}
	}
	if err := h.ask(ctx); err != nil {
		return nil, err
	}
	return h, h.askTypes(ctx)
}

// glance reads the instance's files, and runs no program. A main.cf that is not there yet counts as a blank one.
func glance(d Deps, inst instance.Instance) (*host, error) {
	h := &host{d: d, inst: inst}
	var err error
	if h.disk, err = h.read(h.file("main.cf")); err != nil {
		return nil, err
	}
	h.state = loadState(d.Root, inst)
	if h.onDisk, err = maincf.Parse(h.disk); err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", h.file("main.cf"), err)
	}
	h.live, err = h.settle()
	return h, err
}

// askTypes fills in the map types that are installed.
func (h *host) askTypes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	out, err := h.tool(ctx, paths.Postconf, "-m")
	if err != nil {
		return fmt.Errorf("cannot ask for Postfix's map types: %w", err)
	}
	h.types = strings.Fields(string(out))
	return nil
}

// ask fills in the effective values, with other parameters than in main.cf (NAME=VALUE). Parameters that this release does not have
// are missing in the answer.
func (h *host) ask(ctx context.Context, other ...string) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	args := []string{"-c", h.inst.ConfigDir, "-x"}
	for _, o := range other {
		args = append(args, "-o", o)
	}
	out, err := h.d.Run.Output(ctx, paths.Postconf, append(args, deciding...)...)
	if errors.As(err, new(*run.ExitError)) { // see tool; no parameter that is asked for depends on these addresses
		args = append(args, "-o", "inet_interfaces=loopback-only", "-o", "proxy_interfaces=")
		if again, againErr := h.d.Run.Output(ctx, paths.Postconf, append(args, deciding...)...); againErr == nil {
			out, err = again, nil
		}
	}
	if err != nil {
		return fmt.Errorf("cannot ask Postfix for its settings: %w", err)
	}
	h.effective = map[string]string{}
	h.take(out)
	_, name := h.aliasTable()
	h.effective["alias_maps"] = rename(h.effective["alias_maps"], h.stage("aliases"), name)
	return nil
}

// take fills in what postconf(1) says.
func (h *host) take(out []byte) {
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			h.effective[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
}

// tool runs a program of Postfix's. Most of them read all of main.cf and refuse it where inet_interfaces names an address that is not up, or
// myhostname is empty (mail_params_init() in Postfix's sources), whatever they are asked. What they are to do here depends on neither, so
// they get a main.cf without anything then. The error is that about the instance's own.
func (h *host) tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	out, err := h.d.Run.Output(ctx, name, append([]string{"-c", h.inst.ConfigDir}, args...)...)
	if exit := (*run.ExitError)(nil); !errors.As(err, &exit) || exit.Stderr == "" {
		return out, err
	}
	if plain, plainErr := h.d.Run.Output(ctx, name, append([]string{"-c", paths.PlainConfig}, args...)...); plainErr == nil || silent(plainErr) {
		return plain, plainErr
	}
	return out, err
}

// silent tells whether a program has only said no: postmap(1) exits 1 so where a key is not there.
func silent(err error) bool {
	exit := (*run.ExitError)(nil)
	return errors.As(err, &exit) && exit.Code == 1 && exit.Stderr == ""
}

// file is a path in the instance's configuration directory.
func (h *host) file(name string) string { return path.Join(h.inst.ConfigDir, name) }

// stage is a path in the directory where tables are built.
func (h *host) stage(name string) string { return path.Join(h.inst.ConfigDir, stageName, name) }

// read gives a file's content, nil if it is not there.
func (h *host) read(name string) ([]byte, error) {
	data, err := h.d.Root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	return data, nil
}

// typeOf is the map type for a table of ours: the one by which main.cf refers to the file already (T04), by a line of the
// administrator's or by ours while the type is there, else the one that this release of Postfix prefers.
func (h *host) typeOf(base *maincf.File, param, file string) (string, error) {
	if typ := namedType(listOf(base, param), file); typ != "" {
		return typ, h.checkType(typ)
	}
	if typ := namedType(listOf(h.live, param), file); slices.Contains(h.types, typ) {
		return typ, nil
	}
	typ := h.effective["default_database_type"]
	if suffixes[typ] == "" {
		return "", fmt.Errorf("cannot make tables of the type %q (default_database_type): set it to one of hash, lmdb, cdb", typ)
	}
	return typ, h.checkType(typ)
}

// namedType is the type by which one of the elements refers to an indexed file, also within another type, "" if none does.
func namedType(elements []string, file string) string {
	typed := regexp.MustCompile(`(\w+)` + naming(file).String())
	for _, e := range elements {
		if m := typed.FindStringSubmatch(e); m != nil && suffixes[m[1]] != "" {
			return m[1]
		}
	}
	return ""
}

// checkType refuses a map type that is not installed, before anything is changed.
func (h *host) checkType(typ string) error {
	if !slices.Contains(h.types, typ) {
		return fmt.Errorf("map type %q is not there: install the package postfix-%s", typ, typ)
	}
	return nil
}

// listOf splits a list of tables as it stands in main.cf, unexpanded.
func listOf(f *maincf.File, param string) []string {
	v, _ := f.Get(param)
	return maincf.SplitList(v)
}
