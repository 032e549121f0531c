package registry_test

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// door is one command or query with what opens it.
type door struct {
	method string
	// act is the row of the table of rights; empty for an approval, which takes
	// exactly the role named in it.
	act string
	// roles are those that the door must open to: written out here, so that a
	// change of the table of rights is seen.
	roles []record.RoleName
	// everywhere says that the role must be held for all teams.
	everywhere bool
	call       func(registry.Caller) error
}

func only[T any](_ T, err error) error { return err }

// doors lists every exported command and query that asks for a right. Calls may
// fail behind the door; which refusal they meet is what is tested.
func doors(h *house, c wire.Case, exception string) []door {
	R := func(roles ...record.RoleName) []record.RoleName { return roles }
	reg, ctx := h.reg, h.ctx
	token := must[wire.IssuedToken](h)(reg.IssueToken(ctx, administrator, wire.TokenRequest{Principal: "sam", Scopes: []string{"write"}, Seconds: 60}))
	key := h.key(sam).ID()
	all := record.RoleNames
	word := func(role record.RoleName) func(registry.Caller) error {
		return func(who registry.Caller) error {
			return only(reg.Approve(ctx, who, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: role, Decision: record.RequestChanges}))
		}
	}
	event := must[openlineage.Event](h)(openlineage.Parse([]byte(`{"eventTime":"2026-05-01T09:00:00Z","job":{"namespace":"flow","name":"train"}}`)))
	out := []door{
		{"EnrolPrincipal", "enrol principals", R(record.Administrator), true, func(w registry.Caller) error { return only(reg.EnrolPrincipal(ctx, w, record.Principal{})) }},
		{"BindRole", "bind roles", R(record.Administrator), true, func(w registry.Caller) error { return only(reg.BindRole(ctx, w, record.Role{Principal: "ann"})) }},
		{"IssueToken", "issue tokens for others", R(record.Administrator), true, func(w registry.Caller) error {
			return only(reg.IssueToken(ctx, w, wire.TokenRequest{Principal: "sam"}))
		}},
		{"RevokeToken", "issue tokens for others", R(record.Administrator), true, func(w registry.Caller) error {
			return only(reg.RevokeToken(ctx, w, token.Token.Record.ID))
		}},
		{"Invite", "invite people", R(record.Administrator), true, func(w registry.Caller) error { return only(reg.Invite(ctx, w, "sam")) }},
		{"SignOutEverywhere", "issue tokens for others", R(record.Administrator), true, func(w registry.Caller) error { return reg.SignOutEverywhere(ctx, w, "sam") }},
		{"Offboard", "see people off", R(record.Administrator), true, func(w registry.Caller) error {
			return only(reg.Offboard(ctx, w, "sam", wire.Offboarding{DryRun: true}))
		}},
		{"CreateTeam", "create teams", R(record.Administrator), true, func(w registry.Caller) error { return only(reg.CreateTeam(ctx, w, record.Team{})) }},
		{"SetEnvironment", "set up environments", R(record.Administrator), true, func(w registry.Caller) error { return only(reg.SetEnvironment(ctx, w, record.Environment{})) }},
		{"RegisterDataset", "register datasets", R(record.Contributor, record.DataSteward), false, func(w registry.Caller) error {
			return only(reg.RegisterDataset(ctx, w, record.Dataset{Team: "lab", Name: "d", Version: "1", Digest: digest("data 1"), Source: "s", Classification: "c", Owner: "bob"}))
		}},
		{"RecordRun", "record training runs", R(record.Contributor), false, func(w registry.Caller) error {
			thing := []record.Resource{{Type: record.ResourceModel, Name: "m", Digest: digest("m")}}
			future := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
			return only(reg.RecordRun(ctx, w, record.Run{Team: "lab", ID: "r", Code: record.Code{Repository: "r", Commit: strings.Repeat("a", 40)}, Inputs: thing, Outputs: thing, Started: future, Finished: future}))
		}},
		{"SendLineage", "send lineage", R(record.Contributor), false, func(w registry.Caller) error {
			w.Type = record.Workload // a person must own one besides
			return reg.SendLineage(ctx, w, "lab", []openlineage.Event{event})
		}},
		{"RegisterModel", "register models", R(record.Contributor, record.ModelOwner), false, func(w registry.Caller) error {
			return only(reg.RegisterModel(ctx, w, record.Model{Team: "lab"}))
		}},
		{"RegisterVersion", "register models", R(record.Contributor, record.ModelOwner), false, func(w registry.Caller) error {
			v := record.ModelVersion{Model: "lab/none", Version: "1", Type: record.Trained, Artifact: digest("m"), Files: []record.File{{Path: "m", SHA256: digest("m").Hex(), Size: 1}}}
			return only(reg.RegisterVersion(ctx, w, v))
		}},
		{"RegisteredModel", "read", all, false, func(w registry.Caller) error { return only(reg.RegisteredModel(ctx, w, "lab", "none")) }},
		{"RegisteredModels", "read", all, false, func(w registry.Caller) error { return only(reg.RegisteredModels(ctx, w, "lab")) }},
		{"HandOut", "read", all, false, func(w registry.Caller) error {
			_, _, err := reg.HandOut(ctx, w, "lab", "none", 1)
			return err
		}},
		{"RegisterUseCase", "register use cases", R(record.ModelOwner, record.Risk), false, func(w registry.Caller) error {
			return only(reg.RegisterUseCase(ctx, w, record.UseCase{Team: "lab", Name: "u", Title: "U", Purpose: "u", Owner: "olga", Tier: "high", Environments: []string{"nowhere"}}))
		}},
		{"RecordEvaluations", "record evaluations", R(record.Evaluator), false, func(w registry.Caller) error {
			return only(reg.RecordEvaluations(ctx, w, submission(digest("unknown"), digest("d"))))
		}},
		{"WithdrawKey", "withdraw the keys of others", R(record.Administrator), true, func(w registry.Caller) error {
			return only(reg.WithdrawKey(ctx, w, key, ""))
		}},
		{"RecordSignal", "record signals", R(record.Contributor, record.Evaluator, record.Security), false, func(w registry.Caller) error {
			return only(reg.RecordSignal(ctx, w, record.Signal{Release: c.ID, Line: c.Line}))
		}},
		{"PublishPolicy", "publish policies", R(record.Risk), true, func(w registry.Caller) error { return only(reg.PublishPolicy(ctx, w, []byte(rules), "other reason")) }},
		{"ProposeRelease", "propose releases", R(record.Contributor, record.ModelOwner), false, func(w registry.Caller) error {
			return only(reg.ProposeRelease(ctx, w, wire.Proposal{Version: "lab/net@1", UseCase: "lab/none", Environment: "production"}))
		}},
		{"Promote", "promote releases", R(record.ModelOwner), false, func(w registry.Caller) error { return only(reg.Promote(ctx, w, c.ID)) }},
		{"CompareDatasets", "compare datasets", R(record.Contributor, record.DataSteward, record.Evaluator, record.ModelOwner, record.Risk, record.Auditor), false, func(w registry.Caller) error {
			return only(reg.CompareDatasets(ctx, w, wire.Comparison{A: digest("data 1"), B: digest("held out")}))
		}},
		{"Rollback", "promote releases", R(record.ModelOwner), false, func(w registry.Caller) error { return only(reg.Rollback(ctx, w, c.ID, c.ID, "r")) }},
		{"Drill", "promote releases", R(record.ModelOwner), false, func(w registry.Caller) error { return only(reg.Drill(ctx, w, c.ID, wire.DrillRequest{})) }},
		{"Waive", "waive gates", R(record.Risk), false, func(w registry.Caller) error { return only(reg.Waive(ctx, w, c.ID, "no such gate", "r", time.Hour)) }},
		{"BreakGlass", "break glass", R(record.ModelOwner, record.Security), false, func(w registry.Caller) error { return only(reg.BreakGlass(ctx, w, c.ID, registry.Glass{})) }},
		{"Comment", "comment on releases", R(record.Contributor, record.DataSteward, record.Evaluator, record.ModelOwner, record.Risk, record.Security, record.Auditor, record.Administrator), false, func(w registry.Caller) error {
			return only(reg.Comment(ctx, w, c.ID, ""))
		}},
		{"ReviewException", "review exceptions", R(record.Risk, record.Auditor), false, func(w registry.Caller) error {
			return only(reg.ReviewException(ctx, w, exception, "", ""))
		}},
		{"Suspend", "suspend releases", R(record.ModelOwner, record.Risk, record.Security), false, func(w registry.Caller) error { return only(reg.Suspend(ctx, w, c.ID, "", false)) }},
		{"Retire", "retire releases", R(record.ModelOwner), false, func(w registry.Caller) error { return only(reg.Retire(ctx, w, c.ID, "")) }},
		{"CheckRelease", "read", all, false, func(w registry.Caller) error { return only(reg.CheckRelease(ctx, w, c.ID)) }},
		{"InspectRelease", "read", all, false, func(w registry.Caller) error { return only(reg.InspectRelease(ctx, w, c.ID, "")) }},
		{"DiffReleases", "read", all, false, func(w registry.Caller) error { return only(reg.DiffReleases(ctx, w, c.ID, c.ID)) }},
		{"History", "read", all, false, func(w registry.Caller) error { return only(reg.History(ctx, w, c.ID)) }},
		{"Bundle", "read", all, false, func(w registry.Caller) error { return only(reg.Bundle(ctx, w, c.ID)) }},
	}
	out = append(append(out, registrationDoors(h)...), identityDoors(h)...)
	out = append(out, dataDoors(h)...)
	out = append(out, moveDoors(h)...)
	out = append(out, slices.Concat(targetDoors(h), secretDoors(h), vendorDoors(h, c))...)
	out = append(append(out, lookingDoors(h, c)...), envelopeDoors(h, c)...)
	for _, role := range []record.RoleName{record.ModelOwner, record.Risk, record.Security} {
		out = append(out, door{"Approve", "", R(role), false, word(role)})
	}
	return out
}

