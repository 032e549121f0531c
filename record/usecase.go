package record

// UseCase says what a model is for, who answers for it, and how much is at stake.
type UseCase struct {
	Team  string `json:"team"`
	Name  string `json:"name"`
	Title string `json:"title"`
	// Purpose is what data may be approved for.
	Purpose string `json:"purpose"`
	// Owner is the business owner.
	Owner   string `json:"owner"`
	Tier    string `json:"tier"`
	Context string `json:"context,omitzero"`
	// Environments are where releases for the use case may run.
	Environments []string `json:"environments"`
	// Misuse are the cases of the misuse catalogue on which this use was judged,
	// each required or set aside with a reason.
	Misuse []MisuseCase `json:"misuse,omitzero"`
	// Catalogue is the edition of the catalogue from which the cases were chosen.
	Catalogue string `json:"catalogue,omitzero"`
	// Anchor is the artifact that the first release of a line is compared with,
	// where nothing is in production yet.
	Anchor Digest `json:"anchor,omitzero"`
}

// MisuseCase is the word of the use case's author on one misuse case: evidence
// of it is required, or it does not apply and Reason says why.
type MisuseCase struct {
	// Case is the catalogue's ID, such as "direct-prompt-injection".
	Case     string `json:"case"`
	Required bool   `json:"required,omitzero"`
	Reason   string `json:"reason,omitzero"`
}

// Kind implements Body.
func (UseCase) Kind() Kind { return KindUseCase }

// Ref returns "team/name".
func (u UseCase) Ref() string { return u.Team + "/" + u.Name }

// Keys implements Body.
func (u UseCase) Keys(Digest) []string { return []string{KeyUseCase(u.Ref()), KeyOwned(u.Owner)} }

// Subject implements Body.
func (u UseCase) Subject() (string, Digest) { return "use-case/" + u.Ref(), "" }

// Validate implements Body.
func (u UseCase) Validate() error {
	c := checker{kind: KindUseCase}
	c.name("team", u.Team)
	c.name("name", u.Name)
	c.text("title", u.Title, true)
	c.name("purpose", u.Purpose)
	c.principal("owner", u.Owner)
	c.name("tier", u.Tier)
	c.text("context", u.Context, false)
	if len(u.Environments) == 0 {
		c.failf("environments is empty")
	}
	for _, e := range u.Environments {
		c.name("environments", e)
	}
	c.misuse(u)
	c.optionalDigest("anchor", u.Anchor)
	return c.err()
}

func (c *checker) misuse(u UseCase) {
	c.list("misuse", len(u.Misuse))
	c.text("catalogue", u.Catalogue, len(u.Misuse) > 0)
	seen := map[string]bool{}
	for _, m := range u.Misuse {
		c.name("misuse.case", m.Case)
		c.text("misuse.reason", m.Reason, !m.Required)
		if seen[m.Case] {
			c.failf("misuse names the case %s twice", m.Case)
		}
		seen[m.Case] = true
	}
}

// RequiredMisuse returns the cases of which evidence is required, in the order
// in which the use case names them.
func (u UseCase) RequiredMisuse() []string {
	var out []string
	for _, m := range u.Misuse {
		if m.Required {
			out = append(out, m.Case)
		}
	}
	return out
}

// KeyUseCase finds a use case by "team/name".
func KeyUseCase(ref string) string { return "use-case/" + ref }
