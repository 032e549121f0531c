package api

import (
	"net/http"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)

// reg is short for the rows' method expressions.
type reg = registry.Registry

// routes is the whole API.
var routes = []route{
	{get, "/me", "Me", "Who the caller is, and their roles", signedIn, 0, ask(me)},
	{get, "/waiting", "Waiting", "What waits for the caller: what runs first, then the riskiest, then the oldest", signedIn, 0, ask(waiting)},
	{post, "/principals", "EnrolPrincipal", "Enrol a principal, or change one", signedIn, 0, create((*reg).EnrolPrincipal)},
	{get, "/principals", "ListPrincipals", "What was stated of principals", signedIn, 0, list(record.KindPrincipal)},
	{get, "/principals/{id}", "Principal", "A principal with its roles", signedIn, 0, on((*reg).Principal)},
	{post, "/principals/{id}/invite", "Invite", "Make a link by which a person says, once, how they will sign in; its secret is in this answer only", signedIn, 0, on((*reg).Invite)},
	{post, "/principals/{id}/offboard", "Offboard", "See off a person who leaves: hand over what they own, end their roles, tokens and keys, and disable them, in one step", signedIn, 0, change((*reg).Offboard)},
	{get, "/credentials", "ListCredentials", "What was stated of how people sign in", signedIn, 0, list(record.KindCredential)},
	{post, "/roles", "BindRole", "Bind a role to a principal, or take it away", signedIn, 0, create((*reg).BindRole)},
	{get, "/roles", "ListRoles", "What was stated of roles", signedIn, 0, list(record.KindRole)},
	{post, "/delegations", "Delegate", "Lend a role of one's own to another person for a time, or take that back", signedIn, 0, create((*reg).Delegate)},
	{get, "/delegations", "ListDelegations", "What was stated of delegations", signedIn, 0, list(record.KindDelegation)},
	{post, "/tokens", "IssueToken", "Issue an API token; its secret is in this answer only, and a repeat makes another", signedIn, 0, create((*reg).IssueToken)},
	{get, "/tokens", "ListTokens", "What was stated of tokens", signedIn, 0, list(record.KindToken)},
	{remove, "/tokens/{id}", "RevokeToken", "End a token", signedIn, 0, on((*reg).RevokeToken)},
	{post, "/tokens/{id}/rotate", "RotateToken", "Issue a token in the place of another, which ends after an overlap; its secret is in this answer only", signedIn, 0, change((*reg).RotateToken)},
	{post, "/principal-keys", "EnrolKey", "Enrol a key that signs for a principal", signedIn, 0, create((*reg).EnrolKey)},
	{get, "/principal-keys", "ListPrincipalKeys", "What was stated of the keys of principals", signedIn, 0, list(record.KindPrincipalKey)},
	{post, "/principal-keys/{id}/withdraw", "WithdrawKey", "End a key for good", signedIn, 0, change(withdrawKey)},
	{post, "/identities", "AddIdentity", "Bind what a platform vouches for to a workload", signedIn, 0, create((*reg).AddIdentity)},
	{get, "/identities", "Identities", "What workloads show to say who they are, and when each was last shown", signedIn, 0, ask(identities)},
	{post, "/identities/{id}/end", "EndIdentity", "End an identity for good, with the access tokens that were given for it", signedIn, 0, change((*reg).EndIdentity)},
	{post, "/principals/{id}/end-access", "EndAccess", "End all access tokens that a workload was given until now", signedIn, 0, change((*reg).EndAccess)},
	{post, "/principals/{id}/disable", "DisableWorkload", "Disable a workload, and end all that it shows in the same step", signedIn, 0, change((*reg).DisableWorkload)},
	{post, "/teams", "CreateTeam", "Create a team, or change what it is shown as", signedIn, 0, create((*reg).CreateTeam)},
	{get, "/teams", "ListTeams", "What was stated of teams", signedIn, 0, list(record.KindTeam)},
	{post, "/environments", "SetEnvironment", "Create an environment, or change one", signedIn, 0, create((*reg).SetEnvironment)},
	{get, "/environments", "ListEnvironments", "What was stated of environments", signedIn, 0, list(record.KindEnvironment)},

	{post, "/datasets", "RegisterDataset", "Register a dataset version", signedIn, 0, create((*reg).RegisterDataset)},
	{get, "/datasets", "ListDatasets", "Dataset versions", signedIn, 0, list(record.KindDataset)},
	{post, "/overlaps", "CompareDatasets", "Count the items that two committed datasets have in common", signedIn, 0, create((*reg).CompareDatasets)},
	{get, "/overlaps", "ListOverlaps", "What datasets were found to have in common", signedIn, 0, list(record.KindOverlap)},
	{post, "/data-approvals", "DecideData", "Approve data for named purposes, or withdraw it", signedIn, 0, create((*reg).DecideData)},
	{post, "/withdrawals/preview", "PreviewWithdrawal", "What a withdrawal of data would hit; changes nothing", signedIn, 0, create((*reg).PreviewWithdrawal)},
	{post, "/withdrawals", "Withdraw", "Withdraw data, held to the hit list that was looked at", signedIn, 0, create((*reg).Withdraw)},
	{get, "/data-approvals", "ListDataApprovals", "Approvals and withdrawals of data", signedIn, 0, list(record.KindDataApproval)},
	{post, "/runs", "RecordRun", "Record a training run", signedIn, 0, create((*reg).RecordRun)},
	{post, "/runs/reported", "ReportRun", "Record a run as the team's MLflow reports it, which this server asks", signedIn, 0, create((*reg).ReportRun)},
	{get, "/runs", "ListRuns", "Training runs", signedIn, 0, list(record.KindRun)},
	{post, "/models", "RegisterModel", "Register a model, or change what is said of it", signedIn, 0, create((*reg).RegisterModel)},
	{get, "/models", "ListModels", "What was stated of models", signedIn, 0, list(record.KindModel)},
	{post, "/versions", "RegisterVersion", "Register a model version", signedIn, 0, create((*reg).RegisterVersion)},
	{get, "/versions", "ListVersions", "Model versions", signedIn, 0, list(record.KindModelVersion)},
	{post, "/use-cases", "RegisterUseCase", "Register a use case, or change one", signedIn, 0, create((*reg).RegisterUseCase)},
	{get, "/use-cases", "ListUseCases", "What was stated of use cases", signedIn, 0, list(record.KindUseCase)},
	{put, "/evidence/{id}", "KeepEvidence", "Send a file of evidence under its digest, before it is recorded", signedIn, wire.MaxEvidence, keepEvidence},
	{post, "/evaluations", "RecordEvaluations", "Read evidence that was sent, and record what it says, one evaluation for each suite", signedIn, 0, create((*reg).RecordEvaluations)},
	{get, "/evaluations", "ListEvaluations", "Evaluations", signedIn, 0, list(record.KindEvaluation)},
	{get, "/evidence/{id}", "Evidence", "The raw evidence with a digest", signedIn, 0, evidence},
	{post, "/policies", "PublishPolicy", "Publish a policy file", signedIn, 0, create(publishPolicy)},
	{post, "/policies/try", "TryPolicy", "What a policy file would make of the releases that are live now; nothing is changed", signedIn, 0, create(tryPolicy)},
	{get, "/policies", "ListPolicies", "Policy versions", signedIn, 0, list(record.KindPolicy)},
	{post, "/signals", "RecordSignal", "Record something seen after promotion", signedIn, 0, create((*reg).RecordSignal)},
	{get, "/signals", "ListSignals", "Signals", signedIn, 0, list(record.KindSignal)},

	{post, "/releases", "ProposeRelease", "Propose a release", signedIn, 0, create((*reg).ProposeRelease)},
	{get, "/releases", "Releases", "The releases of a model, or all", signedIn, 0, page(releases)},
	{get, "/releases/{id}", "CheckRelease", "A release with the verdict on it now", signedIn, 0, on((*reg).CheckRelease)},
	{get, "/releases/{id}/history", "History", "Everything stated of the release's line, oldest first", signedIn, 0, on((*reg).History)},
	{get, "/releases/{id}/diff", "DiffReleases", "What changed since another release, or since the one that was live", signedIn, 0, ask(diff)},
	{get, "/releases/{id}/bundle", "Bundle", "The file by which the release verifies offline", signedIn, 0, bundle},
	{post, "/releases/{id}/approvals", "Approve", "Approve, or request changes", signedIn, 0, change(approve)},
	{post, "/releases/{id}/comments", "Comment", "Say something of a release; it fills no seat", signedIn, 0, change(comment)},
	{post, "/releases/{id}/promote", "Promote", "Make it the release that runs in its environment", signedIn, 0, on((*reg).Promote)},
	{post, "/releases/{id}/rollback", "Rollback", "Promote an earlier release of the line again", signedIn, 0, change(rollback)},
	{post, "/releases/{id}/suspend", "Suspend", "Stop the release at once, or lift a suspension", signedIn, 0, change(suspend)},
	{post, "/releases/{id}/retire", "Retire", "End the release for good", signedIn, 0, change(retire)},
	{post, "/releases/{id}/waivers", "Waive", "Set aside one named gate for a time", signedIn, 0, change(waive)},
	{post, "/releases/{id}/break-glass", "BreakGlass", "Promote in spite of the verdict, for a time", signedIn, 0, change(breakGlass)},
	{get, "/exceptions", "ListExceptions", "Waivers and broken glass", signedIn, 0, list(record.KindException)},
	{post, "/exceptions/{id}/review", "ReviewException", "Record the look back at an exception", signedIn, 0, change(review)},
	{post, "/targets", "AddTarget", "Add a target that is told of what is stated; a secret that is made is in this answer only", signedIn, 0, create((*reg).AddTarget)},
	{get, "/targets", "Targets", "The targets that the caller may change", signedIn, 0, ask(targets)},
	{get, "/targets/{id}", "Target", "A target with the deliveries that were not made", signedIn, 0, on((*reg).Target)},
	{post, "/targets/{id}", "ChangeTarget", "Change a target, or its secret", signedIn, 0, change((*reg).ChangeTarget)},
	{remove, "/targets/{id}", "RemoveTarget", "End a target for good", signedIn, 0, on((*reg).RemoveTarget)},
	{post, "/targets/{id}/test", "TestTarget", "Send one message that tells of nothing, and say what became of it", signedIn, 0, on(testTarget)},
	{post, "/targets/{id}/replay", "ReplayTarget", "Deliver what was given up: one delivery, or all", signedIn, 0, change((*reg).ReplayTarget)},
	{post, "/secrets", "SetSecret", "Set a secret that is not there yet; its value is kept encrypted and told to no person", signedIn, wire.MaxSecretBody, create((*reg).SetSecret)},
	{get, "/secrets", "Secrets", "The secrets that there are, without their values", signedIn, 0, ask(secrets)},
	{get, "/secrets/{team}/{name}", "Secret", "A secret with all that was stated of it, without its value", signedIn, 0, ask(secret)},
	{post, "/secrets/{team}/{name}/rotate", "RotateSecret", "Set the next version of a secret", signedIn, wire.MaxSecretBody, changeOf((*reg).RotateSecret)},
	{post, "/secrets/{team}/{name}/withdraw", "WithdrawSecret", "End all versions of a secret for good, and every lease", signedIn, 0, changeOf(withdrawSecret)},
	{post, "/secrets/{team}/{name}/use", "UseSecret", "Tell a secret's value to the workload that asks, where its release grants the action read of it", asking, 0, changeOf((*reg).ReadSecret)},
	{post, "/vendors", "RegisterVendor", "Register a vendor of models, or change what is said of it", signedIn, 0, create((*reg).RegisterVendor)},
	{get, "/vendors", "Vendors", "The vendors that there are, with their documents", signedIn, 0, ask(vendors)},
	{get, "/vendors/{team}/{name}", "Vendor", "A vendor with its documents and the live releases that rest on it", signedIn, 0, ask(vendor)},
	{post, "/vendors/{team}/{name}/assurances", "Assure", "Record a document by which the vendor assures of something, sent before as evidence", signedIn, 0, changeOf((*reg).Assure)},
	{post, "/vendors/{team}/{name}/assurances/withdraw", "WithdrawAssurance", "End a document before its time; live releases that rest on the vendor get a signal", signedIn, 0, changeOf((*reg).WithdrawAssurance)},
	{get, "/assurances", "ListAssurances", "What was stated of the documents of vendors", signedIn, 0, list(record.KindAssurance)},
	{post, "/services", "AcceptService", "Take a vendor's model as a version of one of the team's", signedIn, 0, create((*reg).AcceptService)},
	{get, "/decide", "Decide", "May this artifact run in this environment?", signedIn, 0, ask(decide)},
	{post, "/authorize", "Authorize", "May this workload make this call?", asking, 0, asked((*reg).Authorize)},
	{post, "/authorize/settle", "Settle", "What a call has used of the budget that was reserved for it", asking, 0, asked((*reg).Settle)},
	{get, "/decisions", "ListDecisions", "What workloads asked to do, in sum, with what was refused", signedIn, 0, list(record.KindDecisions)},
	{post, "/decisions", "TellDecisions", "Keep what a gateway has decided by itself", signedIn, 0, create((*reg).TellDecisions)},
	{get, "/decisions/{id}", "DecisionLog", "The decision log with a digest: gzip of JSON lines", signedIn, 0, decisionLog},
	{get, "/releases/{id}/used", "Used", "What was really called under a release, and the authority that is enough for it", signedIn, 0, ask(used)},
	{post, "/releases/{id}/narrow", "ProposeNarrower", "Propose a live release again, with the authority that was enough for what was really called", signedIn, 0, change((*reg).ProposeNarrower)},
	{get, "/inventory", "Inventory", "The workloads and credentials that the caller oversees or answers for, with what is to be mended about them: never a value", signedIn, 0, ask(inventory)},
	{get, "/authority", "Granted", "What may this workload do now? For who decides its calls beside it, and asks again before it relies on the answer", asking, 0, ask(granted)},

	{get, "/audit/live", "Live", "What was live at a time, by whose approval and on what evidence", signedIn, 0, ask(live)},
	{get, "/audit/who", "By", "What a principal stated", signedIn, 0, page(by)},
	{get, "/audit/impact", "Impact", "What was made from a thing, rests on it or was done by it", signedIn, 0, ask(impact)},
	{get, "/graph", "Graph", "What a thing was made from, and what was made from it", signedIn, 0, ask(graph)},

	{get, "/log/entries", "List", "The statements of one kind", signedIn, 0, page(entries)},
	{get, "/log/proof", "Proof", "The proof that an entry is in the ledger", public, 0, ask(proof)},
	{get, "/log/consistency", "Consistency", "The proof that the ledger of one size begins that of another", public, 0, ask(consistency)},
	{get, "/log/status", "Status", "How long the ledger is, and who signs it", public, 0, ask(status)},
}
