package record

import "fmt"

// Reported is what a tracking server says of a run. The server's word is a
// claim: nobody signed it where the run ran, its tags can be edited later, and
// its user is whoever the client said. So the actor of the statement is the
// principal on whose behalf the server asked, such a run is never attested, and
// it may lack a commit, inputs, and, where nothing was registered from it, outputs.
type Reported struct {
	// By is the kind of server, such as "mlflow".
	By string `json:"by"`
	// Raw is its answer, kept whole.
	Raw Digest `json:"raw"`
	// Status, User, Parent and Experiment are the server's own words.
	Status     string `json:"status,omitzero"`
	User       string `json:"user,omitzero"`
	Parent     string `json:"parent,omitzero"`
	Experiment string `json:"experiment,omitzero"`
	// Metrics, in the server's spelling, and Tags may be cut; Raw has all.
	Metrics map[string]string `json:"metrics,omitzero"`
	Tags    map[string]string `json:"tags,omitzero"`
	// Unread are the inputs whose bytes nobody here has read.
	Unread []UnreadInput `json:"unread,omitzero"`
}

// Ended reports whether nothing more is to be said of a run: it had ended when it
// was reported, or the pipeline stated it itself, so that there is no report.
func (r *Reported) Ended() bool {
	return r == nil || r.Status != "RUNNING" && r.Status != "SCHEDULED"
}

// UnreadInput is a dataset that a run read, and of which there is no digest.
type UnreadInput struct {
	Name string `json:"name"`
	// Label is the server's own short hash, which is no digest.
	Label string `json:"label,omitzero"`
	// Source is an address that [LineageNameOf] can name: a dataset that is
	// registered with it is this one.
	Source string `json:"source"`
	// Why says why the bytes were not read.
	Why string `json:"why"`
}

func (c *checker) reported(r *Reported) {
	c.name("reported.by", r.By)
	c.digest("reported.raw", r.Raw)
	c.text("reported.status", r.Status, false)
	c.text("reported.user", r.User, false)
	c.text("reported.parent", r.Parent, false)
	c.text("reported.experiment", r.Experiment, false)
	c.textMap("reported.metrics", r.Metrics)
	c.textMap("reported.tags", r.Tags)
	c.list("reported.unread", len(r.Unread))
	for i, u := range r.Unread {
		field := fmt.Sprintf("reported.unread[%d]", i)
		c.text(field+".name", u.Name, true)
		c.text(field+".label", u.Label, false)
		c.text(field+".source", u.Source, true)
		c.text(field+".why", u.Why, true)
		if _, ok := LineageNameOf(u.Source); !ok {
			c.failf("%s.source %q names no dataset", field, u.Source)
		}
	}
}
