package cli

import (
	"bytes"
	"testing"
)

func TestRun(t *testing.T) {
	cases := []struct {
		name      string
		arguments []string
		status    int
		stdout    string
	}{
		{"plain", nil, 0, greeting + "\n"},
		{"named", []string{"-name", "you"}, 0, greeting + ", you\n"},
		{"version", []string{"-version"}, 0, "dev\n"},
		{"help", []string{"-help"}, 0, ""},
		{"unknown flag", []string{"-nothing"}, 2, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := Run(c.arguments, &stdout, &stderr); status != c.status {
				t.Errorf("status %d, not %d: %s", status, c.status, stderr.String())
			}
			if stdout.String() != c.stdout {
				t.Errorf("printed %q, not %q", stdout.String(), c.stdout)
			}
		})
	}
}
