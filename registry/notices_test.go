package registry_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// post is a mail server with STARTTLS on this machine, outside of our parts.
type post struct {
	url   string
	roots *x509.CertPool
	came  chan string
}

func postOffice(t testing.TB) *post {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	p := &post{roots: x509.NewCertPool(), came: make(chan string, 100)}
	p.roots.AddCert(must[*x509.Certificate](t)(x509.ParseCertificate(der)))
	secure := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	p.url = "smtp://" + l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(conn, secure)
		}
	}()
	return p
}

// serve speaks as much of SMTP as a client needs, and takes mail under TLS alone.
func (p *post) serve(conn net.Conn, secure *tls.Config) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	encrypted := false
	say("220 post ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case verb == "EHLO" && !encrypted:
			say("250-post\r\n250 STARTTLS")
		case verb == "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, secure)
			in, encrypted = bufio.NewReader(conn), true
		case verb == "QUIT":
			say("221 bye")
			return
		case verb == "DATA" && encrypted:
			say("354 go on")
			var mail strings.Builder
			for line != ".\r\n" {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
				mail.WriteString(line)
			}
			p.came <- mail.String()
			say("250 taken")
		case verb != "EHLO" && !encrypted:
			say("530 STARTTLS first")
		default:
			say("250 ok")
		}
	}
}

func (p *post) next(t testing.TB) string {
	t.Helper()
	select {
	case m := <-p.came:
		return strings.ReplaceAll(m, "=\r\n", "")
	case <-time.After(patience):
		t.Fatal("no mail came")
		return ""
	}
}

// mails lets a registry send by a mail server.
func (h *house) mails(p *post) {
	h.Helper()
	h.sendsHere(func(cfg *registry.Config) {
		cfg.Notify.Mail = must[*notify.Mail](h)(notify.NewMail(p.url, "", "imprimatur@a.example"))
		cfg.Notify.Mail.Roots = p.roots
	})
}

func (h *house) address(name string, quiet bool) {
	h.Helper()
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: name, Type: record.Human, Emails: []string{name + "@b.example"}, Quiet: quiet}))
}

func TestPeopleAreToldOnceWhatWaitsForThemAndWhatLapses(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		p := postOffice(t)
		h.mails(p)
		h.address("rita", false)
		h.address("sam", true)
		h.evaluate(h.train("1", true), 950)
		c := must[wire.Case](t)(h.propose("1", record.Authority{}))
		if m := p.next(t); !strings.Contains(m, "To: <rita@b.example>") || !strings.Contains(m, "approve "+c.ID+" (lab/net@1) in production waits for you") || !strings.Contains(m, "imprimatur release approve "+c.ID+" --role risk") || !strings.Contains(m, "https://imprimatur.example/releases/"+c.ID) {
			t.Errorf("rita got %s", m)
		}
		must[wire.Case](t)(h.approve(olga, record.ModelOwner, c))
		must[wire.Case](t)(h.approve(rita, record.Risk, c))
		must[wire.Case](t)(h.approve(sam, record.Security, c))
		must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
		// The evaluation lapses after 30 days, the approval after 90.
		h.clock.turn(80 * 24 * time.Hour)
		h.address("eve", false)
		if m := p.next(t); !strings.Contains(m, "To: <") || !strings.Contains(m, c.ID) {
			t.Errorf("got %s", m)
		}
		// A server that begins anew sends nothing twice.
		h.mails(p)
		h.address("olga", true)
		select {
		case m := <-p.came:
			if strings.Contains(m, "waits for you") && strings.Contains(m, "To: <rita") && strings.Contains(m, "seat of the role risk") {
				t.Errorf("sent again: %s", m)
			}
		case <-time.After(3 * time.Second):
		}
	})
}

func TestReminderNamesWhoCanRenew(t *testing.T) {
	h := told(t, "")
	p := postOffice(t)
	h.address("eve", false)
	h.address("rita", false)
	c := h.live("1")
	h.clock.turn(20 * 24 * time.Hour)
	h.mails(p)
	m := p.next(t)
	if !strings.Contains(m, "To: <eve@b.example>") || !strings.Contains(m, "accuracy/holdout/accuracy of "+c.ID+" lapses on") || !strings.Contains(m, "as evaluator") {
		t.Errorf("eve got %s", m)
	}
}