// lookingDoors are those that are opened before something is done.
func lookingDoors(h *house, c wire.Case) []door {
	reg, ctx := h.reg, h.ctx
	return []door{
		{"Monitor", "read", record.RoleNames, false, func(w registry.Caller) error { return only(h.reg.Monitor(h.ctx, w, c.ID)) }},
		{"ForeseeRollback", "promote releases", []record.RoleName{record.ModelOwner}, false, func(w registry.Caller) error { return only(reg.ForeseeRollback(ctx, w, c.ID, c.ID)) }},
		{"ProposeNarrower", "propose releases", []record.RoleName{record.Contributor, record.ModelOwner}, false, func(w registry.Caller) error {
			return only(reg.ProposeNarrower(ctx, w, c.ID, wire.Narrower{}))
		}},
		{"ForeseePromote", "promote releases", []record.RoleName{record.ModelOwner}, false, func(w registry.Caller) error { return only(reg.ForeseePromote(ctx, w, c.ID)) }},
		{"ForeseeEnrol", "enrol principals", []record.RoleName{record.Administrator}, true, func(w registry.Caller) error { return reg.ForeseeEnrol(ctx, w) }},
		{"ForeseeBind", "bind roles", []record.RoleName{record.Administrator}, true, func(w registry.Caller) error { return reg.ForeseeBind(ctx, w) }},
		{"ForeseeInvite", "invite people", []record.RoleName{record.Administrator}, true, func(w registry.Caller) error { return reg.ForeseeInvite(ctx, w, "sam") }},
		{"ForeseePolicy", "publish policies", []record.RoleName{record.Risk}, true, func(w registry.Caller) error { return reg.ForeseePolicy(ctx, w) }},
		{"ForeseeData", "approve or withdraw data", []record.RoleName{record.DataSteward}, false, func(w registry.Caller) error {
			return only(reg.ForeseeData(ctx, w, record.DataApproval{Dataset: c.Release.Record.Data.Datasets[0], Decision: record.Withdraw}))
		}},
		{"ForeseeSuspend", "suspend releases", []record.RoleName{record.ModelOwner, record.Risk, record.Security}, false, func(w registry.Caller) error { return only(reg.ForeseeSuspend(ctx, w, c.ID, false)) }},
		{"Entry", "read", record.RoleNames, false, func(w registry.Caller) error { return only(reg.Entry(ctx, w, c.Release.Index)) }},
	}
}

