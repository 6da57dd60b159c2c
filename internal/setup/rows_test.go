package setup_test

import (
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
)

// A row of the table of questions is enough for an answer to get into main.cf and to be read from there.
func TestARowOfTheTableIsEnough(t *testing.T) {
	t.Parallel()
	for _, r := range answers.Rows() {
		if r.Param == "" {
			continue
		}
		t.Run(string(r.Question), func(t *testing.T) {
			t.Parallel()
			root := host(t, nil)
			sameAs := func(when, want string) {
				t.Helper()
				live, err := setup.Live(root)
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := live[r.Question]; !ok || got != want {
					t.Errorf("%s: %q is in force, want %q", when, got, want)
				}
			}
			given := answers.Default(r.Question, answers.Facts{FQDN: "a.example", Domain: "example"}, nil)
			apply(t, root, map[answers.Question]string{answers.MailerType: "Internet Site", r.Question: given})
			sameAs("after the first configuration", given)
			other, ok := map[string]string{"0": "30000000", "all": "ipv4", "+": "-", "": "[r.example]"}[given]
			if !ok { // a list
				other = given + " /etc/more"
			}
			apply(t, root, map[answers.Question]string{r.Question: other})
			sameAs("after another answer", other)
			put(t, root, "/etc/postfix/main.cf", "biff = no\n")
			sameAs("without the parameter", r.Unset)
		})
	}
}
