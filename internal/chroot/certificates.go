package chroot

import (
	"bytes"
	"errors"

	"postfix-maint/internal/pattern"
)

// errNoCertificate says that a file of a directory of CAs has nothing that OpenSSL would take from it.
var errNoCertificate = errors.New("it holds no certificate")

// certificateLabel are the names of PEM blocks that OpenSSL takes for certificates (PEM_read_bio_X509_AUX(3)).
var certificateLabel = pattern.New(`^-----(BEGIN|END) ((?:X509 |TRUSTED )?CERTIFICATE)-----$`)

// certificates cuts a file down to its certificates. What else lies beside them, a server's private key above all, does not concern the
// chroot's: a link by the hash may lead to any file.
func certificates(data []byte) []byte {
	var out, block []byte
	label := ""
	for line := range bytes.Lines(data) {
		text := bytes.TrimRight(line, " \t\r\n")
		m := certificateLabel.Regexp().FindSubmatch(text)
		switch {
		case m != nil && string(m[1]) == "BEGIN":
			label, block = string(m[2]), bytes.Clone(line)
		case m != nil && label == string(m[2]):
			out = append(append(out, block...), line...)
			label = ""
		case !isBase64(text):
			label = "" // another block begins, or the text is none of PEM
		case label != "":
			block = append(block, line...)
		}
	}
	return out
}

func isBase64(text []byte) bool {
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// cutCertificates replaces the data of c by the certificates in it, and says once if that keeps a key out.
func (a *applier) cutCertificates(c *change) error {
	if bytes.Contains(c.data, []byte("PRIVATE KEY-----")) {
		a.each(c.Source, "a private key in %%s stays outside of the chroot: a directory of CAs should hold certificates only")
	}
	if c.data = certificates(c.data); len(c.data) == 0 {
		return errNoCertificate
	}
	return nil
}
