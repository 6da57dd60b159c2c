// Package paths (ring: format) names, once, every path of the system that the project knows.
package paths

// Postfix's own places, the same in every release of Debian.
const (
	ConfigDir   = "/etc/postfix"
	MainCF      = ConfigDir + "/main.cf"
	MasterCF    = ConfigDir + "/master.cf"
	DynamicMaps = ConfigDir + "/dynamicmaps.cf"
	SASLDir     = ConfigDir + "/sasl"
	QueueDir    = "/var/spool/postfix" // default queue_directory
	MasterPID   = "pid/master.pid"     // below queue_directory
	DataDir     = "/var/lib/postfix"   // default data_directory
	LibDir      = "/usr/lib/postfix"
	DaemonDir   = LibDir + "/sbin" // default daemon_directory
	CommandDir  = "/usr/sbin"      // default command_directory
	ShareDir    = "/usr/share/postfix"

	MainTemplate   = ShareDir + "/main.cf.debian"
	TLSTemplate    = ShareDir + "/main.cf.tls"
	MasterTemplate = ShareDir + "/master.cf.dist"

	Postconf   = "/usr/sbin/postconf"
	Postmulti  = "/usr/sbin/postmulti"
	Postfix    = "/usr/sbin/postfix"
	Postdrop   = "/usr/sbin/postdrop"
	Master     = DaemonDir + "/master"
	Postqueue  = "/usr/sbin/postqueue"
	Postlog    = "/usr/sbin/postlog"
	Newaliases = "/usr/bin/newaliases"
)

// Files of the host that Postfix's configuration or chroot depends on.
const (
	Aliases       = "/etc/aliases"
	Mailname      = "/etc/mailname"
	Hostname      = "/etc/hostname"
	Hosts         = "/etc/hosts"
	ResolvConf    = "/etc/resolv.conf"
	RewriteSocket = "private/rewrite" // trivial-rewrite(8), in the queue directory
	NSSwitch      = "/etc/nsswitch.conf"
	Passwd        = "/etc/passwd"
	Group         = "/etc/group"
	DefaultFile   = "/etc/default/postfix"
	SnakeoilKey   = "/etc/ssl/private/ssl-cert-snakeoil.key"
	SnakeoilCert  = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
	Procmail      = "/usr/bin/procmail"
	MailSpool     = "/var/mail" // default mail_spool_directory
	LdSoConf      = "/etc/ld.so.conf"
	StatOverride  = "/var/lib/dpkg/statoverride"
	ProcNetV4     = "/proc/sys/net/ipv4"
	ProcNetV6     = "/proc/sys/net/ipv6"
	SystemdBooted = "/run/systemd/system" // there while systemd runs the system: sd_booted(3)
	PolicyRCD     = "/usr/sbin/policy-rc.d"
)

// Our own places.
const (
	StateDir          = "/var/lib/postfix-maint"
	Applied           = StateDir + "/applied.json"     // the answers applied last: the base of the next merge
	Pending           = StateDir + "/pending.json"     // the intent of a run that has not ended yet
	Filled            = StateDir + "/filled.json"      // answers in debconf's database that nobody gave: config filled them in to show them
	Transaction       = StateDir + "/transaction.json" // the files that an unfinished change of several is about
	History           = StateDir + "/history"          // what was changed: root's alone
	HistoryLock       = History + "/lock"              // held by a change that comes without the lock of a command
	HistoryJournal    = History + "/transaction.json"  // and what is unfinished of it
	ChrootState       = StateDir + "/chroot"           // one list an instance: what we put into its chroot
	ReloadDue         = StateDir + "/reload-due"       // one note an instance, by its unit: its daemons have not read what was changed
	Program           = "/usr/sbin/postfix-maint"
	LibexecDir        = "/usr/libexec/postfix-maint"
	ConfigureInstance = LibexecDir + "/configure-instance"
	InstanceGenerator = LibexecDir + "/postfix-instance-generator"
	LayerDir          = "/usr/share/postfix-maint/layer" // what adopt lays over Debian's package
	OAuthRelay        = LibexecDir + "/postfix-oauth-relay"
	OAuthDir          = StateDir + "/oauth"                    // PORT.json each: logins at relays by OAuth 2.0, root's alone
	OAuthState        = "/var/lib/private/postfix-oauth-relay" // a directory PORT each: what the OAuth relay keeps, of its own user's
	OAuthStateLink    = "/var/lib/postfix-oauth-relay"         // systemd's links to these
	OAuthDue          = StateDir + "/oauth-due"                // one note a port: systemd has to be told about it
)

