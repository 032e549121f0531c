// Package browsertest drives a real Chromium for the tests of pages: one
// headless browser for a test, with a virtual authenticator where passkeys are
// asked for. It asks pages for no motion: a page that still scrolls runs away from
// under a click. What a page writes to the console as an error or a warning, a
// violation of the Content-Security-Policy among it, fails the test.
//
// Chromium is Debian's, as scripts/setup.sh installs it; CHROMIUM names another.
// Selectors are CSS. Every step fails the test when it takes longer than a
// minute.
package browsertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

const stepWithin = time.Minute

// Browser is a browser with one tab.
type Browser struct {
	t   testing.TB
	ctx context.Context
	// authenticator is the virtual one, once there is one.
	authenticator webauthn.AuthenticatorID

	mu       sync.Mutex
	messages []string
}

// Open starts a browser, which ends with the test.
func Open(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	if err != nil {
		t.Fatalf("there is no Chromium for this test; make setup installs it: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-gpu", true))
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	// The browser lives as long as the context of its first step.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	b.Scheme("light")
	go func() {
		for m := range chromedp.Console(ctx) {
			if m.Type == "error" || m.Type == "warning" || m.Type == chromedp.ConsoleException {
				b.mu.Lock()
				b.messages = append(b.messages, fmt.Sprintf("%s: %s", m.Type, m.Text))
				b.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		for _, m := range b.Messages() {
			t.Errorf("the page says: %s", m)
		}
	})
	return b
}

// Messages returns the errors and warnings of the console, and forgets them, so
// that a test that brings one about may look at it. That a page was answered
// with an error's status is not among them.
func (b *Browser) Messages() (said []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if !strings.Contains(m, "Failed to load resource") {
			said = append(said, m)
		}
	}
	b.messages = nil
	return said
}

func run[T any](b *Browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("%v\nthe page is %s", err, b.around())
	}
	return v
}

func (b *Browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	run(b, chromedp.Steps(steps...))
}

// around describes the page for a failure.
func (b *Browser) around() string {
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	text, err2 := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	if err := errors.Join(err, err2); err != nil {
		return err.Error()
	}
	const shown = 2000
	return fmt.Sprintf("%s:\n%.*s", at, shown, text)
}

// Go opens an address and waits until the page is loaded.
func (b *Browser) Go(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// Click clicks on the first element that is visible.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// Follow clicks on something that leads to another page, and waits for it.
func (b *Browser) Follow(selector string) {
	b.t.Helper()
	run(b, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector))))
}

// Follows presses keys that lead to another page, and waits for it.
func (b *Browser) Follows(keys string) {
	b.t.Helper()
	run(b, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.KeyEvent(keys)))
}

// Type puts text into a field, in place of what is in it.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	b.Wait(selector)
	Evaluate[string](b, fmt.Sprintf("document.querySelector(%q).value = ''", selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, such as "\t" and "\r", wherever the focus is.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// Wait waits until an element is visible.
func (b *Browser) Wait(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// Text returns the text of the first element as it is seen.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return run(b, chromedp.Text(chromedp.CSS(selector)))
}

// Says fails the test unless the page's text has each of the texts in it. The
// page itself is asked: a node that was looked up may be gone a moment after.
func (b *Browser) Says(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if all := Evaluate[string](b, "document.body.innerText"); !strings.Contains(all, text) {
			b.t.Errorf("the page does not say %q:\n%s", text, b.around())
		}
	}
}

// Location returns the page's address.
func (b *Browser) Location() string {
	b.t.Helper()
	return run(b, chromedp.Location())
}

// Evaluate evaluates a JavaScript expression in the page, a promise to its end.
func Evaluate[T any](b *Browser, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Size sets the size of the window in pixels; 390 wide is a phone.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// Scheme makes the browser prefer "light" or "dark".
func (b *Browser) Scheme(scheme string) {
	b.t.Helper()
	call(b, func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

func call(b *Browser, f func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepWithin)
	defer cancel()
	if err := f(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// Screenshot writes the whole page as a PNG file below the folder that the
// variable SCREENSHOTS names; without it nothing is written.
func (b *Browser) Screenshot(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	const lossless = 100
	raw := run(b, chromedp.FullScreenshot(lossless))
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, name+".png"), raw, 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// Authenticator gives the browser a virtual authenticator: one that keeps
// passkeys, is built in, and finds its person there and verified.
func (b *Browser) Authenticator() {
	b.t.Helper()
	call(b, func(ctx context.Context) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		got, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		b.authenticator = got.AuthenticatorID
		return err
	})
}

// Verified says whether the authenticator finds that it is its person who asks.
func (b *Browser) Verified(yes bool) {
	b.t.Helper()
	call(b, func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.authenticator, IsUserVerified: yes})
		return err
	})
}
