// The one script that signing in needs: browsers give passkeys to scripts only.
// A form with the attribute data-passkey is sent through it:
//
//   enrol    makes a passkey for who is signed in
//   sign-in  signs in with a passkey
//   ask      an approval: the fields release or envelope, record, role, decision and reason
//            are shown to the passkey, and what it says goes into the field
//            "assertion" before the form is sent. The attribute may stand at a
//            button; data-roles beside it names the roles that take a passkey.
"use strict";

const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const toURL = (buffer) => toText(buffer).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

async function send(path, message) {
  const answer = await fetch(path, {
    method: "POST", credentials: "same-origin",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(message),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

async function enrol(form) {
  const options = await send("/passkey/enrol/begin", {});
  options.challenge = toBytes(options.challenge);
  options.user.id = toBytes(options.user.id);
  for (const known of options.excludeCredentials ?? []) known.id = toBytes(known.id);
  const made = await navigator.credentials.create({ publicKey: options });
  const { to } = await send("/passkey/enrol", {
    purpose: form.elements.purpose.value,
    response: {
      id: made.id, rawId: toURL(made.rawId), type: made.type, clientExtensionResults: {},
      response: {
        clientDataJSON: toURL(made.response.clientDataJSON), attestationObject: toURL(made.response.attestationObject),
        transports: made.response.getTransports?.() ?? [],
      },
    },
  });
  location.assign(to);
}

async function assertion(options) {
  options.challenge = toBytes(options.challenge);
  for (const known of options.allowCredentials) known.id = toBytes(known.id);
  const said = await navigator.credentials.get({ publicKey: options });
  return {
    key: said.id, authenticator: toText(said.response.authenticatorData),
    client: toText(said.response.clientDataJSON), signature: toText(said.response.signature),
  };
}

async function signIn(form) {
  const said = await assertion(await send("/passkey/sign-in/begin", {}));
  const { to } = await send("/passkey/sign-in", { next: form.elements.next.value, assertion: said });
  location.assign(to);
}

async function ask(form, button) {
  const fields = new FormData(form, button);
  const word = {};
  for (const name of ["release", "envelope", "record", "role", "decision", "reason", "expires"]) {
    if (fields.get(name)) word[name] = fields.get(name);
  }
  const said = await assertion(await send("/passkey/ask", word));
  let hidden = form.elements.assertion;
  if (!hidden) {
    hidden = document.createElement("input");
    hidden.type = "hidden";
    hidden.name = "assertion";
    form.append(hidden);
  }
  hidden.value = JSON.stringify(said);
  form.requestSubmit(button);
}

const steps = { enrol, "sign-in": signIn, ask };

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const step = event.submitter?.dataset.passkey ?? form.dataset.passkey;
  const roles = event.submitter?.dataset.roles;
  if (!steps[step] || (step === "ask" && form.elements.assertion?.value)) return;
  if (step === "ask" && roles && !roles.split(" ").includes(form.elements.role.value)) return;
  event.preventDefault();
  let place = form.querySelector("[role=alert]");
  if (!place) {
    place = document.createElement("p");
    place.setAttribute("role", "alert");
    form.append(place);
  }
  place.textContent = "";
  try {
    if (!window.PublicKeyCredential) throw new Error("This browser gives no passkeys here: they need https, or http://localhost.");
    await steps[step](form, event.submitter);
  } catch (error) {
    place.textContent = error.name === "NotAllowedError" ? "The passkey was not used. Try again." : error.message;
  }
});