// Parts of Debian's packages that the set-up reads or makes.
const (
	MainDist            = ShareDir + "/main.cf.dist"
	MainProto           = ConfigDir + "/main.cf.proto"
	MasterProto         = ConfigDir + "/master.cf.proto"
	Makedefs            = ShareDir + "/makedefs.out"
	MakedefsLink        = ConfigDir + "/makedefs.out"
	DynamicMapsTemplate = ShareDir + "/dynamicmaps.cf"
	DynamicMapsD        = ShareDir + "/dynamicmaps.cf.d" // the registry of Postfix 3.11.2-4 and later
	DocDir              = "/usr/share/doc/postfix"
	PackageChangelog    = "/usr/share/doc/postfix/changelog.Debian.gz"
	DocChangelog        = "/usr/share/doc/postfix-doc/changelog.Debian.gz" // there if postfix-doc is installed
	Sysusers            = "/usr/lib/sysusers.d/postfix.conf"               // the accounts, from 3.11.2-1 on
	Ypcat               = "/usr/bin/ypcat"
	Installing          = StateDir + "/installing" // made by preinst when the package comes onto the host, dropped when the service was started
	Unpacked            = StateDir + "/unpacked"   // by preinst: a line "OLD NEW" for each unpacking since the last configuration
)

// SELinux.
const (
	SELinuxFS  = "/sys/fs/selinux/enforce" // there while SELinux is on
	Restorecon = "/usr/sbin/restorecon"
)

// RootForward is root's own forwarding file: its mail is taken care of (#293889).
const RootForward = "/root/.forward"

// RunLevelDir has the init scripts' links of the usual run level, as update-rc.d(8) makes them.
const RunLevelDir = "/etc/rc2.d"

// DpkgStatus is dpkg's database of installed packages (deb822(5) stanzas); below DpkgUpdates is what a running dpkg did since.
const (
	DpkgStatus  = "/var/lib/dpkg/status"
	DpkgUpdates = "/var/lib/dpkg/updates"
)

// The strict sandbox profile and the drop-in that switches it on for every instance.
const (
	StrictProfile   = "/usr/share/postfix-maint/strict.conf"
	StrictDropInDir = "/etc/systemd/system/postfix@.service.d"
	StrictDropIn    = StrictDropInDir + "/50-postfix-maint-strict.conf"
)

// DevNull is where the link of a masked unit leads (systemctl(1), mask).
const DevNull = "/dev/null"

// Nologin is the shell of system accounts.
const Nologin = "/usr/sbin/nologin"

// What a chroot is made from. The files are named as chrooted daemons look for them.
const (
	Localtime     = "/etc/localtime"
	Services      = "/etc/services"
	HostConf      = "/etc/host.conf"
	MDNSAllow     = "/etc/mdns.allow"
	MDNSConf      = "/etc/nss_mdns.config"
	SASLPlugins   = "/usr/lib/sasl2"
	LDAPConf      = "/etc/ldap/ldap.conf"
	LibPrefix     = "/usr/lib" // library directories of the system, with or without a multiarch name below
	LibPrefixRoot = "/lib"     // the same by its old name
)

// What NSS modules ask their daemons by.
const (
	SSSDSocket    = "/var/lib/sss/pipes/nss"
	NslcdSocket   = "/var/run/nslcd/socket"
	WinbindSocket = "/run/samba/winbindd/pipe"
	ResolveSocket = "/run/systemd/resolve/io.systemd.Resolve"
	UserDB        = "/run/systemd/userdb"
	AvahiSocket   = "/run/avahi-daemon/socket"
)

// SMTP AUTH. libsasl2 looks into SASLConfigDirs where cyrus_sasl_config_path is not set.
const (
	SASLConfigDirs  = SASLDir + ":/usr/lib/sasl:/etc/sasl2:/etc/sasl:/usr/lib/sasl2" // built in, Debian 12: the first two; 13: the others
	SASLDB          = "/etc/sasldb2"
	SaslauthdSocket = "/var/run/saslauthd/mux"
	DefaultsDir     = "/etc/default"
	Saslauthd       = "/usr/sbin/saslauthd"
	SaslauthdUnit   = Units + "/saslauthd.service" // from Debian 13 on
)

// What makes a socket in a chroot that leads to one of the host's.
const (
	SystemdRun = "/usr/bin/systemd-run"
	Systemctl  = "/usr/bin/systemctl"
	// InstanceTable is what postfix-instance-generator says of the instances: unit and queue directory of each.
	InstanceTable      = "/run/systemd/generator/postfix-instances"
	InstanceComplaints = InstanceTable + ".bad" // there if it could not make all of them
	SocketProxy        = "/usr/lib/systemd/systemd-socket-proxyd"
	TransientUnits     = "/run/systemd/transient"
	UnixSockets        = "/proc/net/unix" // the kernel's table of sockets
	TCPSockets         = "/proc/self/net/tcp"
)

// systemd's unit files: the vendor's (Debian 12's package has them below /lib), the administrator's.
const (
	Units      = "/usr/lib/systemd/system"
	OldUnits   = "/lib/systemd/system"
	AdminUnits = "/etc/systemd/system"
	RunUnits   = "/run/systemd/system"         // until the next boot
	PropUnits  = "/etc/systemd/system.control" // what "systemctl set-property" writes
	Template   = "postfix@.service"
	Umbrella   = "postfix.service"
	WatchUnit  = "postfix-resolvconf-watch.service" // of our layer alone
	Kmsg       = "/dev/kmsg"
)