// identityDoors are those of what workloads show.
func identityDoors(h *house) []door {
	h.Helper()
	reg, ctx, admin := h.reg, h.ctx, []record.RoleName{record.Administrator}
	id := must[record.Recorded[record.Identity]](h)(reg.AddIdentity(ctx, administrator, record.Identity{Workload: "robot", Type: record.IdentityCertificate, Certificate: digest("certificate")})).Record.ID
	token := h.token("robot", time.Minute).Token.Record.ID
	return []door{
		{"AddIdentity", "bind platform identities", admin, true, func(w registry.Caller) error { return only(reg.AddIdentity(ctx, w, record.Identity{})) }},
		{"EndIdentity", "bind platform identities", admin, true, func(w registry.Caller) error { return only(reg.EndIdentity(ctx, w, id, wire.Stop{})) }},
		{"DisableWorkload", "issue tokens for others", admin, true, func(w registry.Caller) error { return only(reg.DisableWorkload(ctx, w, "robot", wire.Stop{})) }},
		{"RotateToken", "issue tokens for others", admin, true, func(w registry.Caller) error { return only(reg.RotateToken(ctx, w, token, wire.TokenRotation{})) }},
		{"EndAccess", "issue tokens for others", admin, true, func(w registry.Caller) error { return only(reg.EndAccess(ctx, w, "robot", wire.Stop{})) }},
	}
}

// targetDoors are those of what is told to others.
func targetDoors(h *house) []door {
	reg, ctx := h.reg, h.ctx
	act, roles := "set up targets", []record.RoleName{record.Administrator, record.ModelOwner}
	hook := wire.TargetRequest{Team: "lab", Name: "hook", Form: record.FormWebhook, URL: "https://hook.example.invalid/"}
	target := must[wire.KeptTarget](h)(reg.AddTarget(ctx, administrator, hook)).Target.Record.ID
	other := must[wire.KeptTarget](h)(reg.AddTarget(ctx, administrator, hook)).Target.Record.ID
	return []door{
		{"AddTarget", act, roles, false, func(w registry.Caller) error {
			return only(reg.AddTarget(ctx, w, wire.TargetRequest{Team: "lab", Name: "x", Form: record.FormWebhook, URL: "ftp://x"}))
		}},
		{"ChangeTarget", act, roles, false, func(w registry.Caller) error {
			return only(reg.ChangeTarget(ctx, w, target, wire.TargetChange{Name: new("")}))
		}},
		{"RemoveTarget", act, roles, false, func(w registry.Caller) error { return only(reg.RemoveTarget(ctx, w, other)) }},
		{"Target", act, roles, false, func(w registry.Caller) error { return only(reg.Target(ctx, w, target)) }},
		{"TestTarget", act, roles, false, func(w registry.Caller) error { return only(reg.TestTarget(ctx, w, target, "")) }},
		{"ReplayTarget", act, roles, false, func(w registry.Caller) error {
			return only(reg.ReplayTarget(ctx, w, target, wire.Replay{}))
		}},
	}
}

