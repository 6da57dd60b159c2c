package status

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/sysroot"
)

// TLS is what servers offer to clients.
type TLS struct {
	Level string    `json:"level"` // "" for none
	Ends  time.Time `json:"ends,omitzero"`
	File  string    `json:"file"` // the certificate that ends first, or with no end one that may not be read
}

// maxCertificate bounds what is read of a file with certificates.
const maxCertificate = 1 << 20

// readTLS reads an instance's certificates: value gives its parameters.
func readTLS(root *sysroot.Root, value func(string) string) (TLS, error) {
	t := TLS{Level: strings.ToLower(value("smtpd_tls_security_level"))}
	if t.Level == "" {
		for _, old := range []struct{ name, level string }{{"smtpd_use_tls", "may"}, {"smtpd_enforce_tls", "encrypt"}} { // before Postfix 2.3
			if strings.EqualFold(value(old.name), "yes") {
				t.Level = old.level
			}
		}
	}
	if t.Level == "" || t.Level == "none" {
		t.Level = ""
		return t, nil
	}
	files := maincf.SplitList(value("smtpd_tls_chain_files"))
	if len(files) == 0 {
		files = []string{value("smtpd_tls_cert_file"), value("smtpd_tls_eccert_file"), value("smtpd_tls_dcert_file")}
	}
	var failed error
	var hidden string
	for _, name := range files {
		if !path.IsAbs(name) {
			continue
		}
		ends, err := certificateEnds(root, name)
		switch {
		case err != nil:
			if failed = errors.Join(failed, err); errors.Is(err, fs.ErrPermission) {
				hidden = cmp.Or(hidden, name)
			}
		case t.Ends.IsZero() || ends.Before(t.Ends):
			t.Ends, t.File = ends, name
		}
	}
	t.File = cmp.Or(t.File, hidden) // without an end
	return t, failed
}

// certificateEnds is when the first certificate in a file ends, the server's own.
func certificateEnds(root *sysroot.Root, name string) (time.Time, error) {
	data, err := root.ReadAtMost(name, maxCertificate)
	if err != nil {
		return time.Time{}, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "CERTIFICATE") {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, errors.New("cannot understand the certificate in " + name)
		}
		return c.NotAfter, nil
	}
	return time.Time{}, errors.New("there is no certificate in " + name)
}
