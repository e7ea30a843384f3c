// What a receipt is, read strictly: base64url in its only spelling, canonical JSON, compact JWS.
// The rules and their names are those of canonical.py, base64url.py and jws.py.

const MAX_BYTES = 64 * 1024;
const MAX_DEPTH = 8;
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** Why something fails or stays open: `reason` is a stable code. */
class Refused extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

/** Something that the person who verifies must mend: a key set, a verifier key, a proof that is no JSON. */
class Unusable extends Error {}

const utf8 = new TextEncoder();

function bytesOf(text) {
  return utf8.encode(text);
}

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function same(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesOfHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function base64Of(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The bytes that standard base64 spells, or null; with `strict`, only the one spelling. */
function bytesOfBase64(text, strict = true) {
  if (text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  return strict && base64Of(bytes) !== text ? null : bytes;
}

function bytesOfBase64url(text) {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/") + "=".repeat((4 - (text.length % 4)) % 4);
  const bytes = /^[A-Za-z0-9_-]*$/.test(text) ? bytesOfBase64(padded) : null;
  if (bytes === null) throw new Refused("bad_base64url", "A part is not base64url in its only spelling, unpadded.");
  return bytes;
}

function base64urlOf(bytes) {
  return base64Of(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** `r_` and 26 characters of base32. */
function receiptId(entry) {
  let bits = 0n;
  for (const byte of entry) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let at = 0; at < 26; at += 1) {
    text += "abcdefghijklmnopqrstuvwxyz234567"[Number((bits >> BigInt(256 - 5 * (at + 1))) & 31n)];
  }
  return `r_${text}`;
}

/** Canonical JSON of objects with ASCII keys, lists, text, null and integers. */
function canonical(value, depth = 0) {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new Refused("not_canonical", "The JSON holds a lone surrogate.");
    return JSON.stringify(value);
  }
  if (value === null) return "null";
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value !== "object") throw new Refused("not_canonical", "The JSON holds something else than is canonical.");
  if (depth === MAX_DEPTH) throw new Refused("not_canonical", `The JSON is nested deeper than ${MAX_DEPTH}.`);
  if (Array.isArray(value)) return `[${value.map((part) => canonical(part, depth + 1)).join(",")}]`;
  const names = Object.keys(value).sort();
  if (!names.every((name) => /^[\x00-\x7f]*$/.test(name))) {
    throw new Refused("not_canonical", "The JSON has a key that is not ASCII.");
  }
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name], depth + 1)}`).join(",")}}`;
}

/** JSON as it is written, so that a number that is no integer and a key that stands twice are seen. */
class JsonReader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  fail() {
    throw new Refused("not_json", "The bytes are not UTF-8 JSON of ordinary depth.");
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  space() {
    this.take(/[ \t\n\r]*/y);
  }

  whole() {
    this.space();
    const value = this.value(0);
    this.space();
    return this.at === this.text.length ? value : this.fail();
  }

  value(depth) {
    if (depth > 400) this.fail();
    switch (this.text[this.at]) {
      case "{":
        return this.object(depth);
      case "[":
        return this.list(depth);
      case '"':
        return this.string();
      default:
        return this.scalar();
    }
  }

  object(depth) {
    // Without a prototype, so that a key like __proto__ is a key like any other.
    const made = Object.create(null);
    let twice = false;
    this.at += 1;
    this.space();
    if (this.take(/\}/y)) return made;
    for (;;) {
      if (this.text[this.at] !== '"') this.fail();
      const name = this.string();
      this.space();
      if (!this.take(/:/y)) this.fail();
      this.space();
      twice ||= name in made;
      made[name] = this.value(depth + 1);
      this.space();
      if (this.take(/\}/y)) break;
      if (!this.take(/,/y)) this.fail();
      this.space();
    }
    if (twice) throw new Refused("duplicate_key", "A JSON object names the same key twice.");
    return made;
  }

  list(depth) {
    const made = [];
    this.at += 1;
    this.space();
    if (this.take(/\]/y)) return made;
    for (;;) {
      made.push(this.value(depth + 1));
      this.space();
      if (this.take(/\]/y)) return made;
      if (!this.take(/,/y)) this.fail();
      this.space();
    }
  }

  string() {
    const raw = this.take(/"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y);
    return raw === null ? this.fail() : JSON.parse(raw);
  }

  scalar() {
    const number = this.take(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|NaN|-?Infinity/y);
    if (number !== null) {
      if (!/^-?[0-9]{1,17}$/.test(number) || number.length > 17) {
        throw new Refused("not_integer", `${number.slice(0, 40)} is not an integer below 2**53; numbers must be.`);
      }
      return Number(number);
    }
    const word = this.take(/true|false|null/y);
    return word === null ? this.fail() : { true: true, false: false, null: null }[word];
  }
}

/** The value of canonical JSON; what does not encode back to the same bytes is refused. */
function fromCanonical(data) {
  if (data.length > MAX_BYTES) throw new Refused("too_large", `The JSON has ${data.length} bytes.`);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new Refused("not_json", "The bytes are not UTF-8 JSON of ordinary depth.");
  }
  const value = new JsonReader(text).whole();
  if (canonical(value) !== text) {
    throw new Refused("not_canonical", "The JSON differs from its canonical encoding (key order, spaces or escapes).");
  }
  return value;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJws(jws) {
  if (jws.length > MAX_BYTES) throw new Refused("too_large", `The receipt has ${jws.length} characters.`);
  const parts = jws.split(".");
  if (parts.length !== 3 || !/^[\x00-\x7f]*$/.test(jws)) {
    throw new Refused("not_jws", "A receipt is three base64url parts joined by dots.");
  }
  const header = checkHeader(fromCanonical(bytesOfBase64url(parts[0])));
  const payload = fromCanonical(bytesOfBase64url(parts[1]));
  if (!isObject(payload)) throw new Refused("not_jws", "The payload of a receipt is a JSON object.");
  const signature = bytesOfBase64url(parts[2]);
  if (signature.length !== 64) {
    throw new Refused("bad_signature_size", `An Ed25519 signature has 64 bytes, not ${signature.length}.`);
  }
  return { header, payload, signed: bytesOf(`${parts[0]}.${parts[1]}`), signature };
}

function checkHeader(header) {
  if (!isObject(header)) throw new Refused("bad_header", "The header of a receipt is a JSON object.");
  const names = Object.keys(header).sort();
  const carried = names.filter((name) => ["crit", "jku", "jwk", "x5c", "x5u"].includes(name));
  if (carried.length) {
    throw new Refused("header_carries_key", `The header carries ${carried}; a receipt may not bring its own keys.`);
  }
  if (names.join() !== "alg,kid,typ" || !names.every((name) => typeof header[name] === "string")) {
    throw new Refused("bad_header", "The header must hold alg, kid and typ as strings, and nothing else.");
  }
  if (!["EdDSA", "Ed25519"].includes(header.alg)) throw new Refused("bad_alg", "The alg must be EdDSA or Ed25519.");
  return header;
}
