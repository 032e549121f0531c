// Package console is what people see: the pages under /, drawn by the server
// and readable without JavaScript.
//
// # Routes
//
// [routes] is the one table. A row names method, path and who gets in, and its
// handler is a method of the console that takes the caller and returns a page
// model; a row that does not say who gets in makes [Mount] panic. Whoever is not
// signed in is sent to /sign-in?next=PATH where they asked for a page, and
// refused where they sent a form.
//
// # Rights and verdicts
//
// The console has no rules of its own. Every page asks the registry with the
// caller as an argument, shows what it answers, and shows its refusals in its
// words. A verdict on a page is the registry's, so that it is never another one
// than that of the API, the command line or the offline verifier.
//
// # Pages
//
// A page is one file under templates that defines "content", drawn inside the
// frame of frame.html with the parts of parts.html. The parts are the only way
// to show a table, a badge, a definition list, a change, a timeline, a form or
// an emptiness; their models are in parts.go. A list keeps its search, filters
// and place in the URL, so that it can be sent to somebody else.
//
// A form is carried out by the registry and answered with 303 to where the
// result is seen. Where it is refused, the page that it stands on is shown
// again with the refusal on top, and with what was typed.
//
// # Safety
//
// Text is escaped by html/template according to where it stands; nothing is
// ever marked as safe HTML. The server's Content-Security-Policy allows scripts
// and styles from here only and none inline, so that charts are drawn with
// attributes and classes. Forms are guarded by the server's cross-origin
// protection, and by the session cookie's SameSite. Files that others sent are
// answered as attachments that no browser opens as a page.
package console