// secretDoors are those of secrets; UseSecret, AttachSecret and ReadSecret open to a workload by
// a grant, and to nobody by a role.
func secretDoors(h *house) []door {
	reg, ctx := h.reg, h.ctx
	act, roles := "set secrets", []record.RoleName{record.Administrator, record.Security}
	gateway := must[record.Recorded[record.Gateway]](h)(reg.BindGateway(ctx, administrator, record.Gateway{Workload: "robot", Team: "lab", Environment: "production"})).Record.ID
	return []door{
		{"SetSecret", act, roles, false, func(w registry.Caller) error {
			return only(reg.SetSecret(ctx, w, wire.SecretRequest{Team: "lab", Name: "crm-key"}))
		}},
		{"RotateSecret", act, roles, false, func(w registry.Caller) error {
			return only(reg.RotateSecret(ctx, w, "lab", "crm-key", wire.SecretRotation{}))
		}},
		{"WithdrawSecret", act, roles, false, func(w registry.Caller) error {
			return only(reg.WithdrawSecret(ctx, w, "lab", "crm-key", ""))
		}},
		{"BindGateway", "bind gateways", roles, false, func(w registry.Caller) error {
			return only(reg.BindGateway(ctx, w, record.Gateway{Team: "lab"}))
		}},
		{"EndGateway", "bind gateways", roles, false, func(w registry.Caller) error { return only(reg.EndGateway(ctx, w, gateway, wire.Stop{})) }},
		{"Secret", "read", record.RoleNames, false, func(w registry.Caller) error { return only(reg.Secret(ctx, w, "lab", "crm-key")) }},
	}
}

// vendorDoors are those of vendors and their services.
func vendorDoors(h *house, c wire.Case) []door {
	reg, ctx := h.reg, h.ctx
	act, roles := "look after vendors", []record.RoleName{record.ModelOwner, record.Risk, record.Security}
	return []door{
		{"RegisterVendor", act, roles, false, func(w registry.Caller) error {
			return only(reg.RegisterVendor(ctx, w, record.ModelVendor{Team: "lab", Name: "other", Owner: "nobody", Contact: "c"}))
		}},
		{"Assure", act, roles, false, func(w registry.Caller) error {
			return only(reg.Assure(ctx, w, "lab", "none", wire.AssuranceRequest{}))
		}},
		{"WithdrawAssurance", act, roles, false, func(w registry.Caller) error {
			return only(reg.WithdrawAssurance(ctx, w, "lab", "none", wire.AssuranceEnd{}))
		}},
		{"AcceptService", "register models", []record.RoleName{record.Contributor, record.ModelOwner}, false, func(w registry.Caller) error {
			return only(reg.AcceptService(ctx, w, wire.ServiceRequest{Version: "lab/none@1"}))
		}},
		{"RecordProbe", "record probes", []record.RoleName{record.Contributor, record.Evaluator, record.Security}, false, func(w registry.Caller) error {
			return only(reg.RecordProbe(ctx, w, wire.ProbeSubmission{Vendor: "lab/none"}))
		}},
		{"SeeModel", "record signals", []record.RoleName{record.Contributor, record.Evaluator, record.Security}, false, func(w registry.Caller) error {
			return only(reg.SeeModel(ctx, w, wire.ModelSeen{Release: c.ID, Vendor: "parrot", Model: "chat-2"}))
		}},
		{"Probe", "read", record.RoleNames, false, func(w registry.Caller) error { return only(reg.Probe(ctx, w, h.aProbe)) }},
		{"Vendor", "read", record.RoleNames, false, func(w registry.Caller) error { return only(reg.Vendor(ctx, w, "lab", "parrot")) }},
	}
}

// moveDoors are those of what is said of aliases elsewhere.
func moveDoors(h *house) []door {
	reg, ctx, signals := h.reg, h.ctx, []record.RoleName{record.Contributor, record.Evaluator, record.Security}
	return []door{
		{"ReportMove", "record signals", signals, false, func(w registry.Caller) error {
			return reg.ReportMove(ctx, w, record.Signal{Type: record.SignalMoved, Detail: "no release", Move: &record.Move{Registry: "m", Team: "lab", Model: "n", Alias: "a", Environment: "production"}})
		}},
		{"MayMoveBack", "record signals", signals, false, func(w registry.Caller) error {
			return reg.MayMoveBack(ctx, w, record.Move{Registry: "m", Team: "lab", Model: "n", Alias: "a"})
		}},
		{"Moves", "read", record.RoleNames, false, func(w registry.Caller) error {
			_, err := reg.Moves(ctx, w, "lab", "m")
			return err
		}},
	}
}

