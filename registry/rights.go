package registry

import (
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// act names what a command does, for the table of rights and for refusals.
type act string

const (
	actEnrol      act = "enrol principals"
	actBind       act = "bind roles"
	actToken      act = "issue tokens for others"
	actIdentity   act = "bind platform identities"
	actInvite     act = "invite people"
	actOffboard   act = "see people off"
	actKey        act = "withdraw the keys of others"
	actTeam       act = "create teams"
	actPlace      act = "set up environments"
	actDataset    act = "register datasets"
	actCompare    act = "compare datasets"
	actDecideData act = "approve or withdraw data"
	actRun        act = "record training runs"
	actModel      act = "register models"
	actRegister   act = "register models by MLflow's protocol"
	actLineage    act = "send lineage"
	actUseCase    act = "register use cases"
	actEvaluate   act = "record evaluations"
	actPolicy     act = "publish policies"
	actPropose    act = "propose releases"
	actPromote    act = "promote releases"
	actWaive      act = "waive gates"
	actBreakGlass act = "break glass"
	actReview     act = "review exceptions"
	actComment    act = "comment on releases"
	actSuspend    act = "suspend releases"
	actRetire     act = "retire releases"
	actSignal     act = "record signals"
	actTarget     act = "set up targets"
	actSecret     act = "set secrets"
	actVendor     act = "look after vendors"
	actEnvelope   act = "propose envelopes"
	actWithdraw   act = "withdraw envelopes"
	actProbe      act = "record probes"
	actGateway    act = "bind gateways"
	actRead       act = "read"
)

// rights is the whole table: an act that is missing here is refused.
var rights = map[act][]record.RoleName{
	actEnrol:      {record.Administrator},
	actBind:       {record.Administrator},
	actToken:      {record.Administrator},
	actIdentity:   {record.Administrator},
	actInvite:     {record.Administrator},
	actOffboard:   {record.Administrator},
	actKey:        {record.Administrator},
	actTeam:       {record.Administrator},
	actPlace:      {record.Administrator},
	actDataset:    {record.Contributor, record.DataSteward},
	actCompare:    {record.Contributor, record.DataSteward, record.Evaluator, record.ModelOwner, record.Risk, record.Auditor},
	actDecideData: {record.DataSteward},
	actRun:        {record.Contributor},
	actModel:      {record.Contributor, record.ModelOwner},
	actRegister:   {record.Contributor, record.ModelOwner},
	actLineage:    {record.Contributor},
	actUseCase:    {record.ModelOwner, record.Risk},
	actEvaluate:   {record.Evaluator},
	actPolicy:     {record.Risk},
	actPropose:    {record.Contributor, record.ModelOwner},
	actPromote:    {record.ModelOwner},
	actWaive:      {record.Risk},
	actBreakGlass: {record.ModelOwner, record.Security},
	actReview:     {record.Risk, record.Auditor},
	actComment:    {record.Contributor, record.DataSteward, record.Evaluator, record.ModelOwner, record.Risk, record.Security, record.Auditor, record.Administrator},
	actSuspend:    {record.ModelOwner, record.Risk, record.Security},
	actRetire:     {record.ModelOwner},
	actSignal:     {record.Contributor, record.Evaluator, record.Security},
	actTarget:     {record.Administrator, record.ModelOwner},
	actSecret:     {record.Administrator, record.Security},
	actVendor:     {record.ModelOwner, record.Risk, record.Security},
	actEnvelope:   {record.Contributor, record.ModelOwner},
	actWithdraw:   {record.ModelOwner, record.Risk, record.Security},
	actProbe:      {record.Contributor, record.Evaluator, record.Security},
	actGateway:    {record.Administrator, record.Security},
	actRead:       record.RoleNames,
}

// approving lists the roles in which a person may approve a release; each acts
// in its own name only.
var approving = []record.RoleName{record.ModelOwner, record.Risk, record.Security, record.DataSteward, record.Auditor, record.Evaluator}

// Caller is the authenticated principal on whose behalf a command runs.
type Caller struct {
	// Name is the principal's.
	Name string
	// Type tells people from workloads.
	Type record.PrincipalKind
	// Method is how the caller was authenticated, one of record's methods.
	Method string
	// Scopes limit the credential; empty means no limit beyond the roles.
	Scopes []string
	// Request is the Idempotency-Key with '#' and a fingerprint, or empty.
	Request string
	// Access are the claims of the access token that was shown, where one was: it
	// asks what its workload may do, and opens no other door.
	Access *token.Access
	// token is the ID of the API token that was shown, where one was, and until when
	// the credential expires.
	token string
	until time.Time
}

// may refuses unless the caller holds one of the act's roles for a team, or for
// the one model "team/name" of it, and the credential's scopes reach that far.
func (t *tx) may(a act, where string) error {
	return t.mayAs(a, where, rights[a]...)
}

func (t *tx) mayAs(a act, where string, roles ...record.RoleName) error {
	me, err := t.person(t.who.Name)
	if err != nil {
		return err
	}
	return t.who.may(me, t.now, a, where, roles...)
}

// may is the decision itself, over what is bound to the caller at a time. Who
// holds a role for one model reads the team's records: a model is not judged
// without what it was made from.
func (c Caller) may(me record.Person, now time.Time, a act, where string, roles ...record.RoleName) error {
	if len(roles) == 0 {
		return refusef(wire.Forbidden, "nobody may %s: no role has that right; this is a fault of the program, please report it", a)
	}
	if err := c.stands(me, now); err != nil {
		return err
	}
	team := teamOf(where)
	holds := func(r record.RoleName) bool {
		return me.Holds(r, where, now) || a == actRead && me.HoldsWithin(r, team, now)
	}
	if slices.ContainsFunc(roles, func(r record.RoleName) bool { return holds(r) && c.reaches(a, r) }) {
		return nil
	}
	if slices.ContainsFunc(roles, holds) {
		return refusef(wire.Forbidden, "the token of %s is limited to %s and may not %s; sign in with a wider one", c.Name, strings.Join(c.Scopes, ", "), a)
	}
	return refusef(wire.Forbidden, "%s may not %s %s: that takes the role %s; an administrator can bind it: imprimatur principal bind %s --role %s --team %s",
		c.Name, a, ofTeam(team), orList(roles), c.Name, roles[0], team)
}

// mayAnywhere refuses unless the caller may act for some team.
func (t *tx) mayAnywhere(a act) error {
	me, err := t.person(t.who.Name)
	if err != nil {
		return err
	}
	if err := t.who.stands(me, t.now); err != nil {
		return err
	}
	where := record.AllTeams
	for _, role := range me.RolesAt(t.now) {
		if slices.Contains(rights[a], role.Role) {
			if t.who.reaches(a, role.Role) {
				return nil
			}
			where = role.Where()
		}
	}
	return t.may(a, where)
}

// stands refuses a caller who is not enrolled, is disabled, or has expired.
func (t *tx) stands() error {
	me, err := t.person(t.who.Name)
	if err != nil {
		return err
	}
	return t.who.stands(me, t.now)
}

func (c Caller) stands(me record.Person, now time.Time) error {
	if c.Access != nil {
		return refusef(wire.Forbidden, "an access token of %s asks what the workload may do, and nothing else; sign in with a wider one, from imprimatur principal token %s", c.Name, c.Name)
	}
	if c.Method == MethodPlatform {
		return refusef(wire.Forbidden, "for whom a platform vouches may ask what the workload %s may do, and nothing else; sign in with a token, from imprimatur principal token %s", c.Name, c.Name)
	}
	return c.enrolled(me, now)
}

// asks refuses a caller who may not ask what a workload may do. An access token
// asks for its own workload, under its own release, and for whom a platform vouches
// for its own workload.
func (c Caller) asks(me record.Person, now time.Time, ask *wire.Ask) error {
	if c.Access != nil {
		if ask.Workload != c.Name || ask.Release != "" && ask.Release != c.Access.Release {
			return refusef(wire.Forbidden, "an access token asks for its own workload and release, %s and %s; sign in with a wider one to ask for others", c.Name, c.Access.Release)
		}
		ask.Release = c.Access.Release
	}
	if c.Method == MethodPlatform && ask.Workload != c.Name {
		return refusef(wire.Forbidden, "for whom a platform vouches asks for its own workload, %s; sign in with a token to ask for others", c.Name)
	}
	return c.enrolled(me, now)
}

func (c Caller) enrolled(me record.Person, now time.Time) error {
	if me.Principal.Name == "" {
		return unknownPrincipal(c.Name)
	}
	if !me.Principal.Stands(now) {
		return refusef(wire.Forbidden, "%s is disabled or has expired; an administrator can renew it: imprimatur principal enrol %s", c.Name, c.Name)
	}
	return nil
}

// onlyReads reports whether the credential may state nothing.
func (c Caller) onlyReads() bool {
	return len(c.Scopes) > 0 && !slices.ContainsFunc(c.Scopes, func(s string) bool { return s != record.ScopeRead })
}

// mayState refuses a credential that may state nothing.
func (c Caller) mayState() error {
	if c.Access != nil {
		return refusef(wire.Forbidden, "an access token of %s changes nothing; sign in with a wider one, from imprimatur principal token %s", c.Name, c.Name)
	}
	if c.onlyReads() {
		return refusef(wire.Forbidden, "the token of %s is limited to read and may change nothing; sign in with a wider one", c.Name)
	}
	return nil
}

func (c Caller) reaches(a act, role record.RoleName) bool {
	if len(c.Scopes) == 0 || slices.Contains(c.Scopes, record.ScopeWrite) || slices.Contains(c.Scopes, string(role)) {
		return true
	}
	return a == actRead && slices.Contains(c.Scopes, record.ScopeRead)
}

func ofTeam(team string) string {
	if team == record.AllTeams {
		return "for the whole installation"
	}
	return "for team " + team
}

func orList(roles []record.RoleName) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " or ")
}
