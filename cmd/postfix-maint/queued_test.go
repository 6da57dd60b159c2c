package main

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot/sysroottest"
)

func TestARemovalTellsOfQueuedMail(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"none": {files: map[string]string{"etc/postfix/main.cf": "", "var/spool/postfix/deferred/A/": "", "var/spool/postfix/defer/A/AB": ""}},
		"some": {
			files: map[string]string{"etc/postfix/main.cf": "", "var/spool/postfix/deferred/A/AB": "", "var/spool/postfix/maildrop/C": "", "var/spool/postfix/defer/A/AB": ""},
			want:  []string{"/var/spool/postfix, which stays and is delivered when Postfix is back (messages: 2)"},
		},
		"of two instances": {
			files: map[string]string{
				"etc/postfix/main.cf": "queue_directory = /srv/q\nmulti_instance_directories = /etc/postfix-out\nmulti_instance_enable = yes\n", "srv/q/hold/A": "",
				"etc/postfix-out/main.cf": "queue_directory = /srv/out\ndata_directory = /srv/data\nmulti_instance_name = postfix-out\n", "srv/out/active/B": "", "srv/out/active/C": "",
			},
			want: []string{"/srv/q,", "(messages: 1)", "/srv/out,", "(messages: 2)"},
		},
		"without a configuration": {files: map[string]string{"var/spool/postfix/incoming/A": ""}, want: []string{"(messages: 1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := strings.Join(queued(context.Background(), sysroottest.New(t, c.files)), "\n")
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not said in %q", want, said)
				}
			}
			if len(c.want) == 0 && said != "" {
				t.Errorf("it says %q", said)
			}
		})
	}
}
