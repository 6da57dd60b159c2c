package elfdep_test

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/elfdep/elfdeptest"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const triple = "usr/lib/x86_64-linux-gnu/"

// loader makes a merged-/usr tree of the objects and a Loader for its program.
func loader(t *testing.T, objects map[string]elfdeptest.Object, text map[string]string) *elfdep.Loader {
	t.Helper()
	files := map[string]string{"lib": "-> usr/lib", "usr/sbin/prog": string(elfdeptest.Object{Interp: "/lib64/ld-linux-x86-64.so.2"}.Bytes())}
	for name, o := range objects {
		files[name] = string(o.Bytes())
	}
	for name, s := range text {
		files[name] = s
	}
	l, err := elfdep.New(sysroottest.New(t, files), "/usr/sbin/prog", "/etc/ld.so.conf", "/lib", "/usr/lib")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestClosure(t *testing.T) {
	t.Parallel()
	type obj = elfdeptest.Object
	need := func(names ...string) obj { return obj{Needed: names} }
	for name, c := range map[string]struct {
		objects map[string]obj
		text    map[string]string
		given   []string
		want    string // "path>dest", the module itself left out; > dest where it differs
		missing string
	}{
		"a loop ends": {
			objects: map[string]obj{triple + "m.so": need("a.so"), triple + "a.so": need("b.so", "m.so"), triple + "b.so": need("a.so", "b.so")},
			want:    "/lib/x86_64-linux-gnu/a.so>/" + triple + "a.so /lib/x86_64-linux-gnu/b.so>/" + triple + "b.so",
		},
		"what the process has is not followed": {
			objects: map[string]obj{triple + "m.so": need("libc.so.6", "a.so"), triple + "a.so": need("libc.so.6"), triple + "libc.so.6": need("ld.so")},
			given:   []string{"libc.so.6"},
			want:    "/lib/x86_64-linux-gnu/a.so>/" + triple + "a.so",
		},
		"the program's own loader is there": {
			objects: map[string]obj{triple + "m.so": need("ld-linux-x86-64.so.2"), triple + "ld-linux-x86-64.so.2": need()},
		},
		"a missing library is named and the others still come": {
			objects: map[string]obj{triple + "m.so": need("gone.so", "a.so"), triple + "a.so": need("gone.so", "lost.so")},
			want:    "/lib/x86_64-linux-gnu/a.so>/" + triple + "a.so",
			missing: "gone.so lost.so",
		},
		"a run path goes first and keeps its place": {
			objects: map[string]obj{
				triple + "m.so":         {Needed: []string{"a.so"}, RunPath: "/none:$ORIGIN/private"},
				triple + "private/a.so": need("b.so"), triple + "a.so": need(),
				triple + "b.so": need(),
				// the run path of m.so is not for what a.so needs
				triple + "private/b.so": need(),
			},
			want: "/lib/x86_64-linux-gnu/private/a.so>/" + triple + "private/a.so /lib/x86_64-linux-gnu/b.so>/" + triple + "b.so",
		},
		"the old rpath reaches the libraries below": {
			objects: map[string]obj{
				triple + "m.so": {Needed: []string{"a.so"}, RPath: "/opt/x"},
				"opt/x/a.so":    need("b.so"), "opt/x/b.so": need(), triple + "b.so": need(),
			},
			want: "/opt/x/a.so /opt/x/b.so",
		},
		"an rpath beside a runpath does not count": {
			objects: map[string]obj{
				triple + "m.so": {Needed: []string{"a.so"}, RPath: "/opt/x", RunPath: "/opt/y"},
				"opt/x/a.so":    need(), "opt/y/a.so": need(),
			},
			want: "/opt/y/a.so",
		},
		"an rpath above does not reach past a runpath": {
			objects: map[string]obj{
				triple + "m.so": {Needed: []string{"a.so"}, RPath: "/opt/x"},
				"opt/x/a.so":    {Needed: []string{"b.so"}, RunPath: "/opt/y"}, "opt/x/b.so": need(), triple + "b.so": need(),
			},
			want: "/opt/x/a.so /lib/x86_64-linux-gnu/b.so>/" + triple + "b.so",
		},
		"a library of ld.so.conf moves, for the new root has no cache": {
			objects: map[string]obj{triple + "m.so": need("a.so"), "srv/lib/a.so": {Needed: []string{"b.so"}, RunPath: "${ORIGIN}/sub"}, "srv/lib/sub/b.so": need()},
			text: map[string]string{
				"etc/ld.so.conf":               "# comment\ninclude /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\nhwcap 1 x\n",
				"etc/ld.so.conf.d/a.conf":      "/none, /srv/lib=libc6 # here\n",
				"etc/ld.so.conf.d/b.conf.dpkg": "/opt\n",
			},
			want: "/srv/lib/a.so>/" + triple + "a.so /srv/lib/sub/b.so>/" + triple + "sub/b.so",
		},
		"another machine's library and a linker script are passed over": {
			objects: map[string]obj{triple + "m.so": need("a.so", "b.so"), "srv/lib/a.so": {Machine: elf.EM_AARCH64}, triple + "a.so": need(), "srv/lib/b.so": {Machine: elf.EM_AARCH64}},
			text:    map[string]string{"etc/ld.so.conf": "/srv/lib\n/srv/text", "srv/text/a.so": "GROUP ( a.so )"},
			want:    "/lib/x86_64-linux-gnu/a.so>/" + triple + "a.so",
			missing: "b.so",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := loader(t, c.objects, c.text)
			m, err := l.Find("m.so")
			if err != nil {
				t.Fatal(err)
			}
			libs, missing, err := l.Closure(m, c.given...)
			if err != nil {
				t.Fatal(err)
			}
			if libs[0] != m || m.Dest != "/"+triple+"m.so" {
				t.Errorf("the closure begins with %+v, the module is %+v", libs[0], m)
			}
			var got []string
			for _, lib := range libs[1:] {
				if lib.Dest == lib.Path {
					got = append(got, lib.Path)
				} else {
					got = append(got, lib.Path+">"+lib.Dest)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if s := strings.Join(missing, " "); s != c.missing {
				t.Errorf("missing %q, want %q", s, c.missing)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	l := loader(t, nil, map[string]string{triple + "text.so": "no ELF", triple + "d.so/": ""})
	for _, name := range []string{"none.so", "text.so", "d.so"} {
		if _, err := l.Find(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	if _, err := l.Find("../x.so"); err == nil {
		t.Error("a path was taken for a name")
	}
	r := sysroottest.New(t, map[string]string{"prog": string(elfdeptest.Object{Machine: elf.EM_AVR}.Bytes()), "text": "#!/bin/sh"})
	for _, prog := range []string{"/prog", "/text", "/none"} {
		if _, err := elfdep.New(r, prog, "/etc/ld.so.conf", "/lib"); err == nil {
			t.Errorf("%s: no error", prog)
		}
	}
}

// TestAgainstLdd compares with the real loader, on libraries of this machine.
func TestAgainstLdd(t *testing.T) {
	t.Parallel()
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Skip("this machine has no ldd to compare with")
	}
	r, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	l, err := elfdep.New(r, "/bin/sh", "/etc/ld.so.conf", "/lib", "/usr/lib")
	if err != nil {
		t.Skipf("this machine's shell is not of a known kind: %v", err)
	}
	line := regexp.MustCompile(`(?m)^\t(\S+) => (\S+) `)
	compared := 0
	for _, pattern := range []string{"libnss_*.so.2", "libcurl*.so.4", "libssl.so.*", "libgnutls.so.30", "libsystemd.so.0", "libkrb5.so.3"} {
		names, _ := filepath.Glob(filepath.Join(l.Home(), pattern))
		for _, name := range names {
			out, err := exec.Command(ldd, name).Output()
			if err != nil {
				t.Fatalf("ldd %s: %v", name, err)
			}
			var want, got []string
			for _, m := range line.FindAllStringSubmatch(string(out), -1) {
				want = append(want, real(t, m[2]))
			}
			m, err := l.Find(filepath.Base(name))
			if err != nil {
				t.Fatal(err)
			}
			libs, missing, err := l.Closure(m)
			if err != nil || len(missing) > 0 {
				t.Fatalf("%s: %v, missing %v", name, err, missing)
			}
			for _, lib := range libs[1:] {
				if !strings.HasPrefix(lib.Name, "ld-linux") { // ldd has no arrow for it
					got = append(got, real(t, lib.Path))
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s:\ngot  %v\nwant %v", name, got, want)
			}
			compared++
		}
	}
	if compared == 0 {
		t.Skip("this machine has none of the libraries")
	}
	t.Logf("%d libraries compared", compared)
}

func real(t *testing.T, p string) string {
	t.Helper()
	p, err := filepath.EvalSymlinks(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzObject shows that no program, library or ld.so.conf ends in a panic, and that nothing is found outside of the tree's directories.
func FuzzObject(f *testing.F) {
	f.Add(elfdeptest.Object{Needed: []string{"a.so"}}.Bytes(), []byte("/opt/lib\ninclude /etc/ld.so.conf.d/*\n"))
	f.Add(elfdeptest.Object{Interp: "/lib64/ld-linux-x86-64.so.2"}.Bytes(), []byte("include /etc/ld.so.conf\n"))
	f.Fuzz(func(t *testing.T, object, conf []byte) {
		root := sysroottest.New(t, map[string]string{"lib": "-> usr/lib", "etc/ld.so.conf": "x" + string(conf), "usr/sbin/prog": "x" + string(object), triple + "a.so": "x" + string(object)})
		for name, text := range map[string][]byte{"etc/ld.so.conf": conf, "usr/sbin/prog": object, triple + "a.so": object} {
			if err := os.WriteFile(filepath.Join(root.Dir(), name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := elfdep.New(root, "/usr/sbin/prog", "/etc/ld.so.conf", "/lib", "/usr/lib")
		if err != nil {
			return
		}
		if lib, err := l.Find("a.so"); err == nil {
			_, _, _ = l.Closure(lib)
		}
	})
}
