// Package notify tells others what was stated: it words events, writes them in
// the form that a target takes, signs and sends them. It keeps nothing and
// decides nothing: who is told, when, and what became of it is the registry's.
//
// # Events
//
// [Of] makes an [Event] of a statement: a CloudEvent 1.0 (https://cloudevents.io)
// in JSON. Its type is "dev.imprimatur." and the kind's word with '-' for
// spaces, such as dev.imprimatur.data-approval; its id is "entry-" and the
// statement's index in the ledger that source names, so the same statement has
// the same id wherever it is told. The data is what tells the statement from
// others, one sentence, and links. The record is not in it: whoever wants it
// follows the link with their own right to read, so nothing leaks to a place
// that cannot keep it.
//
// # Forms
//
//	webhook  POST of the CloudEvent (application/cloudevents+json), signed by
//	         Standard Webhooks (https://www.standardwebhooks.com): the headers
//	         webhook-id, webhook-timestamp and webhook-signature, the last with
//	         "v1," and HMAC-SHA256 for each secret that stands, so that a secret
//	         can be changed without a gap. Secrets are "whsec_" and base64.
//	slack    POST of {"text": …} to the secret URL of an incoming webhook.
//	mail     plain text by SMTP, always over TLS but to this machine.
//	mlflow   POST of {entity, action, timestamp, data} with X-MLflow-Delivery-Id,
//	         X-MLflow-Timestamp and X-MLflow-Signature (mlflow/webhooks/delivery.py).
//
// The id of a message is the same for each attempt, so a receiver that keeps the
// ids that it has seen is told of everything exactly once.
//
// # Sending
//
// [Sender.Send] makes one attempt and never follows a redirect; HTTP goes through
// package guard. Of the answer at most 16 KiB are read. An [Outcome] says whether
// it was taken, and if not, whether another attempt makes sense. [Backoff] says
// when: eleven attempts over a day and a half, each at a moment of its own so
// that many do not come at once.
//
// Everything that a statement's author wrote comes as text: markup that Slack
// reads is escaped, and a mail's header takes no line break.
package notify
