package login

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/oauth2/jwt"
)

// key is a service account's, as Google's console gives it.
type key struct {
	Type       string `json:"type"`
	Email      string `json:"client_email"`
	ID         string `json:"private_key_id"`
	PrivateKey string `json:"private_key"`
}

// isKey tells whether a text is a private key of RSA, the one kind that such keys are (RFC 7518, RS256).
func isKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	any8, err8 := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, err1 := x509.ParsePKCS1PrivateKey(block.Bytes)
	_, isRSA := any8.(*rsa.PrivateKey)
	return err1 == nil || err8 == nil && isRSA
}

// service logs in with a key, in the name of the mailbox (RFC 7523): whether that works shows now.
func (t *attempt) service(ctx context.Context) error {
	var k key
	if err := json.Unmarshal([]byte(t.Key), &k); err != nil {
		return errors.New("the key file is no JSON: it is the file that the provider gave when the key was made")
	}
	switch {
	case k.Type != "service_account":
		return errors.New("the key file is not that of a service account (its \"type\" is another)")
	case !isKey(k.PrivateKey):
		return errors.New("the key file's private key cannot be read: it is the file that the provider gave when the key was made")
	case k.Email == "":
		return errors.New("the key file is not whole: client_email is missing")
	}
	c := jwt.Config{
		Email: k.Email, PrivateKey: []byte(k.PrivateKey), PrivateKeyID: k.ID, Subject: t.User, Scopes: t.Scopes, TokenURL: t.TokenURL,
	}
	token, err := c.TokenSource(ctx).Token()
	if err == nil && token.AccessToken == "" {
		return fmt.Errorf("%s gave no token", host(t.TokenURL))
	}
	return err
}
