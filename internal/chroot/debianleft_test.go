package chroot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What Debian's own scripts left goes if it is byte for byte theirs and nothing needs it, in the chroot and when it is switched off; what
// differs stays, and is foreign.
func TestWhatDebianLeft(t *testing.T) {
	const q, lib = queueDir + "/", "lib/x86_64-linux-gnu/"
	left := map[string]string{ // "!" before what is not theirs
		lib + "libnss_files.so.2": "files", lib + "libnss_files.so": "-> libnss_files.so.2", lib + "libresolv.so.2": "resolv", lib + "libgcc_s.so.1": "",
		"!" + lib + "libnss_two.so.2": "old", "!" + lib + "libown.so": "own", "!lib/libnss_own.so.2": "own", "lib/libnss_three.so.2": "", "etc/nss_mdns.config": "mdns",
		"usr/lib/zoneinfo/localtime": "-> /etc/localtime", "restart": "", "reload": "", "!etc/own": "own",
	}
	for name, master := range map[string]string{"chrooted": chrooted, "not chrooted": nothing} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{
				"etc/postfix/main.cf": level, "etc/postfix/master.cf": master, "etc/nss_mdns.config": "mdns", multi + "libnss_files.so.2": "files",
				multi + "libnss_files.so": "-> libnss_files.so.2", multi + "libresolv.so.2": "resolv", queueDir + "/dev/": "",
				"etc/nsswitch.conf": "hosts: files dns\n",
			}
			root := host(t, files)
			var mine []string
			for name, content := range left {
				own := name[0] == '!'
				if own {
					name = name[1:]
					mine = append(mine, name)
				}
				switch filepath.Base(name) {
				case "libgcc_s.so.1", "libnss_three.so.2":
					content = get(t, root, multi+filepath.Base(name))
				case "restart", "reload":
					if err := os.WriteFile(filepath.Join(root.Dir(), q+name), nil, 0o644); err != nil {
						t.Fatal(err)
					}
					continue
				}
				put(t, root, q+name, content)
			}
			slices.Sort(mine)
			devices(t, root.Dir(), root.Dir()+"/"+queueDir)
			apply(t, root)
			r, err := plan(t, root).Inspect()
			if err != nil || len(r.Changed)+len(r.Removed) > 0 {
				t.Errorf("a second run would change %q, remove %q: %v", r.Changed, r.Removed, err)
			}
			want(t, "foreign", r.Foreign, mine)
			for _, dir := range []string{"usr/lib/zoneinfo"} {
				if _, err := os.Lstat(filepath.Join(root.Dir(), q+dir)); err == nil {
					t.Errorf("the directory %s is left", dir)
				}
			}
			// Debian 12's script runs once more: its link tells.
			put(t, root, q+"usr/lib/zoneinfo/localtime", "-> /etc/localtime")
			put(t, root, q+lib+"libresolv.so.2", "resolv")
			apply(t, root)
			if ok, _ := root.Exists("/" + q + lib + "libresolv.so.2"); ok {
				t.Error("what Debian's script made again is still there")
			}
		})
	}
}

// devices makes the nodes that Debian 12's script copied, where that is permitted.
func devices(t *testing.T, dirs ...string) {
	for _, dir := range dirs {
		for minor, name := range map[uint32]string{8: "random", 9: "urandom"} {
			err := os.MkdirAll(dir+"/dev", 0o755)
			if err == nil {
				err = unix.Mknod(dir+"/dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor)))
			}
			if errors.Is(err, unix.EPERM) {
				t.Log("no device may be made here")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
