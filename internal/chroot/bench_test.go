package chroot

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkNothingToDo is a start of Debian 12's default configuration, which has a directory of certificates, with
// nothing to do.
func BenchmarkNothingToDo(b *testing.B) {
	files := map[string]string{"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n"}
	for n := range 150 {
		files[fmt.Sprintf("etc/ssl/certs/%08x.0", n)] = fmt.Sprintf("-> ca%d.pem", n)
		files[fmt.Sprintf("etc/ssl/certs/ca%d.pem", n)] = pemCA
	}
	root := host(b, files)
	apply(b, root)
	time.Sleep(100 * time.Millisecond) // until the files are no longer fresh
	put(b, root, queueDir+"/etc/hosts", "x")
	apply(b, root)
	for b.Loop() {
		if r := apply(b, root); r.Changed != nil {
			b.Fatal(r)
		}
	}
}
