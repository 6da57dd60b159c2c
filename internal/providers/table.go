package providers

// All are the rows, in the order in which they are offered.
var All = []Provider{
	{
		Name: "google", Title: "Gmail and Google Workspace", Relay: "[smtp.gmail.com]:587", Logins: []string{"PLAIN", "XOAUTH2", "OAUTHBEARER"},
		OAuth: &OAuth{
			AuthURL: "https://accounts.google.com/o/oauth2/v2/auth", TokenURL: "https://oauth2.googleapis.com/token",
			Scopes: []string{"https://mail.google.com/"}, Flows: []string{"browser", "service-account"},
		},
		Source: "https://developers.google.com/workspace/gmail/imap/xoauth2-protocol", Checked: "2026-11-30",
	},
	{
		Name: "microsoft", Title: "Microsoft 365", Relay: "[smtp.office365.com]:587", Logins: []string{"XOAUTH2"},
		OAuth: &OAuth{
			AuthURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize", TokenURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
			DeviceURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode", Tenant: "organizations",
			Scopes:       []string{"https://outlook.office.com/SMTP.Send", "offline_access"},
			ClientScopes: []string{"https://outlook.office365.com/.default"},
			Flows:        []string{"device", "browser", "client-credentials"},
		},
		Source: "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth", Checked: "2026-11-30",
	},
}