// dataDoors are those of a data steward's words.
func dataDoors(h *house) []door {
	reg, ctx, R := h.reg, h.ctx, func(roles ...record.RoleName) []record.RoleName { return roles }
	return []door{
		{"DecideData", "approve or withdraw data", R(record.DataSteward), false, func(w registry.Caller) error {
			return only(reg.DecideData(ctx, w, record.DataApproval{Dataset: digest("data 1"), Decision: record.Allow, Purposes: []string{"x"}, Expires: time.Unix(1, 0), Reason: "r"}))
		}},
		{"DecideData", "approve or withdraw data", R(record.DataSteward), true, func(w registry.Caller) error {
			return only(reg.DecideData(ctx, w, record.DataApproval{Source: "s3://other/*", Decision: record.Allow, Purposes: []string{"x"}, Expires: time.Unix(1, 0), Reason: "r"}))
		}},
		{"Withdraw", "approve or withdraw data", R(record.DataSteward), false, func(w registry.Caller) error {
			return only(reg.Withdraw(ctx, w, wire.Withdrawal{Approval: record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Purposes: []string{"x"}, Reason: "r"}, Seen: digest("other")}))
		}},
		{"PreviewWithdrawal", "approve or withdraw data", R(record.DataSteward), false, func(w registry.Caller) error {
			return only(reg.PreviewWithdrawal(ctx, w, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Purposes: []string{"x"}, Reason: "r"}))
		}},
	}
}

// registrationDoors are those of MLflow's registry.
func registrationDoors(h *house) []door {
	reg, ctx := h.reg, h.ctx
	register, contributes := "register models by MLflow's protocol", []record.RoleName{record.Contributor, record.ModelOwner}
	return []door{
		{"ReportRun", "record training runs", []record.RoleName{record.Contributor}, false, func(w registry.Caller) error {
			return only(reg.ReportRun(ctx, w, wire.NamedRun{Team: "lab", Run: "r"}))
		}},
		{"CreateRegisteredModel", register, contributes, false, func(w registry.Caller) error {
			return reg.CreateRegisteredModel(ctx, w, "lab", "taken", "", nil)
		}},
		{"RenameRegisteredModel", register, contributes, false, func(w registry.Caller) error { return reg.RenameRegisteredModel(ctx, w, "lab", "none", "other") }},
		{"AmendRegisteredModel", register, contributes, false, func(w registry.Caller) error {
			return reg.AmendRegisteredModel(ctx, w, "lab", "none", registry.Amendment{})
		}},
		{"DeleteRegisteredModel", register, contributes, false, func(w registry.Caller) error { return reg.DeleteRegisteredModel(ctx, w, "lab", "none") }},
		{"CreateRegisteredVersion", register, contributes, false, func(w registry.Caller) error {
			return only(reg.CreateRegisteredVersion(ctx, w, record.RegisteredVersion{Team: "lab", Name: "none", Source: "runs:/r/m"}))
		}},
		{"AmendRegisteredVersion", register, contributes, false, func(w registry.Caller) error {
			return reg.AmendRegisteredVersion(ctx, w, "lab", "none", 1, registry.Amendment{})
		}},
		{"DeleteRegisteredVersion", register, contributes, false, func(w registry.Caller) error { return reg.DeleteRegisteredVersion(ctx, w, "lab", "none", 1) }},
		{"MoveStage", register, contributes, false, func(w registry.Caller) error {
			return reg.MoveStage(ctx, w, "lab", "none", 1, record.StageStaging, false)
		}},
		{"RegisteredVersion", "read", record.RoleNames, false, func(w registry.Caller) error {
			_, _, err := reg.RegisteredVersion(ctx, w, "lab", "shown", 1)
			return err
		}},
		{"HandOutBytes", "read", record.RoleNames, false, func(w registry.Caller) error { return reg.HandOutBytes(ctx, w, registry.PlaceOf("s3://bucket/shown")) }},
		{"SetAlias", register, contributes, false, func(w registry.Caller) error { return reg.SetAlias(ctx, w, "lab", "none", "blue", 1) }},
		{"DeleteAlias", register, contributes, false, func(w registry.Caller) error { return reg.DeleteAlias(ctx, w, "lab", "none", "blue") }},
	}
}

