package console

import "net/http"

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is the whole console.
var routes = []route{
	{get, "/{$}", signedIn, page((*console).home)},
	{get, "/inbox", signedIn, page((*console).inbox)},
	{get, "/releases", signedIn, page((*console).releases)},
	{get, "/releases/{id}", signedIn, page((*console).release)},
	{get, "/releases/{id}/monitor", signedIn, page((*console).monitor)},
	{get, "/releases/{id}/bundle", signedIn, file((*console).bundle)},
	{post, "/releases/{id}/decision", signedIn, form((*console).decide, (*console).release)},
	{post, "/releases/{id}/comments", signedIn, form((*console).comment, (*console).release)},
	{get, "/releases/{id}/promote", signedIn, page((*console).promoteForm)},
	{post, "/releases/{id}/promote", signedIn, form((*console).promote, (*console).promoteForm)},
	{get, "/envelopes", signedIn, page((*console).envelopes)},
	{get, "/envelopes/{id}", signedIn, page((*console).envelope)},
	{post, "/envelopes/{id}/decision", signedIn, form((*console).decideEnvelope, (*console).envelope)},
	{get, "/envelopes/{id}/withdraw", signedIn, page((*console).withdrawEnvelopeForm)},
	{post, "/envelopes/{id}/withdraw", signedIn, form((*console).withdrawEnvelope, (*console).withdrawEnvelopeForm)},
	{get, "/live", signedIn, page((*console).live)},
	{get, "/live/{release}/rollback", signedIn, page((*console).rollbackForm)},
	{post, "/live/{release}/rollback", signedIn, form((*console).rollback, (*console).rollbackForm)},
	{get, "/live/{release}/suspend", signedIn, page((*console).suspendForm)},
	{post, "/live/{release}/suspend", signedIn, form((*console).suspend, (*console).suspendForm)},
	{get, "/search", signedIn, page((*console).search)},
	{get, "/models", signedIn, listed(models)},
	{get, "/models/{team}/{name}", signedIn, page((*console).model)},
	{get, "/versions", signedIn, listed(modelVersions)},
	{get, "/datasets", signedIn, listed(datasets)},
	{get, "/datasets/{digest}", signedIn, page((*console).data)},
	{get, "/datasets/{digest}/decide", signedIn, page((*console).dataForm)},
	{post, "/datasets/{digest}/decide", signedIn, form((*console).decideData, (*console).dataForm)},
	{get, "/data/{team}/{name}", signedIn, page((*console).dataset)},
	{get, "/runs", signedIn, listed(runs)},
	{get, "/runs/{team}/{name}", signedIn, page((*console).run)},
	{get, "/use-cases", signedIn, listed(useCases)},
	{get, "/use-cases/{team}/{name}", signedIn, page((*console).useCase)},
	{get, "/evaluations/{id}", signedIn, page((*console).evaluation)},
	{get, "/vendors", signedIn, page((*console).vendors)},
	{get, "/vendors/{name}", signedIn, page((*console).vendor)},
	{get, "/probes/{id}", signedIn, page((*console).probe)},
	{get, "/people", signedIn, listed(people)},
	{get, "/people/enrol", signedIn, page((*console).enrolForm)},
	{post, "/people/enrol", signedIn, form((*console).enrol, (*console).enrolForm)},
	{get, "/workloads", signedIn, listed(workloads)},
	{get, "/inventory", signedIn, page((*console).inventory)},
	{get, "/principals/{name}", signedIn, page((*console).principal)},
	{get, "/principals/{name}/invite", signedIn, page((*console).inviteForm)},
	{post, "/principals/{name}/invite", signedIn, asked((*console).invite)},
	{get, "/principals/{name}/roles", signedIn, page((*console).roleForms)},
	{post, "/principals/{name}/roles", signedIn, form((*console).bind, (*console).roleForms)},
	{post, "/principals/{name}/roles/take", signedIn, form((*console).take, (*console).roleForms)},
	{get, "/principals/{name}/offboard", signedIn, page((*console).offboardForm)},
	{post, "/principals/{name}/offboard", signedIn, form((*console).offboard, (*console).offboardForm)},
	{post, "/principals/{name}/delegations", signedIn, form((*console).delegate, (*console).principal)},
	{post, "/principals/{name}/delegations/end", signedIn, form((*console).endDelegation, (*console).principal)},
	{get, "/policies", signedIn, listed(policies)},
	{post, "/policies", signedIn, form((*console).publish, (*console).draft)},
	{get, "/policies/{name}", signedIn, page((*console).policy)},
	{get, "/policy-draft", signedIn, page((*console).draft)},
	{post, "/policy-draft", signedIn, asked((*console).draft)},
	{get, "/ledger", signedIn, page((*console).ledger)},
	{get, "/ledger/{index}", signedIn, page((*console).entry)},
	{get, "/ledger/{index}/proof", signedIn, file((*console).proof)},
	{get, "/api/{$}", public, page((*console).operations)},
	{get, "/assets/{name}", public, asset},
}

// navigation is what leads to the pages, in groups; current is the one that
// the path is under.
func navigation(path string) []Group {
	groups := []Group{
		{Label: "Decide", Links: []Link{{Text: "Home", Href: "/"}, {Text: "Inbox", Href: "/inbox"}, {Text: "Releases", Href: "/releases"}, {Text: "Envelopes", Href: "/envelopes"}, {Text: "Live", Href: "/live"}}},
		{Label: "Look up", Links: []Link{
			{Text: "Models", Href: "/models"},
			{Text: "Versions", Href: "/versions"},
			{Text: "Data sets", Href: "/datasets"},
			{Text: "Training runs", Href: "/runs"},
			{Text: "Use cases", Href: "/use-cases"},
			{Text: "Vendors", Href: "/vendors"},
			{Text: "People", Href: "/people"},
			{Text: "Workloads", Href: "/workloads"},
			{Text: "Inventory", Href: "/inventory"},
		}},
		{Label: "Rules and record", Links: []Link{{Text: "Policies", Href: "/policies"}, {Text: "Ledger", Href: "/ledger"}}},
	}
	for i := range groups {
		for j := range groups[i].Links {
			l := &groups[i].Links[j]
			l.Current = l.Href == path || l.Href != "/" && under(path, l.Href)
		}
	}
	return groups
}

func under(path, root string) bool {
	return len(path) > len(root) && path[:len(root)] == root && path[len(root)] == '/'
}
