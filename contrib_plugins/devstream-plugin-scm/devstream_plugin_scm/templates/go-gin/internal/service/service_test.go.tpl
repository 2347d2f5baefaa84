package service

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRoutes(t *testing.T) {
	cases := []struct {
		path   string
		status int
		key    string
		value  string
	}{
		{"/", http.StatusOK, "message", greeting},
		{"/healthz", http.StatusOK, "status", "ok"},
		{"/nothing", http.StatusNotFound, "error", "not found"},
	}
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			New().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, c.path, nil))
			if recorder.Code != c.status {
				t.Errorf("status %d, not %d", recorder.Code, c.status)
			}
			var body map[string]string
			if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body[c.key] != c.value {
				t.Errorf("%s is %q, not %q", c.key, body[c.key], c.value)
			}
		})
	}
}
