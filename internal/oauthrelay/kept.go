package oauthrelay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
	"postfix-maint/internal/sysroot"
)

// tokenFile has the refresh token that came instead of the credential's.
const tokenFile = "token.json"

// maxKept is how long that file can be.
const maxKept = 64 << 10

// kept is the relay's own directory. Providers give a new refresh token with an access token, and let the old one run out (RFC 6749,
// section 6; Microsoft does). The new one is worth as much as a login, so it gets to the disk before it is used.
type kept struct {
	dir string // "": nothing is kept
	say func(string)

	mu      sync.Mutex
	rotated secret.Secret // since the start, if it could not be written
}

// storedToken is a refresh token as it stands in its file.
type storedToken struct {
	Format  int    `json:"format"`
	From    string `json:"from"` // SHA-256 of the refresh token that root gave: another login makes this one void
	Refresh string `json:"refresh_token"`
}

func origin(a oauth.Account) string {
	sum := sha256.Sum256([]byte(a.RefreshToken))
	return hex.EncodeToString(sum[:])
}

// refreshToken is the newest one of the login.
func (k *kept) refreshToken(a oauth.Account) secret.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rotated != "" {
		return k.rotated
	}
	var s storedToken
	text, err := k.read(tokenFile, maxKept)
	if err != nil || json.Unmarshal(text, &s) != nil || s.Format != oauth.Format || s.From != origin(a) || s.Refresh == "" {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			k.say("cannot read the refresh token that was kept, the one of the last \"smarthost login\" is used: " + err.Error())
		}
		return a.RefreshToken
	}
	return secret.Secret(s.Refresh)
}

// keep takes a new one. Where it cannot be written it is at least used as long as this process lives.
func (k *kept) keep(a oauth.Account, refresh secret.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rotated = refresh
	text, err := json.Marshal(storedToken{Format: oauth.Format, From: origin(a), Refresh: string(refresh)})
	if err == nil {
		err = k.write(tokenFile, text)
	}
	if err != nil {
		k.say("cannot keep the new refresh token, a new login may be needed after the next start: " + err.Error())
	}
}

func (k *kept) read(name string, most int64) ([]byte, error) {
	if k.dir == "" {
		return nil, os.ErrNotExist
	}
	dir, err := sysroot.OpenDir(k.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// write puts a file in its place, on the disk, for this user alone.
func (k *kept) write(name string, text []byte) error {
	if k.dir == "" {
		return nil
	}
	dir, err := sysroot.OpenDir(k.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = sysroot.Replace(dir, name, text, sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid(), Force: true})
	return err
}
