package session

import (
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// maxCeremony is the most bytes of a message of a passkey's ceremony.
const maxCeremony = 64 << 10

// sent is where the page goes next.
type sent struct {
	To string `json:"to"`
}

// refused is a refusal as the script shows it.
type refused struct {
	Detail string `json:"detail"`
}

// ceremony is one step of a passkey's ceremony: JSON in, JSON out.
func (s *Sessions) ceremony(step func(w http.ResponseWriter, r *http.Request, at registry.Site, body []byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var out []byte
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCeremony))
		if err != nil {
			err = &registry.Error{Code: wire.Invalid, Message: fmt.Sprintf("the message is longer than %d bytes or cut off", maxCeremony)}
		}
		var at registry.Site
		if err == nil {
			at, err = registry.SiteOf(s.url)
		}
		if err == nil {
			out, err = step(w, r, at, body)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(statusOf(err))
			// The status is sent: an error now means that the reader has gone.
			_ = json.MarshalWrite(w, refused{s.refusal(r, err)})
			return
		}
		_, _ = w.Write(out)
	}
}

// read reads a step's message strictly.
func read[T any](body []byte) (T, error) {
	var v T
	if err := json.Unmarshal(body, &v, json.RejectUnknownMembers(true)); err != nil {
		return v, &registry.Error{Code: wire.Invalid, Message: fmt.Sprintf("the message cannot be read: %v", err)}
	}
	return v, nil
}

func (s *Sessions) mountPasskeys(mux *router.Mux) {
	mux.HandleFunc("GET /passkey.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/passkey.js")
	})
	mux.HandleFunc("POST /passkey/enrol/begin", s.ceremony(s.beginEnrolment))
	mux.HandleFunc("POST /passkey/enrol", s.ceremony(s.enrol))
	mux.HandleFunc("POST /passkey/sign-in/begin", s.ceremony(s.beginPasskey))
	mux.HandleFunc("POST /passkey/sign-in", s.ceremony(s.signInByPasskey))
	mux.HandleFunc("POST /passkey/ask", s.ceremony(s.ask))
}

func (s *Sessions) beginEnrolment(_ http.ResponseWriter, r *http.Request, at registry.Site, _ []byte) ([]byte, error) {
	in, err := s.Of(r)
	if err != nil {
		return nil, err
	}
	return s.reg.BeginPasskey(r.Context(), in, at)
}

func (s *Sessions) enrol(_ http.ResponseWriter, r *http.Request, at registry.Site, body []byte) ([]byte, error) {
	in, err := s.Of(r)
	if err != nil {
		return nil, err
	}
	made, err := read[struct {
		Purpose  string         `json:"purpose"`
		Response jsontext.Value `json:"response"`
	}](body)
	if err != nil {
		return nil, err
	}
	if _, err := s.reg.FinishPasskey(r.Context(), in, at, made.Purpose, made.Response); err != nil {
		return nil, err
	}
	return json.Marshal(sent{registry.WaysPath + "?done=passkey"})
}

func (s *Sessions) beginPasskey(_ http.ResponseWriter, r *http.Request, at registry.Site, _ []byte) ([]byte, error) {
	if err := s.limits.allow("", addressOf(r)); err != nil {
		return nil, err
	}
	return s.reg.BeginPasskeySignIn(r.Context(), at)
}

func (s *Sessions) signInByPasskey(w http.ResponseWriter, r *http.Request, _ registry.Site, body []byte) ([]byte, error) {
	said, err := read[struct {
		Next      string           `json:"next"`
		Assertion record.Assertion `json:"assertion"`
	}](body)
	if err != nil {
		return nil, err
	}
	secret, err := s.reg.SignInByPasskey(r.Context(), said.Assertion)
	if err != nil {
		return nil, err
	}
	s.begin(w, r, secret)
	return json.Marshal(sent{Local(said.Next)})
}

func (s *Sessions) ask(_ http.ResponseWriter, r *http.Request, at registry.Site, body []byte) ([]byte, error) {
	in, err := s.Of(r)
	if err != nil {
		return nil, err
	}
	word, err := read[wire.Word](body)
	if err != nil {
		return nil, err
	}
	return s.reg.AskPasskey(r.Context(), in.Caller, at, word)
}
