package main

import (
	"log/slog"
	"strings"
	"time"

	"imprimatur.dev/guard"
	"imprimatur.dev/notify"
	"imprimatur.dev/registry"
)

// notifyFlags say how serve tells others.
type notifyFlags struct {
	AllowTarget  []string `placeholder:"CIDR|HOST" help:"A network or host that targets may be in though it is not public, also in plain HTTP; may be repeated."`
	SMTP         string   `name:"smtp" placeholder:"URL" help:"The server that takes mail: smtp://user@host:587 for STARTTLS, smtps://user@host:465 for TLS."`
	SMTPPassword string   `name:"smtp-password-file" placeholder:"FILE" help:"Its user's password."`
	RemindBefore []span   `placeholder:"TIME" help:"How long before something lapses people are reminded by mail, such as 30d; may be repeated (default 14d and 3d)."`
	MailFrom     string   `placeholder:"ADDRESS" help:"Where mail comes from."`
}

func (c *notifyFlags) telling(a *app, at string, log *slog.Logger) (out registry.Notify, err error) {
	out.URL, out.Log = strings.TrimRight(at, "/"), log
	if out.Guard, err = guard.Allow(c.AllowTarget...); err != nil {
		return out, wrongf("--allow-target: %w", err)
	}
	for _, d := range c.RemindBefore {
		out.Remind = append(out.Remind, time.Duration(d))
	}
	if c.SMTP == "" {
		return out, nil
	}
	password, err := a.secret(c.SMTPPassword)
	if err != nil {
		return out, err
	}
	if out.Mail, err = notify.NewMail(c.SMTP, password, c.MailFrom); err != nil {
		return out, wrongf("--smtp and --mail-from: %w", err)
	}
	return out, nil
}
