package chroot

import (
	"fmt"
	"testing"
	"time"

	"postfix-maint/internal/instance"
)

// TestPlansOfOneRunShareTheirLooks shows that the second instance costs no look at libraries and certificates, and that a file which changes
// behind the look is copied as it is then: neither is its new content missed by the next run, nor is it copied a second time.
func TestPlansOfOneRunShareTheirLooks(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level = 3.6\nmyhostname = a.example\nsmtp_tls_CApath = /etc/ssl/certs\nmulti_instance_directories = /etc/postfix-b\n",
		"etc/postfix-b/main.cf": "compatibility_level = 3.6\nmyhostname = b.example\nsmtp_tls_CApath = /etc/ssl/certs\n" +
			"queue_directory = /var/spool/b\nmulti_instance_name = b\n",
		"etc/postfix-b/master.cf": chrooted, "var/spool/b/pid/": "",
		"etc/ssl/certs/00000001.0": pemCA,
	})
	insts, errs := instance.List(root)
	if len(insts) != 2 || errs != nil {
		t.Fatal(insts, errs)
	}
	run := func(between func()) (changed []string) {
		deps := Deps{Root: root, Instances: insts, Shared: &Shared{}}
		var first *Plan
		for _, inst := range insts {
			p, err := NewPlan(deps, inst)
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Apply()
			if err != nil {
				t.Fatal(err)
			}
			if changed = r.Changed; first == nil {
				first = p
				between()
			}
			if p.loader != first.loader || len(p.Entries) != len(first.Entries) {
				t.Errorf("instance %s: worked out anew, or differently: %d files and %d", inst.Name, len(p.Entries), len(first.Entries))
			}
		}
		return changed
	}
	time.Sleep(60 * time.Millisecond) // what is younger than that when it is copied is read again each time
	run(func() {})
	want(t, "changed", run(func() { put(t, root, "etc/ssl/certs/00000002.0", pemCA) }), nil) // after the look, so the next run's
	want(t, "changed", run(func() { put(t, root, "etc/hosts", "127.0.0.1 later\n") }), []string{"etc/ssl/certs/00000002.0"})
	want(t, "changed", run(func() {}), []string{"etc/hosts"})
	if got := get(t, root, "var/spool/b/etc/hosts"); got != "127.0.0.1 later\n" {
		t.Errorf("the copy holds %q", got)
	}
	put(t, root, "etc/services", "smtp 26/tcp\n")
	want(t, "changed", run(func() { put(t, root, "etc/services", "smtp 27/tcp\n") }), []string{"etc/services"})
	if got := get(t, root, "var/spool/b/etc/services"); got != "smtp 27/tcp\n" {
		t.Errorf("the copy holds %q", got)
	}
}

// TestInstancesAtOnce has many instances worked on at a time, with what they share; under -race it says more.
func TestInstancesAtOnce(t *testing.T) {
	t.Parallel()
	files := map[string]string{"etc/ssl/certs/00000001.0": pemCA}
	dirs := ""
	for n := range 2 * together {
		name := fmt.Sprintf("b%d", n)
		dirs += " /etc/" + name
		files["etc/"+name+"/main.cf"] = "compatibility_level = 3.6\nmyhostname = b.example\nsmtp_tls_CApath = /etc/ssl/certs\n" +
			"queue_directory = /var/spool/" + name + "\nmulti_instance_name = " + name + "\n"
		files["etc/"+name+"/master.cf"], files["var/spool/"+name+"/pid/"] = chrooted, ""
	}
	files["etc/postfix/main.cf"] = "compatibility_level = 3.6\nmyhostname = a.example\nmulti_instance_directories =" + dirs + "\n"
	root := host(t, files)
	insts, errs := instance.List(root)
	if len(insts) != 2*together+1 || errs != nil {
		t.Fatal(insts, errs)
	}
	run := func(wanted int) {
		deps := Deps{Root: root, Instances: insts, Shared: &Shared{}}
		results, errs := make([]Result, len(insts)), make([]error, len(insts))
		deps.Shared.Together(len(insts), func(n int) {
			p, err := NewPlan(deps, insts[n])
			if err == nil {
				results[n], err = p.Apply()
			}
			errs[n] = err
		}, func(n int) {
			want := wanted
			if wanted > 1 && insts[n].IsPrimary() {
				want-- // it has no directory of certificates
			}
			if errs[n] != nil || len(results[n].Changed) != want {
				t.Errorf("%s: changed %q, %v", insts[n].Name, results[n].Changed, errs[n])
			}
		})
	}
	run(len(standard) + 1)
	put(t, root, "etc/hosts", "127.0.0.1 later\n")
	run(1)
	run(0)
	for _, inst := range insts {
		if got := get(t, root, inst.QueueDir+"/etc/hosts"); got != "127.0.0.1 later\n" {
			t.Errorf("%s holds %q", inst.QueueDir, got)
		}
	}
}
