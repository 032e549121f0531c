package server_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

// visited is a house that a browser visits at http://localhost, where passkeys
// can be made.
type visited struct {
	*house
	*browsertest.Browser
	at *url.URL
}

func visit(t *testing.T, h *house) *visited {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	at := must[*url.URL](t)(server.Address("", l.Addr()))
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: server.New(h.reg, server.Options{URL: at})}}
	s.Start()
	t.Cleanup(s.Close)
	return &visited{h, browsertest.Open(t), at}
}

const phrase = "seven tall herons wade"

func TestWelcomeAndPasswordInABrowser(t *testing.T) {
	h := settle(t)
	v := visit(t, h)
	link := must[wire.Invitation](t)(h.admin.Invite(h.ctx, "rita"))
	v.Go(v.at.String() + link.Path)
	v.Says("made for rita")
	v.Follow("main form button")
	v.Type("#password", phrase)
	v.Follow("form[action='/sign-in/password'] button")
	v.Says("Your password is set")
	v.Go(v.at.String() + "/")
	v.Follow("form[action='/sign-out'] button")
	v.Go(v.at.String() + "/releases?state=open")
	if at := v.Location(); !strings.Contains(at, "/sign-in?next=") {
		t.Fatalf("somebody who is signed out is at %s", at)
	}
	v.Type("#name", "rita")
	v.Type("#password", phrase+"r")
	v.Follow("main form button")
	v.Says("do not fit")
	v.Type("#password", phrase)
	v.Follow("main form button")
	if at := v.Location(); at != v.at.String()+"/releases?state=open" {
		t.Fatalf("after the sign-in rita is at %s", at)
	}
	v.Go(v.at.String() + link.Path)
	v.Says("this link was used")
	if ways := must[registry.Ways](t)(h.reg.WaysOf(h.ctx, registry.Caller{Name: "rita", Type: record.Human})); !ways.Password {
		t.Error("rita has no password")
	}
}
