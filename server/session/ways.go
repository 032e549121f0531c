package session

import (
	"net/http"

	"imprimatur.dev/registry"
)

// welcomePage shows whom a link was made for. Looking at it does not use it up,
// since programs that preview links do.
func (s *Sessions) welcomePage(w http.ResponseWriter, r *http.Request) {
	name, err := s.reg.Invited(r.Context(), r.PathValue("link"))
	if err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	s.show(w, http.StatusOK, "welcome.html", map[string]string{"Name": name, "Link": r.PathValue("link")})
}

func (s *Sessions) welcome(w http.ResponseWriter, r *http.Request) {
	if err := s.limits.allow("", addressOf(r)); err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	secret, err := s.reg.SignInByInvitation(r.Context(), r.PathValue("link"))
	if err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	s.begin(w, r, secret)
	http.Redirect(w, r, registry.WaysPath, http.StatusSeeOther)
}

// ways is what the page of how one signs in shows.
type ways struct {
	registry.Ways
	Name, Refusal, Done string
	// ByInvitation says that no password of before is asked for.
	ByInvitation bool
	MinPassword  int
}

func (s *Sessions) waysPage(w http.ResponseWriter, r *http.Request, who registry.Caller) {
	s.showWays(w, r, who, nil, map[string]string{"password": "Your password is set.", "passkey": "The passkey is enrolled."}[r.URL.Query().Get("done")])
}

// showWays shows the page, with the refusal of what was just asked for.
func (s *Sessions) showWays(w http.ResponseWriter, r *http.Request, who registry.Caller, refused error, done string) {
	in, err := s.Of(r)
	data := ways{Name: who.Name, Done: done, ByInvitation: in.By == registry.ByInvitation, MinPassword: registry.MinPassword}
	if err == nil {
		data.Ways, err = s.reg.WaysOf(r.Context(), who)
	}
	if err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	status := http.StatusOK
	if refused != nil {
		status, data.Refusal = statusOf(refused), s.refusal(r, refused)
	}
	s.show(w, status, "ways.html", data)
}

func (s *Sessions) setPassword(w http.ResponseWriter, r *http.Request, who registry.Caller) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	in, err := s.Of(r)
	if err == nil {
		err = s.limits.allow(who.Name, addressOf(r))
	}
	var secret string
	if err == nil {
		secret, err = s.reg.SetPassword(r.Context(), in, r.PostFormValue("before"), r.PostFormValue("password"))
	}
	if err != nil {
		s.showWays(w, r, who, err, "")
		return
	}
	s.begin(w, r, secret)
	http.Redirect(w, r, registry.WaysPath+"?done=password", http.StatusSeeOther)
}
