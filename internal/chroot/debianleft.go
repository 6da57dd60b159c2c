package chroot

import (
	"bytes"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
)

// What the scripts of Debian's own packages put into a chroot, besides certificates: configure-instance.sh of Debian 12 and 13 the files and
// libraries, that of Debian 12 the link and the devices as well, its config and preinst the empty marks for its postinst.
var (
	debianFiles   = []string{"etc/localtime", "etc/services", "etc/resolv.conf", "etc/hosts", "etc/host.conf", "etc/nsswitch.conf", "etc/nss_mdns.config"}
	debianMarks   = []string{"restart", "reload"}
	debianDevices = []string{"dev/random", "dev/urandom"}
	debianLib     = pattern.New(`^lib(gcc_s|nss[a-z0-9_]*|resolv)[-.0-9]*\.so[.0-9]*$`)
)

const debianZone = "usr/lib/zoneinfo/localtime"

// claimDebian takes over what those scripts left and what is byte for byte theirs, so that it goes unless the plan wants it: before there is a
// list, and where Debian 12's link shows that its script ran again. What differs, an old library above all, may be the administrator's.
func (a *applier) claimDebian(found bool) {
	if found && a.small { // a hook takes nothing away: the next start sees it
		return
	}
	target, _ := a.linkTo(debianZone)
	again := target == paths.Localtime
	if found && !again {
		return
	}
	if again {
		a.claimed(debianZone)
		a.k.Links[debianZone] = target
	}
	for _, name := range debianFiles {
		a.claimCopy(name, "/"+name)
	}
	if have, err := a.q.read(rel(paths.Passwd)); err == nil {
		if want, err := readSmall(a.deps.Root, paths.Passwd); err == nil && bytes.Equal(have, blankPasswords(want)) {
			a.claimFile(rel(paths.Passwd), have)
		}
	}
	for _, name := range debianMarks {
		if st, err := a.q.look(name); err == nil && a.Instance.IsPrimary() && st.kind() == unix.S_IFREG && st.sig.size == 0 {
			a.claimFile(name, nil)
		}
	}
	for _, name := range debianDevices {
		a.claimDevice(name)
	}
	a.claimLibraries()
}

// claimLibraries takes over copies in lib and in the directories there.
func (a *applier) claimLibraries() {
	lib := rel(paths.LibPrefixRoot)
	for _, dir := range append([]string{""}, a.below(lib)...) {
		for _, base := range a.below(path.Join(lib, dir)) {
			name := path.Join(lib, dir, base)
			if !debianLib.Regexp().MatchString(base) {
				continue
			}
			if target, ok := a.linkTo(name); ok {
				if host, err := a.deps.Root.Readlink("/" + name); err == nil && host == target && !a.wanted[name] {
					a.claimed(name)
					a.k.Links[name] = target
				}
				continue
			}
			a.claimCopy(name, "/"+name)
			if dir == "" { // Debian 13's script copies from the directory of the machine's libraries to lib itself
				a.claimCopy(name, a.hostLibrary(base))
			}
		}
	}
}

// hostLibrary finds a library of the host by its name, in the directories of all its architectures; "" where there is none.
func (a *applier) hostLibrary(base string) string {
	dirs, _ := a.deps.Root.ReadDir(paths.LibPrefix)
	for _, d := range dirs {
		name := path.Join(paths.LibPrefix, d.Name(), base)
		if there, err := a.deps.Root.Exists(name); strings.Contains(d.Name(), "-linux-") && err == nil && there {
			return name
		}
	}
	return ""
}

// below lists the names in a directory of the chroot.
func (a *applier) below(dir string) []string {
	d, err := a.q.open(dir)
	if err != nil {
		return nil
	}
	names, _ := d.names() // an unreadable one is not Debian's
	return names
}

// linkTo gives what a link in the chroot leads to.
func (a *applier) linkTo(name string) (string, bool) {
	st, err := a.q.look(name)
	if err != nil || st.kind() != unix.S_IFLNK {
		return "", false
	}
	d, err := a.q.open(path.Dir(name))
	if err != nil {
		return "", false
	}
	target, err := d.root.Readlink(path.Base(name))
	return target, err == nil
}

// claimCopy takes over a copy of a file of the host's.
func (a *applier) claimCopy(name, host string) {
	d, err := a.q.open(path.Dir(name))
	if err != nil || host == "" || a.wanted[name] || a.k.Files[name] != nil {
		return
	}
	if data, same := a.equalsHost(d, name, host); same {
		a.claimFile(name, data)
	}
}

func (a *applier) claimFile(name string, data []byte) {
	if a.wanted[name] || a.k.Files[name] != nil {
		return
	}
	a.claimed(name)
	a.k.Files[name] = &keptFile{sums: []string{sum(data)}, source: untrusted, copy: untrusted}
}

// claimDevice has a device go that is the same one as the host's: it has no content by which it could be in the list.
func (a *applier) claimDevice(name string) {
	d, err := a.q.open(path.Dir(name))
	if err != nil || a.holds(name) {
		return
	}
	var have, want unix.Stat_t
	real, err := a.deps.Root.Resolve("/" + name)
	if err == nil {
		err = unix.Lstat(real, &want)
	}
	if err != nil || unix.Fstatat(int(d.file.Fd()), path.Base(name), &have, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	if have.Mode&unix.S_IFMT == unix.S_IFCHR && have.Mode&unix.S_IFMT == want.Mode&unix.S_IFMT && have.Rdev == want.Rdev && !a.mounted(name) {
		a.claimed(name)
		a.removal = append(a.removal, name)
	}
}

// claimed has the directories on the way to name go when they are empty.
func (a *applier) claimed(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		a.k.ownDir(dir)
	}
	a.dirty = true
}