// lists are the queries that answer to anyone with a role anywhere, and then
// show what that role may see.
func lists(h *house, c wire.Case) map[string]func(registry.Caller) (int, error) {
	count := func(p wire.Page, err error) (int, error) { return len(p.Entries), err }
	return map[string]func(registry.Caller) (int, error){
		"Live": func(w registry.Caller) (int, error) {
			l, err := h.reg.Live(h.ctx, w, time.Time{})
			return len(l), err
		},
		"LivePage": func(w registry.Caller) (int, error) {
			p, err := h.reg.LivePage(h.ctx, w, wire.LiveQuery{Environment: "production"})
			return len(p.Releases), err
		},
		"Changes": func(w registry.Caller) (int, error) {
			l, err := h.reg.Changes(h.ctx, w)
			return len(l), err
		},
		"Named": func(w registry.Caller) (int, error) {
			p, err := h.reg.Named(h.ctx, w, wire.Browse{Prefix: record.KeyModel("")})
			return len(p.Entries), err
		},
		"TryPolicy": func(w registry.Caller) (int, error) {
			got, err := h.reg.TryPolicy(h.ctx, w, []byte(rules))
			return len(got.Tried), err
		},
		"Owned": func(w registry.Caller) (int, error) {
			l, err := h.reg.Owned(h.ctx, w, "bob")
			return len(l), err
		},
		"Entries": func(w registry.Caller) (int, error) {
			return count(h.reg.Entries(h.ctx, w, wire.EntriesQuery{Kind: record.KindRelease}))
		},
		"Under": func(w registry.Caller) (int, error) {
			return count(h.reg.Under(h.ctx, w, 0, 0, record.KeyModel("lab/net"), record.KeyVersions("lab/net")))
		},
		"Impact": func(w registry.Caller) (int, error) {
			l, err := h.reg.Impact(h.ctx, w, string(c.Release.Record.Behaviour.Artifact), "", 0)
			return len(l.Reached), err
		},
		"Graph": func(w registry.Caller) (int, error) {
			l, err := h.reg.Graph(h.ctx, w, c.ID, registry.Asked{})
			return len(l.Nodes), err
		},
		"Envelopes": func(w registry.Caller) (int, error) {
			l, err := h.reg.Envelopes(h.ctx, w, "")
			return len(l), err
		},
		"Secrets": func(w registry.Caller) (int, error) {
			l, err := h.reg.Secrets(h.ctx, w, "")
			return len(l), err
		},
		"Vendors": func(w registry.Caller) (int, error) {
			l, err := h.reg.Vendors(h.ctx, w, "")
			return len(l), err
		},
		"LineageOf": func(w registry.Caller) (int, error) {
			l, err := h.reg.LineageOf(h.ctx, w, "job:flow:train", 1)
			return len(l.Graph), err
		},
		"Gateways": func(w registry.Caller) (int, error) {
			l, err := h.reg.Gateways(h.ctx, w, "")
			return len(l), err
		},
		"Identities": func(w registry.Caller) (int, error) {
			l, err := h.reg.Identities(h.ctx, w, "robot")
			return len(l), err
		},
		"List": func(w registry.Caller) (int, error) { return count(h.reg.List(h.ctx, w, record.KindRelease, 0, 0)) },
		"By":   func(w registry.Caller) (int, error) { return count(h.reg.By(h.ctx, w, "robot", 0, 0)) },
		"FindReleases": func(w registry.Caller) (int, error) {
			got, err := h.reg.FindReleases(h.ctx, w, registry.Query{})
			return got.Total, err
		},
		"Summaries": func(w registry.Caller) (int, error) {
			got, err := h.reg.Summaries(h.ctx, w, []string{c.ID})
			return len(got), err
		},
		"Releases": func(w registry.Caller) (int, error) { return count(h.reg.Releases(h.ctx, w, "lab/net", 0, 0)) },
		"Principal": func(w registry.Caller) (int, error) {
			p, err := h.reg.Principal(h.ctx, w, "robot")
			return len(p.Roles), err
		},
		"Evidence": func(w registry.Caller) (int, error) {
			f, err := h.reg.Evidence(h.ctx, w, h.evidenceOf(c))
			if err != nil {
				return 0, err
			}
			defer f.Close()
			content, err := io.ReadAll(f)
			return len(content), err
		},
	}
}

// teamless are the lists of what belongs to no team: principals with what they show, and evidence,
// which goes to whoever has a role and knows its digest; the evaluation tells that
// to its own team alone.
var teamless = []string{"Principal", "Evidence", "Identities"}

// apart are those that ask for no one team, or for a person rather than a role;
// evaluations_test.go, keys_test.go, waiting_test.go, outbox_test.go,
// authorize_test.go, access_test.go, decisions_test.go, delegations_test.go, observations_test.go, secrets_test.go, gateways_test.go and workloads_test.go test them, and server/authzen.
var apart = []string{"KeepEvidence", "EnrolKey", "Delegate", "Waiting", "Authorize", "Granted", "Settle", "WhatMay", "Targets", "DecisionLog", "Used", "TellDecisions", "IssueAccess", "Introspect", "RevokeAccess", "UseSecret", "ReadSecret", "Inventory", "AttachSecret", "CheckLeases", "Observe", "WindowReport"}

// open to all who have the bytes, the file system or a token: they ask for no role.
var unguarded = []string{
	"Authenticate", "Begin", "RecoverAdministrator", "Close", "Whole", "Decide", "DecideFor", "VerifierKey", "Origin",
	"Checkpoint", "Proof", "Consistency", "LogTile", "VerifyLedger", "LogStatus", "Ready", "Me",
	"RegistrationTeam", "URL", "AccessKeys",
	// These turn what a workload shows into who it is.
	"VerifyAccess", "VouchedFor", "Prove",
	// The server asks these of itself, about no caller or about the one that it has.
	"InEnvironment", "KeepBytes", "EnvironmentsOf", "DecideAt", "DecideRelease", "NoteRefused", "Meant", "ReadBytes", "RekeySecrets",
	// Sessions belong to who holds their secret.
	"SignInByToken", "SignInByPassword", "SignInByInvitation", "Invited", "Session", "SignOut", "SetPassword", "SignInByIssuer", "KeepIssuerState", "TakeIssuerState", "BeginPasskey", "FinishPasskey", "BeginPasskeySignIn", "SignInByPasskey", "AskPasskey", "WaysOf", "InviteAdministrator",
	// For tests.
	"Forget", "LearnForInventory", "SetStale", "SetPatience", "Size", "Payloads", "CutStore", "SealDecisions", "WriteDecisions", "SweepDecisions", "FillDecisions", "KeepValue", "LookAtVendors",
	"CloseWindows", "FindSilence",
}

