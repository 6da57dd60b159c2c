package setup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
)

// A queue that was given to postfix (chown -R): whoever has that account may put a link in it between the plan and its application.
func TestALinkInTheQueueMakesNoDirectoryElsewhereNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for name, target := range map[string]string{"to nothing": "/etc/made.service.d", "to a directory": "/etc/postfix"} {
		t.Run(name, func(t *testing.T) {
			root := host(t, nil)
			given := map[answers.Question]string{answers.MailerType: "Internet Site"}
			apply(t, root, given)
			queue := filepath.Join(root.Dir(), "var/spool/postfix")
			for _, err := range []error{os.Chown(queue, mailUID, mailUID), os.Remove(queue + "/active"), os.Remove(queue + "/bounce")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			p := plan(t, root, given)
			if err := os.Symlink(target, queue+"/active"); err != nil {
				t.Fatal(err)
			}
			if err := p.Apply(context.Background(), func(setup.Change) {}, settled); err != nil {
				t.Fatal(err)
			}
			if ok, err := root.Exists("/etc/made.service.d"); ok || err != nil {
				t.Errorf("a directory was made behind the link: %v", err)
			}
			if uid := owner(t, filepath.Join(root.Dir(), "etc/postfix")); uid != os.Geteuid() {
				t.Errorf("/etc/postfix was given to %d", uid)
			}
			if uid := owner(t, queue+"/bounce"); uid != mailUID {
				t.Errorf("the directory beside it is owned by %d", uid)
			}
		})
	}
}

func TestTheUsualQueueOutOfRootsReachIsNotMadeReadyNeedsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root := host(t, nil)
	if err := os.Chown(filepath.Join(root.Dir(), "var/spool"), mailUID, mailUID); err != nil {
		t.Fatal(err)
	}
	_, warnings := apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site"})
	if said := strings.Join(warnings, "\n"); !strings.Contains(said, "queue_directory = /var/spool/postfix is not made ready") {
		t.Errorf("warnings %q", said)
	}
	if ok, _ := root.Exists("/var/spool/postfix/active"); ok {
		t.Error("it was made ready")
	}
}
