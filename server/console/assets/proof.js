// Checks an entry of the ledger in the browser: the statement's digest, the
// Merkle path up to the root of the checkpoint (RFC 9162, section 2.1.3.2), and,
// where the browser knows Ed25519, both signatures. It takes the key from the
// page's field, so that an auditor can give the one that they trust.
"use strict";

const form = document.querySelector(".check-here");
const list = document.getElementById("proof-steps");

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const text = (b) => new TextDecoder().decode(b);
const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
const base64 = (b) => btoa(String.fromCharCode(...b));
const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
  return all;
};
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
const leafHash = (leaf) => sha256(Uint8Array.of(0), leaf);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

function say(ok, sentence) {
  const item = document.createElement("li");
  const word = document.createElement("strong");
  word.textContent = ok === null ? "Not checked: " : ok ? "Holds: " : "Does not hold: ";
  item.className = ok === null ? "unknown" : ok ? "holds" : "fails";
  item.append(word, sentence);
  list.append(item);
}

// The root that a leaf leads to; null where the path does not fit the tree.
// Numbers are exact up to 2^53 entries, so no bit operators, which end at 2^31.
async function climb(hash, index, size, path) {
  let at = index;
  let last = size - 1;
  const half = () => {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  };
  for (const beside of path) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      hash = await nodeHash(beside, hash);
      while (at % 2 === 0 && at !== 0) half();
    } else {
      hash = await nodeHash(hash, beside);
    }
    half();
  }
  return last === 0 ? hash : null;
}

// A C2SP verifier key is NAME+HASH+BASE64, with the byte 1 before an Ed25519 key.
async function importKey(vkey) {
  const parts = vkey.trim().split("+");
  const name = parts[0];
  const raw = bytes(parts.slice(2).join("+"));
  if (raw.length !== 33 || raw[0] !== 1) throw new Error("it is no Ed25519 verifier key");
  const id = hex((await sha256(new TextEncoder().encode(name + "\n"), raw)).slice(0, 4));
  if (id !== parts[1]) throw new Error("its parts do not belong together");
  return { name, id, key: await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]) };
}

async function checkSignatures(entry, vkey) {
  let known;
  try {
    known = await importKey(vkey);
  } catch (e) {
    say(e.name === "NotSupportedError" ? null : false, "the signatures: " + (e.name === "NotSupportedError" ? "this browser does not know Ed25519" : "the key cannot be used, " + e.message));
    return;
  }
  const payload = bytes(entry.payload);
  const pae = new TextEncoder().encode(`DSSEv1 ${entry.payloadType.length} ${entry.payloadType} ${payload.length} `);
  say(await crypto.subtle.verify("Ed25519", known.key, bytes(entry.signature), join(pae, payload)), "the statement's signature is by this key");
  const cut = entry.checkpoint.indexOf("\n\n") + 1;
  const signed = new TextEncoder().encode(entry.checkpoint.slice(0, cut));
  let by = false;
  for (const line of entry.checkpoint.slice(cut + 1).split("\n")) {
    const [, name, signature] = line.split(" ");
    if (name !== known.name) continue;
    const raw = bytes(signature);
    if (hex(raw.slice(0, 4)) === known.id) by = await crypto.subtle.verify("Ed25519", known.key, raw.slice(4), signed);
  }
  say(by, "the checkpoint's signature is by this key");
}

async function check() {
  list.replaceChildren();
  const answer = await fetch(form.dataset.from);
  if (!answer.ok) throw new Error("the server does not hand out the proof (" + answer.status + ")");
  const entry = await answer.json();
  const payload = bytes(entry.payload);
  const leaf = bytes(entry.leaf);
  say(JSON.parse(text(leaf)).statement === "sha256:" + hex(await sha256(payload)), "the leaf names the SHA-256 of the statement");
  const root = await climb(await leafHash(leaf), entry.index, entry.size, entry.hashes.map(bytes));
  const [, size, top] = entry.checkpoint.split("\n");
  say(root !== null && base64(root) === top && Number(size) === entry.size,
    `the leaf leads by ${entry.hashes.length} steps to the root ${top} of the checkpoint of ${size} entries`);
  await checkSignatures(entry, document.getElementById("proof-key").value);
}

if (form && window.crypto && crypto.subtle) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await check();
    } catch (e) {
      say(false, "it could not be checked: " + e.message);
    }
  });
} else if (form) {
  say(null, "a browser checks only on a page from https or from this machine");
}