// holder enrols a person with one role for a team.
func (h *house) holder(role record.RoleName, team string, p record.Principal) registry.Caller {
	h.Helper()
	p.Type = record.Human
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, p))
	must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: p.Name, Role: role, Team: team}))
	return caller(p.Name)
}

func rightsHouse(t *testing.T) (h *house, c wire.Case, exception string) {
	h = open(t)
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	h.sends(`{"eventType":"START","eventTime":"2026-05-01T09:00:00Z","run":{"runId":"1"},"job":{"namespace":"flow","name":"train"}}`)
	c = h.live("1")
	h.name("shown")
	h.number("shown", "s3://bucket/shown")
	must[record.Recorded[record.Identity]](t)(h.reg.AddIdentity(h.ctx, administrator, record.Identity{Workload: "robot", Type: record.IdentityCertificate, Certificate: digest("robot")}))
	h.setSecret("crm-key", "v")
	weekly := h.nightly(c.ID)
	weekly.Name = "weekly"
	must[wire.EnvelopeCase](h)(h.reg.ProposeEnvelope(h.ctx, ann, weekly))
	h.parrot()
	full := asBefore
	full.times = 20
	h.aProbe = idOf(h.probed(full))
	h.gateway()
	c2 := h.incomplete("2")
	w := must[wire.Case](t)(h.reg.Waive(h.ctx, rita, c2.ID, "approval/security", "for the test", time.Hour))
	return h, c, record.ExceptionID(w.Exceptions[0].Digest)
}

func TestEveryDoorOpensToItsRolesAlone(t *testing.T) {
	h, c, exception := rightsHouse(t)
	all := doors(h, c, exception)
	for _, role := range record.RoleNames {
		own := h.holder(role, "lab", record.Principal{Name: "lab-" + string(role)})
		foreign := h.holder(role, "other", record.Principal{Name: "other-" + string(role)})
		global := h.holder(role, record.AllTeams, record.Principal{Name: "all-" + string(role)})
		for _, d := range all {
			opens := slices.Contains(d.roles, role)
			expect(h, d, global, opens)
			expect(h, d, own, opens && !d.everywhere)
			expect(h, d, foreign, false)
			narrow := global
			narrow.Scopes = []string{string(someOther(d.roles))}
			expect(h, d, narrow, false)
			narrow.Scopes = []string{record.ScopeRead}
			expect(h, d, narrow, d.act == "read")
			narrow.Scopes = []string{record.ScopeRead, string(role)}
			expect(h, d, narrow, opens)
		}
	}
}

// someOther returns a role that does not open the door; the roles of a door that
// opens to all are answered with one that nobody holds.
func someOther(roles []record.RoleName) record.RoleName {
	for _, r := range record.RoleNames {
		if !slices.Contains(roles, r) {
			return r
		}
	}
	return "nobody"
}

// expect calls a door and demands that it opens, or refuses by a sentence that
// names who can help.
func expect(h *house, d door, who registry.Caller, opens bool) {
	h.Helper()
	err := d.call(who)
	refused := registry.CodeOf(err) == wire.Forbidden
	what := fmt.Sprintf("%s by %s with scopes %v", d.method, who.Name, who.Scopes)
	switch {
	case err != nil && registry.CodeOf(err) == wire.Unavailable:
		h.Errorf("%s could not be decided: %v", what, err)
	case opens && err != nil && refused:
		h.Errorf("%s is refused: %v", what, err)
	case !opens && !refused:
		h.Errorf("%s is let in: %v", what, err)
	case !opens && !strings.Contains(err.Error(), "imprimatur principal ") && !strings.Contains(err.Error(), "sign in with a wider one"):
		h.Errorf("%s is refused without a way on: %v", what, err)
	}
}

func TestNoDoorOpensToTheAbsentTheDisabledAndTheExpired(t *testing.T) {
	h, c, exception := rightsHouse(t)
	out := map[string]registry.Caller{"unknown": caller("nobody")}
	gone := func(name string, change func(*record.Principal)) {
		p := record.Principal{Name: name, Type: record.Human}
		who := h.holder(record.Viewer, record.AllTeams, p)
		for _, r := range record.RoleNames {
			must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: name, Role: r, Team: record.AllTeams}))
		}
		change(&p)
		must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, p))
		out[name] = who
	}
	gone("disabled", func(p *record.Principal) { p.Disabled = true })
	gone("expired", func(p *record.Principal) { p.Expires = record.Millis(h.clock.now()) })
	gone("unbound", func(*record.Principal) {
		for _, r := range record.RoleNames {
			must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "unbound", Role: r, Team: record.AllTeams, Revoked: true}))
		}
	})
	lapsed := func(name string, role record.Role) {
		h.enrol(name)
		for _, r := range record.RoleNames {
			role.Principal, role.Role = name, r
			must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, role))
		}
		out[name] = caller(name)
	}
	lapsed("lapsed", record.Role{Team: record.AllTeams, Expires: record.Millis(h.clock.now())})
	for name, who := range out {
		for _, d := range doors(h, c, exception) {
			if err := d.call(who); !no(err) {
				t.Errorf("%s by the %s: %v", d.method, name, err)
			}
		}
		for method, list := range lists(h, c) {
			if n, err := list(who); n > 0 || !no(err) {
				t.Errorf("%s by the %s shows %d: %v", method, name, n, err)
			}
		}
		if got, err := h.reg.IssueToken(h.ctx, who, wire.TokenRequest{Principal: name, Scopes: []string{"write"}, Seconds: 60}); err == nil && name != "unbound" && name != "lapsed" {
			t.Errorf("the %s got a token: %v", name, got.Token.Record.ID)
		}
	}
}

