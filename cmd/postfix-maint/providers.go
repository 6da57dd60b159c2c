package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/providers"
	"postfix-maint/internal/smarthost"
)

func providerFlags() flags {
	return flags{
		&cli.StringFlag{Name: "provider", Usage: "relay, port and TLS of `PROVIDER`, such as fastmail; \"postfix-maint smarthost providers\" lists them"},
		&cli.StringFlag{Name: "region", Usage: "the provider's `REGION`, where it has several"},
	}
}

// findProvider gives the row of a name, and says what may have been meant by another.
func findProvider(name string) (providers.Provider, error) {
	p, ok := providers.Find(strings.ToLower(name))
	if !ok {
		return p, fmt.Errorf("%q is no provider: \"postfix-maint smarthost providers\" lists them, any other relay is --relay '[HOST]:PORT'%s",
			name, meant(name, "", providerWords()))
	}
	return p, nil
}

// providerWords are all names that a provider has.
func providerWords() (all []string) {
	for _, p := range providers.All {
		all = append(append(all, p.Name), p.Aliases...)
	}
	return all
}

// checkProvider refuses what is no provider, or one that takes no password.
func checkProvider(c *call) error {
	name := c.String("provider")
	if !c.IsSet("provider") {
		if c.IsSet("region") {
			return refuse("--region is a region of a provider: name that with --provider")
		}
		return nil
	}
	p, err := findProvider(name)
	switch {
	case err != nil:
		return refuse("--provider: %w", err)
	case !p.Passwords():
		return refuse("--provider: %s takes no password from programs: use \"postfix-maint smarthost login --provider %s\"", p.Title, p.Name)
	}
	if _, err := (smarthost.Options{}).At(p, c.String("region"), c.String("relay")); err != nil {
		return refuse("--provider %s: %w", name, err)
	}
	return nil
}

// relayOptions are those of the last set, with the relay that is named now.
func relayOptions(c *call, was smarthost.Options) (o smarthost.Options, err error) {
	o = was
	switch {
	case c.IsSet("provider"):
		p, err := findProvider(c.String("provider"))
		if err != nil {
			return o, err
		}
		if o, err = o.At(p, c.String("region"), c.String("relay")); err != nil {
			return o, err
		}
	case c.IsSet("relay"):
		o = o.To(c.String("relay"))
	}
	if o.User != was.User && !c.IsSet("user") {
		return o, fmt.Errorf("the login %s belongs to the relay %s: say with --user and a password who logs in at %s, or with --user none that nobody does",
			was.User, was.Relay, o.Relay)
	}
	return o, nil
}

// providerNotes are what is to be known of the provider that a call names.
func providerNotes(c *call) []string {
	p, ok := providers.Find(strings.ToLower(c.String("provider")))
	if !ok {
		return nil
	}
	notes := slices.Clone(p.Notes)
	if names := p.RegionNames(); len(names) > 0 && !c.IsSet("region") && !c.IsSet("relay") {
		notes = append(notes, fmt.Sprintf("the region is taken to be %s: --region names another (%s)", names[0], strings.Join(names, ", ")))
	}
	for i, note := range notes {
		notes[i] = p.Title + ": " + note
	}
	return notes
}

// providerList is what "smarthost providers" shows.
type providerList struct {
	Providers []providerShown `json:"providers"`
	one       bool            // only one was asked for
}

// providerShown is one of them.
type providerShown struct {
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases,omitempty"`
	Title       string   `json:"title"`
	Relay       string   `json:"relay"` // of the first region
	Wrapper     bool     `json:"wrapper"`
	Logins      []string `json:"logins"`
	Password    bool     `json:"password"` // takes one; else "smarthost login"
	OAuth       bool     `json:"oauth"`    // "smarthost login" knows it
	Regions     []string `json:"regions,omitempty"`
	Delay       string   `json:"rate_delay,omitempty"`
	Concurrency string   `json:"concurrency_limit,omitempty"`
	Notes       []string `json:"notes"`
	Source      string   `json:"source"`
	Checked     string   `json:"checked,omitempty"` // "": the provider's own page could not be read
}

func providerOperand(_ context.Context, c *call) error {
	if name := c.Args().First(); name != "" {
		if _, err := findProvider(name); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func listProviders(_ context.Context, c *call) (*providerList, error) {
	rows, list := providers.All, providerList{}
	if name := c.Args().First(); name != "" {
		p, err := findProvider(name)
		if err != nil {
			return nil, err
		}
		rows, list.one = []providers.Provider{p}, true
	}
	for _, p := range rows {
		list.Providers = append(list.Providers, providerShown{
			Name: p.Name, Aliases: p.Aliases, Title: p.Title, Relay: p.Relays()[0], Wrapper: p.Wrapper, Logins: p.Logins, Password: p.Passwords(),
			OAuth: p.OAuth != nil, Regions: p.RegionNames(), Delay: p.Delay, Concurrency: p.Concurrency, Notes: p.Notes, Source: p.Source, Checked: p.Checked,
		})
	}
	return &list, nil
}

// login says how one logs in.
func (p providerShown) login() string {
	switch {
	case p.Password && p.OAuth:
		return "password or OAuth"
	case p.Password:
		return "password"
	}
	return "OAuth"
}

func printProviders(c *call, list *providerList) error {
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	if list.one {
		printProvider(w, list.Providers[0])
		return w.Flush()
	}
	fmt.Fprintln(w, "NAME\tPROVIDER\tRELAY\tLOGIN")
	for _, p := range list.Providers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, p.Title, p.Relay, p.login())
	}
	return w.Flush()
}

func printProvider(w *tabwriter.Writer, p providerShown) {
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "%s:\t%s\n", what, text)
		}
	}
	line("provider", fmt.Sprintf("%s (--provider %s)", p.Title, p.Name))
	line("relay", p.Relay+map[bool]string{true: ", TLS from the first byte", false: ", STARTTLS"}[p.Wrapper])
	line("regions", strings.Join(p.Regions, ", "))
	line("login", fmt.Sprintf("%s (%s)", p.login(), strings.Join(p.Logins, ", ")))
	line("delay", p.Delay)
	line("connections", p.Concurrency)
	for _, note := range p.Notes {
		line("to know", note)
	}
	line("source", p.Source+map[bool]string{true: "; the provider's own page could not be read", false: ""}[p.Checked == ""])
	line("read on", p.Checked)
}

// completeRegion is what --region can be behind what was typed so far.
func completeRegion(before []string) (all []item) {
	for i, word := range before {
		name, given := strings.CutPrefix(word, "--provider=")
		if word == "--provider" && i+1 < len(before) {
			name, given = before[i+1], true
		}
		if p, ok := providers.Find(name); ok && given {
			for _, region := range p.RegionNames() {
				all = append(all, item{name: region})
			}
		}
	}
	return all
}

// completeProvider is what stands for a provider.
func completeProvider() (all []item) {
	for _, p := range providers.All {
		all = append(all, item{p.Name, p.Title})
	}
	return all
}
