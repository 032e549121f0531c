package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Mail is a server that takes mail.
type Mail struct {
	host     string // with its port
	name     string
	implicit bool // TLS from the first byte, not by STARTTLS
	user     string
	password string
	from     string
	// Roots are the authorities that the server's certificate is held against;
	// nil is the system's.
	Roots *x509.CertPool
}

// NewMail reads the address of a mail server, smtp://[USER@]HOST[:587] for
// STARTTLS or smtps://[USER@]HOST[:465] for TLS, and the address that mail comes
// from. The password is for the user.
func NewMail(server, password, from string) (*Mail, error) {
	u, err := url.Parse(server)
	ports := map[string]string{"smtp": "587", "smtps": "465"}
	if err != nil || ports[u.Scheme] == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("the mail server is not of the form smtp://user@host:587 or smtps://user@host:465")
	}
	if _, given := u.User.Password(); given {
		return nil, errors.New("the mail server's address holds a password, which others on this machine can see; give it in a file")
	}
	if !record.IsMailAddress(from) {
		return nil, fmt.Errorf("%q is not the e-mail address that mail can come from", from)
	}
	port := u.Port()
	if port == "" {
		port = ports[u.Scheme]
	}
	return &Mail{
		host: net.JoinHostPort(u.Hostname(), port), name: u.Hostname(), implicit: u.Scheme == "smtps",
		user: u.User.Username(), password: password, from: from,
	}, nil
}

func (s *Mail) send(ctx context.Context, to string, m Message, at time.Time) Outcome {
	if !record.IsMailAddress(to) {
		return Outcome{Fault: "the address is not one e-mail address"}
	}
	err := s.deliver(ctx, to, compose(s.from, to, m, at))
	if err == nil {
		return Outcome{OK: true}
	}
	out := Outcome{Fault: Shown(err.Error()), Again: true, Rest: true}
	var said *textproto.Error
	if errors.As(err, &said) {
		out.Status = said.Code
		// A 5yz is for good (RFC 5321 section 4.2.1).
		out.Again, out.Rest = said.Code < 500, said.Code < 500
	}
	return out
}

// deliver speaks SMTP (RFC 5321), under TLS (RFC 3207) unless the server is on
// this machine and offers none.
func (s *Mail) deliver(ctx context.Context, to string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.host)
	if err != nil {
		return fmt.Errorf("reaching the mail server: %w", err)
	}
	local := conn.RemoteAddr().(*net.TCPAddr).IP.IsLoopback()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return errors.Join(err, conn.Close())
	}
	secure := &tls.Config{ServerName: s.name, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	if s.implicit {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, s.name)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer c.Close()
	if !s.implicit {
		offered, _ := c.Extension("STARTTLS")
		if !offered && !local {
			return errors.New("the mail server offers no STARTTLS, and mail is sent under TLS alone")
		}
		if offered {
			if err := c.StartTLS(secure); err != nil {
				return fmt.Errorf("beginning TLS with the mail server: %w", err)
			}
		}
	}
	if s.user != "" {
		if err := c.Auth(smtp.PlainAuth("", s.user, s.password, s.name)); err != nil {
			return fmt.Errorf("signing in to the mail server: %w", err)
		}
	}
	return transfer(c, s.from, to, content)
}

func transfer(c *smtp.Client, from, to string, content []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	// The server has taken the mail when it has answered its end; what comes of
	// the goodbye does not matter.
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit()
	return nil
}

// maxSubject is the length in characters of the longest subject.
const maxSubject = 150

// compose writes a mail (RFC 5322): text alone, and a header in which nothing
// that others wrote can begin a line.
func compose(from, to string, m Message, at time.Time) []byte {
	// What looks encoded already would be decoded by the reader.
	subject := strings.ReplaceAll(Shown(m.Subject), "=?", "= ?")
	if runes := []rune(subject); len(runes) > maxSubject {
		subject = string(runes[:maxSubject]) + "…"
	}
	_, domain, _ := strings.Cut(from, "@")
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", "Imprimatur <"+from+">")
	header("To", "<"+to+">")
	// Each encoded word is at most 75 characters long; a fold between them is
	// no part of the text (RFC 2047 section 2).
	header("Subject", strings.ReplaceAll(mime.BEncoding.Encode("utf-8", "Imprimatur: "+subject), "?= =?", "?=\r\n =?"))
	header("Date", at.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+m.ID+"@"+domain+">")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	// A buffer takes everything.
	_, _ = w.Write([]byte(strings.ReplaceAll(strings.ToValidUTF8(m.Text, "?"), "\r", "") + "\n"))
	_ = w.Close()
	return b.Bytes()
}
