// Keys: Ed25519 as libsodium judges it, JWK sets, and until when a key counts. As jws.py, keys.py and key_times.py.

// Points of small order, and encodings beyond the field: libsodium refuses them, WebCrypto need not.
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

function isSmallOrder(point) {
  const unsigned = Uint8Array.from(point);
  unsigned[31] &= 0x7f;
  return SMALL_ORDER.includes(hexOf(unsigned));
}

function isCanonicalPoint(point) {
  const above = point.slice(1, 31).every((byte) => byte === 0xff) && (point[31] & 0x7f) === 0x7f;
  return !(above && point[0] >= 0xed);
}

/** Whether the Ed25519 signature is good, by the stricter of the two rules that are in use. */
async function isSignedBy(publicKey, message, signature) {
  if (signature.length !== 64 || isSmallOrder(signature.slice(0, 32))) return false;
  if (isSmallOrder(publicKey) || !isCanonicalPoint(publicKey)) return false;
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  } catch (error) {
    if (error instanceof DOMException && error.name === "DataError") return false; // no point of the curve
    throw error;
  }
}

/** Whether this browser can check Ed25519 at all. */
async function hasEd25519() {
  try {
    const key = bytesOfHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}

async function thumbprint(publicKey) {
  return base64urlOf(await sha256(bytesOf(`{"crv":"Ed25519","kty":"OKP","x":"${base64urlOf(publicKey)}"}`)));
}

/** Public keys of a JWK set by kid, with the times that limit them (Unix seconds). */
async function readKeySet(text) {
  let set;
  try {
    set = JSON.parse(text);
  } catch {
    throw new Unusable("The key set is not JSON. Give the JWK set as it was published.");
  }
  if (!isObject(set) || !Array.isArray(set.keys)) throw new Unusable('A JWK set is an object with a list "keys".');
  const found = new Map();
  for (const jwk of set.keys) {
    if (!isObject(jwk)) throw new Unusable("A key in the JWK set is not an object.");
    if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519") continue;
    const publicKey = keyOf(jwk);
    const kid = await thumbprint(publicKey);
    if ((jwk.kid ?? null) !== null && jwk.kid !== kid) {
      throw new Unusable(`A kid is not the RFC 7638 thumbprint of its key (${kid}).`);
    }
    const [notBefore, expires, revokedAt] = ["nbf", "exp", "wattproof_revoked_at"].map((name) => momentOf(jwk, name));
    // Limits are stated under a kid.
    const limits = typeof jwk.kid === "string" ? { notBefore, expires, revokedAt } : {};
    found.set(kid, { publicKey, ...limits });
  }
  return found;
}

function keyOf(jwk) {
  if ("d" in jwk) throw new Unusable('The JWK set holds a private key ("d"). Publish public keys only.');
  let publicKey = new Uint8Array();
  try {
    publicKey = typeof jwk.x === "string" ? bytesOfBase64url(jwk.x) : publicKey;
  } catch {
    throw new Unusable('The "x" of an Ed25519 key is not base64url.');
  }
  if (publicKey.length !== 32) throw new Unusable('The "x" of an Ed25519 key must hold 32 bytes as base64url.');
  return publicKey;
}

function momentOf(jwk, name) {
  const value = jwk[name] ?? null;
  if (value === null) return null;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  const moment = typeof value === "string" ? instant(value) : null;
  if (moment === null) throw new Unusable(`The "${name}" of a key is neither Unix time nor an RFC 3339 time in UTC.`);
  return moment;
}

/** Unix time of an RFC 3339 time in UTC, or null. */
function instant(text) {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,6})?Z$/.exec(text);
  if (found === null) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const exists = year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!exists || hour > 23 || minute > 59 || second > 59) return null;
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second + Number(found[7] ?? 0);
}
