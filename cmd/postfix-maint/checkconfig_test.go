package main

import (
	"bytes"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot/sysroottest"
)

func TestCheckConfig(t *testing.T) {
	const main = "# mine\ncompatibility_level = 3.6\nalias_maps =\nmulti_instance_directories = /etc/postfix-out\nmilter_protocol = 2 \n"
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":     main,
		"etc/postfix/master.cf":   "smtp inet n - y - - smtpd\n",
		"etc/postfix-out/main.cf": "compatibility_level = 3.6\nalias_maps =\nmulti_instance_name = out\nsmtpd_use_tls = yes\n",
		"run/":                    "",
	})
	found, warnings := checkConfigs(root)
	if len(warnings) > 0 || len(found) != 2 || found[0].Path != "/etc/postfix/main.cf" || found[0].Line != 5 || found[1].Instance != "out" {
		t.Fatalf("notes %+v, warnings %q", found, warnings)
	}
	var out, errs bytes.Buffer
	if err := fixConfig(root, []string{"milter-protocol"}, true, &out, &errs); err != nil {
		t.Fatal(err)
	}
	if data, _ := root.ReadFile("/etc/postfix/main.cf"); string(data) != main || !strings.Contains(out.String(), "-milter_protocol") {
		t.Errorf("a dry run wrote %q and said %q", data, out.String())
	}
	if err := fixConfig(root, []string{"milter-protocol"}, false, &out, &errs); err != nil {
		t.Fatal(err)
	}
	if data, _ := root.ReadFile("/etc/postfix/main.cf"); string(data) != strings.Replace(main, "milter_protocol = 2 \n", "", 1) {
		t.Errorf("the edit made it %q", data)
	}
	if found, _ := checkConfigs(root); len(found) != 1 || found[0].Name != "smtpd-tls-level" {
		t.Errorf("afterwards: %+v", found)
	}
	if err := fixConfig(root, []string{"milter-protocol"}, false, &out, &errs); err == nil {
		t.Error("an edit that nobody needs is no error")
	}
}
