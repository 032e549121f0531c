package oauth

import (
	"errors"
	"net/url"
	"testing"
)

// FuzzParseForm reads any body as a form: what is taken has each parameter once,
// and means the same when it is written again.
func FuzzParseForm(f *testing.F) {
	for _, body := range []string{"", "a=b&c=d", "audience=a&audience=b", "a=1&a=2", "a=&b", "%zz", "a;b=c", "subject_token=x%00y", "resource=&resource=x"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		if err != nil {
			var known *fault
			if !errors.As(err, &known) || known.code != invalidRequest {
				t.Fatalf("%q is refused otherwise: %v", body, err)
			}
			return
		}
		for name, values := range form {
			if len(values) == 0 || len(values) > 1 && !repeated[name] {
				t.Errorf("%q has %d times %q", body, len(values), name)
			}
			for _, v := range values {
				if v == "" {
					t.Errorf("%q has an empty %q", body, name)
				}
			}
		}
		again, err := parseForm(url.Values(form).Encode())
		if err != nil || url.Values(again).Encode() != url.Values(form).Encode() {
			t.Errorf("%q reads as %v and then as %v: %v", body, form, again, err)
		}
	})
}

func TestErrorDescriptionsAreOfTheCharactersAllowed(t *testing.T) {
	if got := plain("say \"so\" \\ é\n\x00~"); got != "say 'so' ? ? ?~" {
		t.Errorf("%q", got)
	}
}
