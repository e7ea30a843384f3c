// Is the receipt in its log, and who says so? Rules and names are those of merkle.py, note.py, checkpoint.py,
// tlog_proof.py, cosignature.py, consistency.py and log_evidence.py.

const LOCAL_ORIGIN = "wattproof.local/";
const NOTE_KEY = 1;
const WITNESS_KEY = 4;
const SKEW_S = 300;

/** Escaped as in the path of a URL. */
function quoted(text) {
  const escaped = encodeURIComponent(text).replace(/[!*'()]/g, (letter) => `%${hexOf(bytesOf(letter)).toUpperCase()}`);
  return escaped.replace(/%2F/g, "/");
}

async function leafHash(entry) {
  return sha256(joined([0], entry));
}

async function nodeHash(left, right) {
  return sha256(joined([1], left, right));
}

/** RFC 9162 section 2.1.3.2; index and size are BigInt. */
async function verifyInclusion(leaf, index, size, path, root) {
  if (index >= size) throw new Refused("bad_index", `Leaf ${index} does not exist in a tree of ${size}.`);
  if (root.length !== 32 || path.some((node) => node.length !== 32)) {
    throw new Refused("bad_proof", "Every hash must have 32 bytes.");
  }
  let [position, last, node] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) throw new Refused("bad_proof", "The proof has more nodes than the tree is high.");
    if (position & 1n || position === last) {
      node = await nodeHash(sibling, node);
      while (!(position & 1n) && position) [position, last] = [position >> 1n, last >> 1n];
    } else {
      node = await nodeHash(node, sibling);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last) throw new Refused("bad_proof", "The proof has fewer nodes than the tree is high.");
  if (!same(node, root)) {
    throw new Refused("root_differs", "The proof leads to another root: the leaf is not there.");
  }
}

/** RFC 9162 section 2.1.4.2, for 0 < oldSize <= newSize. */
async function verifyConsistency(oldSize, newSize, oldRoot, newRoot, path) {
  if (oldSize === newSize) {
    if (path.length) throw new Refused("bad_proof", "Two trees of one size need an empty proof.");
    if (!same(oldRoot, newRoot)) throw new Refused("root_differs", "The two roots differ.");
    return;
  }
  const nodes = oldSize & (oldSize - 1n) ? path : [oldRoot, ...path];
  if (!nodes.length || !path.length) throw new Refused("bad_proof", "The proof is empty.");
  let [position, last] = [oldSize - 1n, newSize - 1n];
  while (position & 1n) [position, last] = [position >> 1n, last >> 1n];
  let [older, newer] = [nodes[0], nodes[0]];
  for (const node of nodes.slice(1)) {
    if (last === 0n) throw new Refused("bad_proof", "The proof has more nodes than the tree is high.");
    if (position & 1n || position === last) {
      [older, newer] = [await nodeHash(node, older), await nodeHash(node, newer)];
      while (!(position & 1n) && position) [position, last] = [position >> 1n, last >> 1n];
    } else {
      newer = await nodeHash(newer, node);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last) throw new Refused("bad_proof", "The proof has fewer nodes than the tree is high.");
  if (!same(older, oldRoot) || !same(newer, newRoot)) {
    throw new Refused("root_differs", "The proof leads to another root.");
  }
}

/** The verifier keys in a text, one a line. */
async function readVerifierKeys(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = [];
  for (const line of lines.filter((given) => given && !given.startsWith("#"))) keys.push(await verifierKey(line));
  if (!keys.length) throw new Unusable("Give <name>+<key id>+<base64 key>, one a line.");
  return keys;
}

async function verifierKey(text) {
  const found = /^([^\s+\p{C}]+)\+([^+]*)\+(.*)$/su.exec(text);
  const material = found && bytesOfBase64(found[3], false);
  if (!material || material.length !== 33 || ![NOTE_KEY, WITNESS_KEY].includes(material[0])) {
    throw new Unusable(`${text.slice(0, 60)} is no verifier key. Give <name>+<key id>+<base64 key>.`);
  }
  const keyId = hexOf((await sha256(joined(bytesOf(`${found[1]}\n`), material))).slice(0, 4));
  if (keyId !== found[2]) throw new Unusable(`The id of this key and name is ${keyId}, not ${found[2].slice(0, 8)}.`);
  return { name: found[1], keyId, kind: material[0], publicKey: material.slice(1) };
}

/** The hashes of a consistency proof. */
function readConsistency(text) {
  let lines = text.trimStart().split("\n\n")[0].split("\n");
  if (lines[0].startsWith("old ")) lines = lines.slice(1);
  const hashes = lines.map((line) => line.trim()).filter((line) => line);
  return hashes.map((line) => {
    const node = bytesOfBase64(line);
    if (node === null || node.length !== 32) throw new Unusable("Give one SHA-256 hash in base64 a line.");
    return node;
  });
}

function parseNote(note) {
  const malformed = () => new Refused("bad_note", "This is not a signed note.");
  if (bytesOf(note).length > MAX_BYTES || /[\x00-\x09\x0b-\x1f\ufffd]/.test(note)) throw malformed();
  const at = note.lastIndexOf("\n\n");
  if (at < 0 || !note.endsWith("\n")) throw malformed();
  const lines = note.slice(at + 2, -1).split("\n");
  if (lines.length > 64) throw malformed();
  const signatures = lines.map((line) => {
    const found = /^— ([^ ]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    const raw = found && bytesOfBase64(found[2]);
    if (!raw || raw.length < 5) throw malformed();
    return { name: found[1], keyId: hexOf(raw.slice(0, 4)), signature: raw.slice(4) };
  });
  return { text: note.slice(0, at + 1), signatures };
}

function parseCheckpoint(text) {
  const malformed = () => new Refused("bad_checkpoint", "This is not a checkpoint.");
  const lines = text.split("\n");
  if (lines.length < 4 || lines.at(-1) || lines.slice(0, -1).some((line) => !line)) throw malformed();
  const [origin, size, root] = lines;
  if (!/^(0|[1-9][0-9]{0,18})$/.test(size) || BigInt(size) >= 1n << 63n || /\p{C}/u.test(origin)) throw malformed();
  const digest = bytesOfBase64(root);
  if (digest === null || digest.length !== 32) throw malformed();
  return { origin, size: BigInt(size), root: digest };
}

/** The checkpoint that at least one of the keys, under the name of its origin, has signed. */
async function openCheckpoint(note, keys) {
  const parsed = parseNote(note);
  const origin = parsed.text.split("\n")[0];
  const known = keys.filter((key) => key.kind === NOTE_KEY && key.name === origin);
  const signed = new Set();
  for (const line of parsed.signatures) {
    const key = known.find((candidate) => candidate.keyId === line.keyId && candidate.name === line.name);
    if (key === undefined || signed.has(key)) continue;
    if (!(await isSignedBy(key.publicKey, bytesOf(parsed.text), line.signature))) {
      throw new Refused("bad_log_signature", `The signature under the name ${key.name} does not fit.`);
    }
    signed.add(key);
  }
  if (!signed.size) throw new Refused("unknown_log_key", "None of the signatures is by a key that was given.");
  return parseCheckpoint(parsed.text);
}

/** When each of the witnesses saw the checkpoint (Unix seconds); of two lines by one the later counts. */
async function witnessTimes(note, keys) {
  const { text, signatures } = parseNote(note);
  const times = new Map();
  for (const line of signatures) {
    const key = keys.find((one) => one.kind === WITNESS_KEY && one.name === line.name && one.keyId === line.keyId);
    if (key === undefined) continue;
    const time = line.signature.slice(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const message = bytesOf(`cosignature/v1\ntime ${time}\n${text}`);
    if (!(await isSignedBy(key.publicKey, message, line.signature.slice(8)))) {
      throw new Refused("bad_log_signature", `The signature of the witness ${key.name} does not fit.`);
    }
    if (time <= 0n || time >= 1n << 63n) throw new Refused("bad_time", `The witness ${key.name} gives no time.`);
    times.set(key, Math.max(times.get(key) ?? 0, Number(time)));
  }
  return [...times.values()];
}

function parseTlogProof(text) {
  const malformed = () => new Refused("bad_tlog_proof", "This is not a tlog-proof.");
  const blank = text.indexOf("\n\n");
  const lines = text.slice(0, Math.max(blank, 0)).split("\n");
  if (text.length > 128 * 1024 || blank < 0 || lines[0] !== "c2sp.org/tlog-proof@v1") throw malformed();
  const rest = lines.slice(lines[1]?.startsWith("extra ") ? 2 : 1);
  const index = /^index (0|[1-9][0-9]{0,18})$/.exec(rest[0] ?? "");
  if (index === null || rest.length > 64) throw malformed();
  const hashes = rest.slice(1).map((line) => {
    const node = bytesOfBase64(line);
    if (node === null || node.length !== 32) throw malformed();
    return node;
  });
  return { index: BigInt(index[1]), hashes, checkpoint: text.slice(blank + 2) };
}

/** An inclusion proof as the ledger hands it out: {log_id, index, tree_size, root_hex, hashes}. */
function readInclusionProof(text) {
  const bad = () => new Unusable("The inclusion proof is not {log_id, index, tree_size, root_hex, hashes}.");
  let proof;
  try {
    proof = JSON.parse(text);
  } catch {
    throw bad();
  }
  const isHash = (hash) => typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash);
  const isCount = (count) => Number.isSafeInteger(count) && count >= 0;
  const named = isObject(proof) && Object.keys(proof).sort().join() === "hashes,index,log_id,root_hex,tree_size";
  if (!named || typeof proof.log_id !== "string" || !isCount(proof.index) || !isCount(proof.tree_size)) throw bad();
  if (!Array.isArray(proof.hashes) || proof.hashes.length > 64 || ![proof.root_hex, ...proof.hashes].every(isHash)) {
    throw bad();
  }
  return {
    logId: proof.log_id,
    index: BigInt(proof.index),
    size: BigInt(proof.tree_size),
    root: bytesOfHex(proof.root_hex),
    hashes: proof.hashes.map(bytesOfHex),
  };
}

/** `given`: {proof, tlogProof, keys, oldCheckpoint, consistency}. Gives {verdict, evidence, seenAt}. */
async function judgeInclusion(entry, payload, given, now) {
  if (!given.proof && !given.tlogProof) return { verdict: open("no_proof", "No inclusion proof was given.") };
  const found = [];
  try {
    if (given.proof) found.push(await underStatedRoot(entry, payload, given));
    if (given.tlogProof) found.unshift(await underSignedRoot(entry, payload, given, now));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { verdict: (error.reason === "unknown_log_key" ? open : failed)(error.reason, error.message) };
  }
  const order = ["fail", "pass", "unknown"];
  return found.sort((one, other) => order.indexOf(one.verdict.verdict) - order.indexOf(other.verdict.verdict))[0];
}

async function underStatedRoot(entry, payload, given) {
  const { proof } = given;
  if (payload.log_id !== proof.logId) {
    return { verdict: failed("another_log", "The proof is for another log than the receipt names.") };
  }
  await verifyInclusion(await leafHash(entry), proof.index, proof.size, proof.hashes, proof.root);
  const problem = given.tlogProof ? null : await consistencyProblem(proof, given);
  if (problem) return { verdict: problem };
  const words = `Entry ${proof.index} of ${proof.size}, under a root that the ledger itself states.`;
  return { verdict: passed(words), evidence: "self" };
}

async function underSignedRoot(entry, payload, given, now) {
  const proof = parseTlogProof(given.tlogProof);
  const stated = parseCheckpoint(parseNote(proof.checkpoint).text);
  await verifyInclusion(await leafHash(entry), proof.index, stated.size, proof.hashes, stated.root);
  const isOurs = typeof payload.log_id === "string" && stated.origin === LOCAL_ORIGIN + quoted(payload.log_id);
  if (stated.origin.startsWith(LOCAL_ORIGIN) && !isOurs) {
    return { verdict: failed("another_log", `The checkpoint is of ${stated.origin}, not of the receipt's log.`) };
  }
  if (!given.keys.some((key) => key.kind === NOTE_KEY)) {
    const words = "The path leads to the root of the checkpoint; no key of the log was given to check who signed that.";
    return { verdict: open("no_log_key", words) };
  }
  const tree = await openCheckpoint(proof.checkpoint, given.keys);
  const times = await witnessTimes(proof.checkpoint, given.keys);
  if (times.some((time) => time > now + SKEW_S)) {
    return { verdict: failed("witness_in_the_future", "A witness dates its signature in the future.") };
  }
  const problem = await consistencyProblem(tree, given);
  if (problem) return { verdict: problem };
  const words = `Entry ${proof.index} of ${tree.size} in ${tree.origin}, under a root that the log signed`;
  if (!times.length) return { verdict: passed(`${words}.`), evidence: "self" };
  const verdict = passed(`${words}; witnesses that signed it too: ${times.length}.`);
  return { verdict, evidence: "witnessed", seenAt: Math.min(...times) };
}

async function consistencyProblem(tree, given) {
  if (!given.oldCheckpoint) return null;
  if (!given.keys.some((key) => key.kind === NOTE_KEY)) {
    return open("no_log_key", "An older checkpoint was given without a key of the log.");
  }
  const old = await openCheckpoint(given.oldCheckpoint, given.keys);
  if (tree.origin !== undefined && tree.origin !== old.origin) {
    return failed("another_log", "The older checkpoint is of another log.");
  }
  const [first, second] = old.size <= tree.size ? [old, tree] : [tree, old];
  if (first.size === 0n) return null;
  if (first.size !== second.size && given.consistency === null) {
    const words = `No consistency proof was given between the checkpoints of ${first.size} and ${second.size} entries.`;
    return open("no_consistency_proof", words);
  }
  const path = first.size === second.size ? [] : given.consistency;
  try {
    await verifyConsistency(first.size, second.size, first.root, second.root, path);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.reason !== "root_differs") return failed("bad_consistency_proof", error.message);
    return failed("forked", "The older checkpoint is not a beginning of this log: it has two histories.");
  }
  return null;
}
