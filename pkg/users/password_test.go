package users

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "diego", "j.doe", "A_b-c.1", "1", "_x", strings.Repeat("a", 64)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".a", "-a", "..", "a b", "a/b", "a\\b", "a:b", "ñ", "a\n", "a\x00", strings.Repeat("a", 65)} {
		if err := CheckName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestPasswordsThatCannotBe(t *testing.T) {
	for _, bad := range []string{"", strings.Repeat("x", 73), strings.Repeat("ñ", 37), "a\x00b", "a\nb", "a\rb"} {
		if _, err := Hash(bad, MinCost); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, good := range []string{"x", " ", strings.Repeat("x", 72), strings.Repeat("ñ", 36), "contraseña con espacios"} {
		hash, err := Hash(good, MinCost)
		if err != nil || checkHash(hash) != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte(good)) != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, cost := range []int{-1, 0, 3, 17, 31, 32} {
		if _, err := Hash("x", cost); err == nil {
			t.Errorf("cost %d is accepted", cost)
		}
	}
}

func TestGeneratedPasswordsAreStrongAndReadable(t *testing.T) {
	form := regexp.MustCompile(`^([a-z2-9]{4}-){4}[a-z2-9]{4}$`)
	seen := map[string]bool{}
	letters := map[rune]int{}
	for range 500 {
		p := Generate()
		if !form.MatchString(p) || strings.ContainsAny(p, "ilo") || CheckPassword(p) != nil {
			t.Fatalf("%q", p)
		}
		if seen[p] {
			t.Fatalf("%q came twice", p)
		}
		seen[p] = true
		for _, r := range strings.ReplaceAll(p, "-", "") {
			letters[r]++
		}
	}
	if len(letters) != len(alphabet) {
		t.Errorf("%d of %d characters are used", len(letters), len(alphabet))
	}
	if bits := 20 * math.Log2(float64(len(letters))); bits < 80 {
		t.Errorf("%.0f bits", bits)
	}
}

// bcrypt answers a malformed line at once. A dummy that was malformed would
// be such a line, and an unknown name would be told by the time.
func TestDummiesMakeBcryptDoItsWork(t *testing.T) {
	for cost := MinCost; cost <= MaxCost; cost++ {
		for range 50 {
			dummy := dummyHash(cost)
			if err := checkHash(dummy); err != nil {
				t.Fatalf("%s: %v", dummy, err)
			}
			if got := costOf(dummy); got != cost {
				t.Fatalf("%s has the cost %d", dummy, got)
			}
		}
	}
	if err := bcrypt.CompareHashAndPassword([]byte(dummyHash(MinCost)), []byte("x")); err != bcrypt.ErrMismatchedHashAndPassword {
		t.Errorf("comparing: %v", err)
	}
}
