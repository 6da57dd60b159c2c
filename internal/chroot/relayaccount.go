package chroot

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// nogroup is the group that owns nothing (Debian policy, 9.2.2).
const nogroup = 65534

// RelayAccount gives the account whose rights a relay may use the name of the host's socket with: root where root alone decides what the name
// means, the account that decides beside it, which is then led nowhere that it could not go by itself, and else Postfix's user, who would
// follow that name without a chroot too. While the directory of the socket is not there, it is not known whose it will be.
func RelayAccount(root *sysroot.Root, socket, user string) (as sysroot.Account, err error) {
	uid, err := root.PlaceOwner(socket)
	switch {
	case err == nil && uid == 0:
		return as, nil
	case err == nil:
		as, err := lookUp(root, func(f []string) bool { return f[2] == strconv.Itoa(uid) })
		if errors.Is(err, fs.ErrNotExist) { // systemd gives such numbers to dynamic users
			return sysroot.Account{UID: uid, GID: nogroup}, nil
		}
		return as, err
	case errors.As(err, new(*sysroot.UntrustedError)):
		return lookUp(root, func(f []string) bool { return f[0] == user })
	}
	return as, err
}

// lookUp finds an account in passwd(5), with its groups. None is an error for which errors.Is(err, fs.ErrNotExist) holds, and no account.
func lookUp(root *sysroot.Root, is func(fields []string) bool) (as sysroot.Account, err error) {
	p := &Plan{deps: Deps{Root: root}}
	nobody := sysroot.Account{UID: nogroup, GID: nogroup}
	accounts := p.fields(paths.Passwd)
	n := slices.IndexFunc(accounts, func(f []string) bool { return len(f) > 3 && is(f) })
	if n < 0 {
		return nobody, &fs.PathError{Op: "look up an account in", Path: paths.Passwd, Err: fs.ErrNotExist}
	}
	if as.UID, err = strconv.Atoi(accounts[n][2]); err != nil {
		return nobody, err
	}
	if as.GID, err = strconv.Atoi(accounts[n][3]); err != nil {
		return nobody, err
	}
	as.Groups = []int{as.GID} // as initgroups(3) does
	for _, f := range p.fields(paths.Group) {
		if len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), accounts[n][0]) {
			continue
		}
		if gid, err := strconv.Atoi(f[2]); err == nil {
			as.Groups = append(as.Groups, gid)
		}
	}
	return as, nil
}

// permits tells whether an account has a permission (1 to enter, 2 to write) by mode and owner.
func permits(as sysroot.Account, fi fs.FileInfo, bit fs.FileMode) bool {
	uid, gid := sysroot.Owner(fi)
	perm := fi.Mode().Perm()
	switch {
	case as.UID == 0:
		return true
	case as.UID == uid:
		return perm>>6&bit != 0
	case as.GID == gid || slices.Contains(as.Groups, gid):
		return perm>>3&bit != 0
	}
	return perm&bit != 0
}

func (p *Plan) accountName(uid int) string {
	for _, f := range p.fields(paths.Passwd) {
		if len(f) > 2 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return strconv.Itoa(uid)
}