// Names that Postfix's scripts look for.
const (
	PostfixFiles = "postfix-files" // in meta_directory: what post-install makes
	QuickStart   = "quick-start"   // in queue_directory: the next start makes no check
)

// What the smarthost set-up runs and reads.
const (
	Postmap        = "/usr/sbin/postmap"
	Postalias      = "/usr/sbin/postalias"
	Postsuper      = "/usr/sbin/postsuper"
	Postcat        = "/usr/sbin/postcat"
	Sendmail       = "/usr/sbin/sendmail"
	Journalctl     = "/usr/bin/journalctl"
	CABundle       = "/etc/ssl/certs/ca-certificates.crt" // of the package ca-certificates
	MailLog        = "/var/log/mail.log"
	CertDir        = "/etc/ssl/certs"
	LocalCerts     = "/usr/local/share/ca-certificates" // see update-ca-certificates(8)
	SmarthostState = StateDir + "/smarthost"            // one file an instance: what was in force before the first "smarthost set"
	PlainConfig    = "/usr/share/postfix-maint/plain"   // a configuration that every program of Postfix takes
)

// Making and removing instances.
const (
	InstanceState = StateDir + "/instances" // locked by the command that makes or removes one
	InstanceWork  = InstanceState + "/journal.json"
)

// What a unit with PrivateTmp= and ProtectHome= does not see, besides the homes and /tmp (systemd.exec(5)).
const (
	VarTmp  = "/var/tmp/"
	RunUser = "/run/user/"
)

// DevLog is where syslog(3) sends.
const (
	DevLog     = "/dev/log"
	JournalLog = "/run/systemd/journal/dev-log" // where it leads while systemd-journald holds it
)

// Syslog daemons: what tells that one is installed, and where it reads its configuration.
const (
	Rsyslogd          = "/usr/sbin/rsyslogd"
	RsyslogConf       = "/etc/rsyslog.conf"
	RsyslogDir        = "/etc/rsyslog.d"
	SyslogNG          = "/usr/sbin/syslog-ng"
	SyslogNGConf      = "/etc/syslog-ng/syslog-ng.conf"
	SyslogNGDir       = "/etc/syslog-ng/conf.d"
	Syslogd           = "/usr/sbin/syslogd" // of inetutils, or a link to busybox
	InetutilsDefaults = "/etc/default/inetutils-syslogd"
	BusyboxDefaults   = "/etc/default/busybox-syslogd"
	BusyboxUnit       = Units + "/busybox-syslogd.service" // from Debian 13 on
)

// MariaDBPlugins is the directory of libmariadb's plugins, below the machine's library directory.
const MariaDBPlugins = "libmariadb3/plugin"

// The sockets that the client libraries of databases take on Debian where no server is named.
const (
	LDAPISocket   = "/var/run/slapd/ldapi"
	MariaDBSocket = "/run/mysqld/mysqld.sock"
	PostgreSQLDir = "/var/run/postgresql"
)

// LockFile is held by a command of ours that changes the host, and says who holds it.
const LockFile = "/run/postfix-maint.lock"

// ProbeDir is where a main.cf is put to Postfix before it comes into force: root's alone, there only meanwhile.
const ProbeDir = "/run/postfix-maint.probe"

// SyslogDue and the name of a syslog daemon is a file that is there from before a change of its configuration until its restart. A boot
// does the same.
const SyslogDue = "/run/postfix-maint.restart-"

// ChrootLocks has one lock an instance, held by a run that works on its chroot. Only root may look into it: whoever may open a file may
// lock it.
const ChrootLocks = "/run/postfix-maint"

// The local apt source of adopted packages, and what makes apt use it.
const (
	Archive     = StateDir + "/archive"                           // a link to the folder in force, StateDir + "/archive-*"
	AdoptWork   = StateDir + "/adopt.work"                        // packages being taken apart
	DropInState = StateDir + "/drop-ins.json"                     // drop-ins of units of Debian 13's that were moved to ours
	AptSource   = "/etc/apt/sources.list.d/postfix-maint.sources" // sources.list(5), deb822 style
	AptPin      = "/etc/apt/preferences.d/postfix-maint.pref"     // apt_preferences(5)
	AptConf     = "/etc/apt/apt.conf.d/60postfix-maint"           // apt.conf(5)
	AptLists    = "/var/lib/apt/lists"                            // what apt-get update brought
	ArchiveList = AptLists + "/_var_lib_postfix-maint_archive_._" // the names there that belong to our source start so
)

// SystemDirs are directories of the host's own, none of which can be a queue directory, nor lie below one.
var SystemDirs = []string{
	"/", "/bin", "/boot", "/dev", "/etc", "/etc/default", "/etc/ssl", "/etc/ssl/certs", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin",
	"/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/sbin", "/usr/share", "/var", "/var/backups", "/var/cache", "/var/lib",
	"/var/lib/dpkg", "/var/log", "/var/mail", "/var/spool", "/var/tmp", StateDir, LibDir,
}
