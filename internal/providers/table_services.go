package providers

// hosters have mailboxes with domains.
var hosters = []Provider{
	{
		Name: "gandi", Title: "Gandi", Relay: "[mail.gandi.net]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"the account is the whole address of the mailbox"},
		Source: "https://oldwiki.gandi.net/en/mail/standard-settings.html",
	},
	{
		Name: "hetzner", Title: "Hetzner (web hosting)", Relay: "[mail.your-server.de]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"the account is the whole address of the mailbox"},
		Source: ispdb + "hetzner.de.xml",
	},
	{
		Name: "infomaniak", Title: "Infomaniak", Relay: "[mail.infomaniak.com]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"at most 1440 messages a day, 100 with the smallest offers"},
		Source: "https://www.infomaniak.com/en/support/faq/admin2/email-service", Checked: checked,
	},
	{
		Name: "ionos", Aliases: []string{"1und1"}, Title: "IONOS", Relay: "[smtp.ionos.{region}]:465", Regions: same("com", "de", "co.uk", "es", "fr", "it"), Wrapper: true, Logins: plain,
		Notes:  []string{"the region is the end of the IONOS address where the contract was made", "the sender has to be in a domain of the contract"},
		Source: "https://www.ionos.co.uk/help/email/glossary-email-terms-explained/outgoing-mail-server/",
	},
	{
		Name: "ovh", Aliases: []string{"ovhcloud"}, Title: "OVHcloud (MX Plan)", Relay: "[ssl0.ovh.net]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"the account is the whole address of the mailbox", "Exchange and Email Pro have servers of their own: --relay with the name from the control panel"},
		Source: "http://gids.ovh.nl/EmailSmtpPop3Imap",
	},
	{
		Name: "strato", Title: "STRATO", Relay: "[smtp.strato.de]:465", Wrapper: true, Logins: plain,
		Notes:  []string{"the account is the whole address of the mailbox"},
		Source: ispdb + "strato.de.xml",
	},
}

const verified = "the sender, or its domain, has to be verified with the provider first"

// senders are services for the mail of programs.
var senders = []Provider{
	{
		Name: "amazon-ses", Aliases: []string{"aws", "ses"}, Title: "Amazon SES", Relay: "[email-smtp.{region}.amazonaws.com]:587", Logins: plain,
		// The page leaves the regions to AWS's General Reference, which could not be read: --relay takes any other.
		Regions: same("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
			"eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-south-1", "af-south-1", "me-south-1", "il-central-1",
			"ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
		Notes: []string{
			"account and password are SMTP credentials, made in the SES console for this one region: no access key, no login of AWS",
			verified + "; while the account is in the sandbox, the recipients as well",
		},
		Source: "https://docs.aws.amazon.com/ses/latest/DeveloperGuide/smtp-connect.html", Checked: checked,
	},
	{
		Name: "brevo", Aliases: []string{"sendinblue"}, Title: "Brevo", Relay: "[smtp-relay.brevo.com]:587", Logins: plain,
		Notes:  []string{"account and password are the SMTP login and an SMTP key from \"SMTP & API\": no API key", verified},
		Source: "https://developers.brevo.com/docs/smtp-integration",
	},
	{
		Name: "mailgun", Title: "Mailgun", Relay: "[smtp.{region}mailgun.org]:587", Regions: []Region{{"us", ""}, {"eu", "eu."}}, Logins: plain,
		Notes: []string{
			"account and password are SMTP credentials of the sending domain, such as postmaster@mg.example.com: no API key",
			"the region is the one that the domain was made in",
		},
		Source: "https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/standard-email-clients",
	},
	{
		Name: "mailjet", Title: "Mailjet", Relay: "[in-v3.mailjet.com]:587", Logins: plain,
		Notes:  []string{"the account is the API key, the password the secret key", verified},
		Source: "https://documentation.mailjet.com/hc/en-us/articles/360043225693-What-is-an-API-key",
	},
	{
		Name: "postmark", Title: "Postmark", Relay: "[smtp.postmarkapp.com]:587", Logins: []string{"PLAIN", "LOGIN", "CRAM-MD5"},
		Notes:  []string{"account and password are both the server's API token, or access key and secret key of an SMTP token", verified},
		Source: "https://postmarkapp.com/developer/user-guide/send-email-with-smtp", Checked: checked,
	},
	{
		Name: "sendgrid", Aliases: []string{"twilio"}, Title: "SendGrid", Relay: "[smtp.sendgrid.net]:587", Logins: plain,
		Notes:  []string{"the account is the word apikey, the password an API key that may send mail", verified},
		Source: "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api", Checked: checked,
	},
	{
		Name: "smtp2go", Title: "SMTP2GO", Relay: "[mail{region}.smtp2go.com]:587", Regions: []Region{{"any", ""}, {"us", "-us"}, {"eu", "-eu"}, {"au", "-au"}}, Logins: plain,
		Notes:  []string{"account and password are those of an SMTP user, made under Sending", verified},
		Source: "https://developers.smtp2go.com/docs/smtp-relay", Checked: checked,
	},
	{
		Name: "sparkpost", Aliases: []string{"bird"}, Title: "SparkPost", Relay: "[smtp.{region}sparkpostmail.com]:587", Regions: []Region{{"us", ""}, {"eu", "eu."}}, Logins: []string{"LOGIN"},
		Notes:  []string{"the account is the word SMTP_Injection, the password an API key with the permission \"Send via SMTP\"", verified},
		Source: "https://developers.sparkpost.com/api/smtp", Checked: checked,
	},
}
