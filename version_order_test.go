package pawl

import "testing"

// TestVersionPrecedence has the order of https://semver.org, section 11.
func TestVersionPrecedence(t *testing.T) {
	ordered := []string{Unversioned, "0.9.0", "1.0.0-0", "1.0.0-1", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
		"1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0", "10.0.0", "99999999999999999999.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := compareVersions(a, b); got != want {
				t.Errorf("compare %s, %s: %d, want %d", a, b, got, want)
			}
		}
	}
}
