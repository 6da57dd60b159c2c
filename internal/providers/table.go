package providers

import (
	"slices"
	"strings"
)

// All are the rows, in the order in which they are offered: by name.
var All = sorted(slices.Concat(mailboxes, hosters, senders))

func sorted(rows []Provider) []Provider {
	slices.SortFunc(rows, func(a, b Provider) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

// What several rows have.
var (
	plain = []string{"PLAIN", "LOGIN"}
	own   = "the sender has to be the account's address or one of its aliases"
)

// appPassword is the note of those that take no other password from a program.
func appPassword(where string) string {
	return "the password of the account itself is not taken: make an app password in " + where
}

const (
	checked = "2026-11-30"
	ispdb   = "https://github.com/thunderbird/autoconfig/blob/master/ispdb/" // Thunderbird's list, where the provider's page could not be read
)

// mailboxes are for people.
var mailboxes = []Provider{
	{
		Name: "fastmail", Title: "Fastmail", Relay: "[smtp.fastmail.com]:465", Wrapper: true, Logins: []string{"PLAIN"},
		Notes:  []string{appPassword("Settings, Privacy & Security")},
		Source: "https://www.fastmail.com/help/technical/servernamesandports.html", Checked: checked,
	},
	{
		Name: "gmx", Title: "GMX", Relay: "[mail.gmx.{region}]:465", Regions: same("net", "com"), Wrapper: true, Logins: plain,
		Notes: []string{
			"access by POP3 and IMAP has to be allowed once in the settings of the mailbox; with two-factor login the password is one made for programs", own,
		},
		Source: ispdb + "gmx.net.xml",
	},
	{
		Name: "google", Aliases: []string{"gmail"}, Title: "Gmail and Google Workspace", Relay: "[smtp.gmail.com]:587", Logins: []string{"PLAIN", "XOAUTH2", "OAUTHBEARER"},
		OAuth: &OAuth{
			AuthURL: "https://accounts.google.com/o/oauth2/v2/auth", TokenURL: "https://oauth2.googleapis.com/token",
			Scopes: []string{"https://mail.google.com/"}, Flows: []string{"browser", "service-account"},
		},
		Notes: []string{
			appPassword("the Google account (it needs two-step verification), or log in with \"postfix-maint smarthost login --provider google\""),
			"another sender than the account's own address is replaced by it, unless Gmail knows it under \"Send mail as\"",
		},
		Source: "https://developers.google.com/workspace/gmail/imap/xoauth2-protocol", Checked: checked,
	},
	{
		Name: "google-relay", Aliases: []string{"workspace-relay"}, Title: "Google Workspace SMTP relay", Relay: "[smtp-relay.gmail.com]:587", Logins: []string{"PLAIN"},
		Notes: []string{
			"an administrator of the Workspace has to allow this host in the SMTP relay service: by its address (then without --user), or by login with an app password",
			"Google takes at most 10000 messages a day for one user",
		},
		Source: "https://support.google.com/a/answer/2956491", Checked: checked,
	},
	{
		Name: "icloud", Title: "iCloud Mail", Relay: "[smtp.mail.me.com]:587", Logins: plain,
		Notes:  []string{appPassword("the Apple account (\"app-specific password\")"), own},
		Source: ispdb + "me.com.xml",
	},
	{
		Name: "mailbox-org", Aliases: []string{"mailbox.org"}, Title: "mailbox.org", Relay: "[smtp.mailbox.org]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"with two-factor login the password is an application password from Settings, Security"},
		Source: "https://kb.mailbox.org/en/private/e-mail/e-mail-configuration", Checked: checked,
	},
	{
		Name: "microsoft", Aliases: []string{"microsoft365", "office365"}, Title: "Microsoft 365", Relay: "[smtp.office365.com]:587", Logins: []string{"XOAUTH2"},
		OAuth: &OAuth{
			AuthURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize", TokenURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
			DeviceURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode", Tenant: "organizations",
			Scopes:       []string{"https://outlook.office.com/SMTP.Send", "offline_access"},
			ClientScopes: []string{"https://outlook.office365.com/.default"},
			Flows:        []string{"device", "browser", "client-credentials"},
		},
		Concurrency: "3", // more connections of one mailbox are refused with 432 4.3.2 (learn.microsoft.com, smtp-submission-improvements)
		Notes: []string{
			"SMTP AUTH has to be allowed for the mailbox (Exchange admin center)",
			"Microsoft takes 30 messages a minute and 10000 recipients a day from one mailbox, on three connections",
		},
		Source: "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth", Checked: checked,
	},
	{
		Name: "outlook", Aliases: []string{"hotmail", "outlook.com"}, Title: "Outlook.com", Relay: "[smtp-mail.outlook.com]:587", Logins: []string{"XOAUTH2"},
		OAuth: &OAuth{
			AuthURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize", TokenURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
			DeviceURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode", Tenant: "consumers",
			Scopes: []string{"https://outlook.office.com/SMTP.Send", "offline_access"},
			Flows:  []string{"device", "browser"},
		},
		Notes:  []string{"for personal accounts; those of a company are Microsoft 365: --provider microsoft"},
		Source: "https://support.microsoft.com/en-us/office/pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353", Checked: checked,
	},
	{
		Name: "posteo", Title: "Posteo", Relay: "[posteo.de]:465", Wrapper: true, Logins: plain,
		Notes:  []string{own},
		Source: ispdb + "posteo.de.xml",
	},
	{
		Name: "proton", Aliases: []string{"protonmail"}, Title: "Proton Mail", Relay: "[smtp.protonmail.ch]:587", Logins: plain,
		Notes: []string{
			"needs an address in a domain of your own: the account is that address, the password an SMTP token from Settings, IMAP/SMTP",
			"for other plans there is Proton Mail Bridge on this host: --relay '[127.0.0.1]:1025' with --ca-file for the certificate that it exports",
		},
		Source: "https://proton.me/support/smtp-submission",
	},
	{
		Name: "web-de", Aliases: []string{"web.de"}, Title: "WEB.DE", Relay: "[smtp.web.de]:587", Logins: plain,
		Notes: []string{
			"access by POP3 and IMAP has to be allowed once in the settings of the mailbox; with two-factor login the password is one made for programs", own,
		},
		Source: ispdb + "web.de.xml",
	},
	{
		Name: "yahoo", Title: "Yahoo Mail", Relay: "[smtp.mail.yahoo.com]:465", Wrapper: true, Logins: plain,
		Notes:  []string{appPassword("Account Security of the Yahoo account"), own},
		Source: ispdb + "yahoo.com.xml",
	},
	{
		Name: "zoho", Title: "Zoho Mail", Relay: "[{region}]:465", Wrapper: true, Logins: plain,
		Regions: []Region{
			{"us", "smtp.zoho.com"}, {"eu", "smtp.zoho.eu"}, {"in", "smtp.zoho.in"}, {"au", "smtp.zoho.com.au"}, {"jp", "smtp.zoho.jp"},
			{"us-pro", "smtppro.zoho.com"}, {"eu-pro", "smtppro.zoho.eu"}, {"in-pro", "smtppro.zoho.in"},
		},
		Notes: []string{
			"the region is where the account was made (mail.zoho.eu: eu); paid organizations with a domain of their own take us-pro, eu-pro or in-pro",
			"with two-factor login the password is an application-specific one", own,
		},
		Source: ispdb + "zoho.com.xml",
	},
}

// same are regions whose names stand in the relay as they are.
func same(names ...string) (all []Region) {
	for _, name := range names {
		all = append(all, Region{name, name})
	}
	return all
}
