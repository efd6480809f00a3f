package users

import (
	"crypto/rand"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"ftps/pkg/fault"
)

// Costs of bcrypt: each step doubles the time of a check. Twelve is a fifth
// of a second; at more than MaxCost a login would outlast its deadline, and
// every unknown name would take as long.
const (
	MinCost     = bcrypt.MinCost
	DefaultCost = 12
	MaxCost     = 16
)

// MaxPassword is the length in bytes beyond which bcrypt ignores the rest.
const MaxPassword = 72

// MaxName is the length of the longest account name.
const MaxName = 64

// CheckName says what is wrong with an account's name.
func CheckName(name string) error {
	ok := name != "" && len(name) <= MaxName && name[0] != '.' && name[0] != '-'
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fault.New("users.name.bad", strconv.Quote(name))
	}
	return nil
}

// CheckPassword says why a password cannot be one.
func CheckPassword(password string) error {
	switch {
	case password == "":
		return fault.New("users.password.empty")
	case len(password) > MaxPassword:
		return fault.New("users.password.long", len(password), MaxPassword)
	case strings.ContainsAny(password, "\x00\r\n"):
		return fault.New("users.password.control")
	}
	return nil
}

// CheckCost says whether a bcrypt cost is one that can be used.
func CheckCost(cost int) error {
	if cost < MinCost || cost > MaxCost {
		return fault.New("users.cost.bad", cost, MinCost, MaxCost)
	}
	return nil
}

// Hash returns the bcrypt line of a password.
func Hash(password string, cost int) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	if err := CheckCost(cost); err != nil {
		return "", err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	return string(hash), err
}

// alphabet of generated passwords: nothing that is taken for something else
// when read aloud or copied by hand.
const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"

// Generate returns a random password of 20 characters in groups of four,
// worth 99 bits.
func Generate() string {
	var b strings.Builder
	random := make([]byte, 64)
	for n := 0; n < 20; {
		_, _ = rand.Read(random) // never fails: crypto/rand ends the program instead
		for _, r := range random {
			// 248 is the last multiple of 31 in a byte: beyond it some
			// characters would be likelier than others.
			if r >= 248 || n == 20 {
				continue
			}
			if n > 0 && n%4 == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(alphabet[r%31])
			n++
		}
	}
	return b.String()
}

// bcryptAlphabet is the base64 of bcrypt.
const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// checkHash says what is wrong with a bcrypt line. What passes makes a
// comparison do its whole work: a malformed line would be answered in
// microseconds, and tell that the account exists.
func checkHash(hash string) error {
	// $2a$12$ and 22 characters of salt and 31 of digest
	if len(hash) != 60 || hash[0] != '$' || hash[1] != '2' || !strings.ContainsRune("aby", rune(hash[2])) ||
		hash[3] != '$' || hash[6] != '$' {
		return fault.New("users.hash.bad")
	}
	for _, c := range []byte(hash[7:]) {
		if strings.IndexByte(bcryptAlphabet, c) < 0 {
			return fault.New("users.hash.bad")
		}
	}
	// The digest is 184 bits in 31 characters of 6: two bits are left over,
	// and a line in which they are set matches no password.
	if strings.IndexByte(bcryptAlphabet, hash[59])%4 != 0 {
		return fault.New("users.hash.bad")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return fault.Wrap(err, "users.hash.bad")
	}
	return CheckCost(cost)
}

// costOf returns the cost of a bcrypt line, 0 for anything else.
func costOf(hash string) int {
	cost, _ := bcrypt.Cost([]byte(hash))
	return cost
}

// dummyHash returns a line of that cost that no known password has. It is
// not computed from a password, which would cost as much as a check: a random
// digest is as good, and comparing with it takes as long as with any other.
func dummyHash(cost int) string {
	random := make([]byte, 53)
	_, _ = rand.Read(random)
	for i, r := range random {
		random[i] = bcryptAlphabet[r%64]
	}
	random[52] = bcryptAlphabet[strings.IndexByte(bcryptAlphabet, random[52])&^3]
	return "$2a$" + string('0'+byte(cost/10)) + string('0'+byte(cost%10)) + "$" + string(random)
}
