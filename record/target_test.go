package record_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

func faultsOfTargets() []fault {
	mail := func(address string) func(*record.Target) {
		return func(t *record.Target) { t.Form, t.URL, t.Address = record.FormMail, "", address }
	}
	return []fault{
		wrong("id", func(t *record.Target) { t.ID = "" }),
		wrong("team", func(t *record.Target) { t.Team = "" }),
		wrong("name is empty", func(t *record.Target) { t.Name = " " }),
		wrong("name", func(t *record.Target) { t.Name = "a\nb" }),
		wrong("description", func(t *record.Target) { t.Description = bidi }),
		wrong("form", func(t *record.Target) { t.Form = "pager" }),
		wrong("url is not of the form", func(t *record.Target) { t.URL = "chat.example" }),
		wrong("url is not of the form", func(t *record.Target) { t.URL = "https://me:secret@chat.example" }),
		wrong("url is not of the form", func(t *record.Target) { t.URL = "https://chat.example/#x" }),
		wrong("url is not of the form", func(t *record.Target) { t.URL = "file:///etc/passwd" }),
		wrong("url is not plain", func(t *record.Target) { t.URL = "https://chat.example/\r\nHost: x" }),
		wrong("url is not plain", func(t *record.Target) { t.URL = "https://chat.example/" + strings.Repeat("a", 2048) }),
		wrong("host alone", func(t *record.Target) { t.Form = record.FormSlack }),
		wrong("secret is empty", func(t *record.Target) { t.Form, t.URL, t.Secret = record.FormSlack, "https://chat.example", "" }),
		wrong("address is only for mail", func(t *record.Target) { t.Address = "a@chat.example" }),
		wrong("not one e-mail address", mail("")),
		wrong("not one e-mail address", mail("a@b.example, c@d.example")),
		wrong("not one e-mail address", mail("a@b.example\r\nBcc: c@d.example")),
		wrong("not one e-mail address", mail("A <a@b.example>")),
		wrong("events", func(t *record.Target) { t.Events = []string{"everything"} }),
		wrong("events", func(t *record.Target) { t.Events = []string{"token"} }),
		wrong("events is empty", func(t *record.Target) { t.Form, t.Events = record.FormMLflow, nil }),
		wrong("events", func(t *record.Target) { t.Form = record.FormMLflow }),
		wrong("environments", func(t *record.Target) { t.Environments = []string{""} }),
		wrong("previous", func(t *record.Target) { t.Previous = bidi }),
		wrong("previousUntil", func(t *record.Target) { t.PreviousUntil = noon.Add(1) }),
		wrong("created", func(t *record.Target) { t.Created = time.Time{} }),
		wrong("updated", func(t *record.Target) { t.Updated = time.Time{} }),
	}
}

func TestMailAddressesArePlain(t *testing.T) {
	for _, good := range []string{"a@b.example", "first.last+tag@mail.b.example", "o'neil@b"} {
		if !record.IsMailAddress(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", "a", "@b", "a@", "a@b@c", "a b@c", `"a"@b`, "a@-b", "a@b..c", "a@b\n", "a,b@c", "<a@b>", "a@[127.0.0.1]", strings.Repeat("a", 65) + "@b"} {
		if record.IsMailAddress(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}