func no(err error) bool {
	code := registry.CodeOf(err)
	return err != nil && (code == wire.Forbidden || code == wire.Unknown)
}

func TestListsShowTheOwnTeamAlone(t *testing.T) {
	h, c, _ := rightsHouse(t)
	foreign := h.holder(record.Auditor, "other", record.Principal{Name: "foreign"})
	own := h.holder(record.Viewer, "lab", record.Principal{Name: "own"})
	for method, list := range lists(h, c) {
		if n, err := list(own); n == 0 || err != nil {
			t.Errorf("%s shows the own team %d: %v", method, n, err)
		}
		if n, err := list(foreign); (n > 0 && err == nil) != slices.Contains(teamless, method) {
			t.Errorf("%s shows another team %d: %v", method, n, err)
		}
	}
}

// TestWhatHasATeamIsShownToItAlone makes a record of each kind that names a team,
// so that a new kind is not everybody's by being forgotten.
func TestWhatHasATeamIsShownToItAlone(t *testing.T) {
	named := 0
	for _, kind := range record.Kinds() {
		body, err := record.Replay(kind, []byte(`{"team":"lab"}`))
		if err != nil || !reflect.Indirect(reflect.ValueOf(body)).FieldByName("Team").IsValid() {
			continue // of no team, or of one by another record
		}
		named++
		everybodys := kind == record.KindRole || kind == record.KindTarget // a target is judged by who may set it up
		if got := registry.TeamOfRecord(body); (got == "lab") == everybodys {
			t.Errorf("a %s of the team lab is shown to readers of %q", kind, got)
		}
	}
	if named < 8 {
		t.Errorf("only %d kinds of record name a team", named)
	}
}

func TestAMissingRowRefuses(t *testing.T) {
	h, c, exception := rightsHouse(t)
	who := h.holder(record.Viewer, record.AllTeams, record.Principal{Name: "everything"})
	for _, r := range record.RoleNames {
		must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: who.Name, Role: r, Team: record.AllTeams}))
	}
	seen := map[string]bool{}
	for _, d := range doors(h, c, exception) {
		if d.act == "" {
			continue
		}
		seen[d.act] = true
		registry.WithoutRight(d.act, func() {
			h.refused(d.call(who), wire.Forbidden, "nobody may "+d.act)
		})
	}
	for act := range registry.Rights() {
		if !seen[act] {
			t.Errorf("no door asks for the right to %s", act)
		}
	}
}

func TestEveryMethodIsADoor(t *testing.T) {
	h, c, exception := rightsHouse(t)
	known := slices.Concat(unguarded, apart)
	for _, d := range doors(h, c, exception) {
		known = append(known, d.method)
	}
	for method := range lists(h, c) {
		known = append(known, method)
	}
	typ := reflect.TypeFor[*registry.Registry]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; !slices.Contains(known, name) {
			t.Errorf("the method %s is walked by no test of rights: add it to doors, lists or unguarded", name)
		}
	}
}

// TestCreatingGivesNoRight has one contributor make everything there is to make.
func TestCreatingGivesNoRight(t *testing.T) {
	h := open(t)
	before := must[wire.Page](t)(h.reg.List(h.ctx, administrator, record.KindRole, 0, 0))
	c := h.ready("1")
	h.enrol("carl", record.Contributor)
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "made"}))
	_, err := h.reg.RegisterModel(h.ctx, administrator, record.Model{Team: "made", Name: "net", Type: record.Trained, Owner: "administrator"})
	h.refused(err, wire.Forbidden, "register models for team made", "contributor or model-owner")
	again := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, caller("carl"), wire.Proposal{
		Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Authority: record.Authority{Tools: []record.Grant{{Resource: "t", Actions: []string{"call"}}}}, Incomplete: true,
	}))
	for _, id := range []string{c.ID, again.ID} {
		_, err = h.reg.Promote(h.ctx, caller("carl"), id)
		h.refused(err, wire.Forbidden, "carl may not promote releases for team lab", "model-owner", "--role model-owner --team lab")
	}
	after := must[wire.Page](t)(h.reg.List(h.ctx, administrator, record.KindRole, 0, 0))
	if got, want := len(after.Entries), len(before.Entries)+1; got != want {
		t.Errorf("%d roles were bound, want the %d of enrolling alone", got, want)
	}
}

// evidenceOf is the digest of the evidence that a release rests on.
func (h *house) evidenceOf(c wire.Case) record.Digest {
	h.Helper()
	for _, e := range must[wire.Page](h)(h.reg.List(h.ctx, rita, record.KindEvaluation, 0, 0)).Entries {
		if slices.Contains(c.Release.Record.Behaviour.Evaluations, e.Digest) {
			return must[record.Body](h)(record.Replay(e.Kind, e.Record)).(record.Evaluation).Evidence[0].Digest
		}
	}
	h.Fatal("the release rests on no evaluation")
	return ""
}
