// Command imprimatur is the whole product in one program: the server, the
// client of its API, and the tools that work on files with no server at all.
//
// # Manners
//
// A command is a noun and a verb. What was asked for goes to standard output
// and nothing else does: as text for people or, with --json, as one JSON value.
// Everything that went wrong goes to standard error as "imprimatur: " and a
// sentence, with a hint where there is a next step; with --json a refusal is
// also an object on standard output, with its code, reasons and verdict.
//
//	exit 0  yes
//	exit 1  no: refused, with every reason
//	exit 2  wrong use, or input that cannot be read as what it should be
//	exit 3  could not decide: a server or a file is out of reach
//
// Nothing that could not be decided is ever 0. A command that runs another, eval
// wrap, ends with that one's status.
//
// # Environment
//
// IMPRIMATUR_URL and IMPRIMATUR_TOKEN say which server to ask and as whom,
// IMPRIMATUR_PASSPHRASE opens the server's key, or a principal's, and
// IMPRIMATUR_SECRETS_KEY the values of secrets. NO_COLOR, when not empty,
// switches colour off; colour and progress are for terminals only.
//
// # Text from elsewhere
//
// What a server, a bundle or a model's files say is printed without control and
// direction-changing characters, so that none of it can forge a line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is every noun. The order and the groups are those of the help.
type commands struct {
	Demo  demoCmd  `cmd:"" group:"start" help:"Play a whole release story on this machine, in a minute."`
	Serve serveCmd `cmd:"" group:"start" help:"Run the server: API and ledger in one data folder."`

	Release  releaseCmd  `cmd:"" group:"release" help:"Propose, check, approve, promote, roll back, stop."`
	Envelope envelopeCmd `cmd:"" group:"release" help:"Let retraining within bounds be promoted without people: a standing approval."`
	Policy   policyCmd   `cmd:"" group:"release" help:"Write, test, read and publish the rules for releases."`

	Dataset   datasetCmd   `cmd:"" group:"things" help:"Register data by digest; approve or withdraw it."`
	Run       runCmd       `cmd:"" group:"things" help:"Record training runs. With -- and a command, run that while its release stands."`
	Model     modelCmd     `cmd:"" group:"things" help:"Register models and their versions by the digest of their files."`
	Eval      evalCmd      `cmd:"" group:"things" help:"Record evaluations with their evidence."`
	Usecase   usecaseCmd   `cmd:"" group:"things" help:"Say what a model is for, who answers for it, and its tier."`
	Import    importCmd    `cmd:"" group:"things" help:"Bring in what other tools have kept."`
	Target    targetCmd    `cmd:"" group:"things" help:"Tell webhooks, chats and mail addresses of what is stated."`
	Secret    secretCmd    `cmd:"" group:"things" help:"Set secrets that releases may grant; their values go to gateways and workloads alone."`
	Vendor    vendorCmd    `cmd:"" group:"things" help:"Look after the vendors of models: what assures of them, and whether their models changed."`
	Principal principalCmd `cmd:"" group:"things" help:"Enrol people and workloads; roles, tokens, teams, environments."`

	Lineage   lineageCmd   `cmd:"" group:"look" help:"Show what pipelines read and wrote, and which data nobody approved."`
	Audit     auditCmd     `cmd:"" group:"look" help:"Ask who approved what, what was live, and what a thing touches."`
	Authority authorityCmd `cmd:"" group:"look" help:"Show what a release may do, and how two releases differ."`
	Log       logCmd       `cmd:"" group:"look" help:"Look at the ledger and check it, entry by entry."`

	Gateway gatewayCmd `cmd:"" group:"start" help:"Stand on the path of a running agent: what its release does not grant does not pass."`

	Digest digestCmd `cmd:"" group:"files" help:"Print the digest of a model or dataset, and what its files are."`
	Sign   signCmd   `cmd:"" group:"files" help:"Sign a model folder by OpenSSF Model Signing."`
	Verify verifyCmd `cmd:"" group:"files" help:"Check a model against its release's bundle, offline; also with the server."`

	JSON    bool             `name:"json" help:"Print one JSON value for programs."`
	Version kong.VersionFlag `hidden:"" help:"Print the version."`
}

var groups = []kong.Group{
	{Key: "start", Title: "Start here:"},
	{Key: "release", Title: "Decide on releases:"},
	{Key: "things", Title: "Record what releases are made of:"},
	{Key: "look", Title: "Look and ask:"},
	{Key: "files", Title: "Work on files, with no server:"},
}

const about = `Imprimatur lets no model into production without a release record that says what it is, what it was made from, ` +
	`the evidence that it is fit, who approved it and what it may do.`

// run is the program without the process: what it prints and the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := newApp(ctx, env, stdin, stdout, stderr)
	var cli commands
	parser, err := newParser(&cli, a)
	if err != nil {
		fmt.Fprintln(stderr, "imprimatur:", err)
		return exitWrong
	}
	defer func() {
		// The help flag ends the program in the middle of parsing.
		if r := recover(); r != nil {
			ended, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(ended)
		}
	}()
	if len(args) == 0 {
		return helpForNothing(parser, a)
	}
	parsed, err := parser.Parse(args)
	a.json = cli.JSON
	if err != nil {
		return a.fail(misused(err))
	}
	if err := parsed.Run(a); err != nil {
		return a.fail(err)
	}
	return exitYes
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "imprimatur, built without version information"
	}
	v := "imprimatur " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += ", commit " + s.Value[:min(12, len(s.Value))]
		}
	}
	return v + ", " + info.GoVersion
}

// exited is how kong's exit function leaves the parser.
type exited int

func newParser(cli *commands, a *app) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("imprimatur"), kong.Description(about),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ExplicitGroups(groups),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.Vars{"dataDefault": "./imprimatur-data", "listenDefault": "127.0.0.1:8420", "frontDefault": "127.0.0.1:8421", "version": version()},
	)
}

// helpForNothing shows the way to who typed only the program's name.
func helpForNothing(parser *kong.Kong, a *app) int {
	parser.Stdout = a.stderr
	parser.Exit = func(int) { panic(exited(exitWrong)) }
	_, _ = parser.Parse([]string{"--help"})
	return exitWrong
}

// printHelp is kong's, but a noun's verbs do not stand under the heading of the
// group that the noun is in.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	for node := ctx.Selected(); node != nil; node = node.Parent {
		node.Group = nil
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// misused words an error of the parser, and says where the help is.
func misused(err error) error {
	f := wrongf("%w", err)
	f.hint = "see imprimatur --help"
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if node := p.Context.Selected(); node != nil {
			f.hint = "see " + strings.TrimSpace(node.FullPath()) + " --help"
		}
	}
	return f
}
