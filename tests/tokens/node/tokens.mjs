// Tokens of Plugbay, written from docs/tokens.md with what Node has: a second, independent implementation.
//
// Reads lines of JSON on standard input and answers each with one: {"seal": {…}} with {"token": …},
// {"open": {…}} with {"issued": …, "jti": …}, or {"refused": true} when the token is not good for the request.

import {createCipheriv, createDecipheriv} from "node:crypto";
import {createInterface} from "node:readline";

const rotate = (word, bits) => (word << bits) | (word >>> (32 - bits));

/** HChaCha20, draft-irtf-cfrg-xchacha-03, section 2.2: a key of its own for the first 16 bytes of a nonce. */
export function hchacha20(key, nonce) {
  const state = new Uint32Array(16);
  state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  for (let i = 0; i < 8; i++) state[4 + i] = key.readUInt32LE(4 * i);
  for (let i = 0; i < 4; i++) state[12 + i] = nonce.readUInt32LE(4 * i);
  const quarter = (a, b, c, d) => {
    for (const [x, y, z, bits] of [[a, b, d, 16], [c, d, b, 12], [a, b, d, 8], [c, d, b, 7]]) {
      state[x] += state[y];
      state[z] = rotate(state[z] ^ state[x], bits);
    }
  };
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i++) quarter(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
  }
  const out = Buffer.alloc(32);
  [0, 1, 2, 3, 12, 13, 14, 15].forEach((word, i) => out.writeUInt32LE(state[word], 4 * i));
  return out;
}

const forNode = (secret, nonce) => [
  "chacha20-poly1305",
  hchacha20(secret, nonce.subarray(0, 16)),
  Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]),
  {authTagLength: 16},
];

function parseKey(text) {
  const raw = Buffer.from(text.replace(/^pbk_/, ""), "base64url");
  return [raw.subarray(0, 4), raw.subarray(4)];
}

function additional(head, tenant, method, target) {
  const uuid = Buffer.from(tenant.replaceAll("-", ""), "hex");
  return Buffer.concat([head, uuid, Buffer.from([method.length]), Buffer.from(method), Buffer.from(target)]);
}

function seal({key, tenant, method, target, issued, jti, nonce}) {
  const [id, secret] = parseKey(key);
  const head = Buffer.concat([Buffer.from([1]), id]);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(issued));
  const fresh = Buffer.from(nonce, "hex");
  const cipher = createCipheriv(...forNode(secret, fresh));
  cipher.setAAD(additional(head, tenant, method, target));
  const parts = [cipher.update(time), cipher.update(Buffer.from(jti, "hex")), cipher.final(), cipher.getAuthTag()];
  return {token: Buffer.concat([head, fresh, ...parts]).toString("base64url")};
}

function open({key, tenant, method, target, token}) {
  if (!/^[A-Za-z0-9_-]{92}$/.test(token)) return {refused: true};
  const [id, secret] = parseKey(key);
  const raw = Buffer.from(token, "base64url");
  const head = raw.subarray(0, 5);
  if (raw[0] !== 1 || !raw.subarray(1, 5).equals(id)) return {refused: true};
  const decipher = createDecipheriv(...forNode(secret, raw.subarray(5, 29)));
  decipher.setAAD(additional(head, tenant, method, target));
  decipher.setAuthTag(raw.subarray(53));
  const content = decipher.update(raw.subarray(29, 53));
  try {
    decipher.final();
  } catch {
    return {refused: true};
  }
  return {issued: Number(content.readBigUInt64BE(0)), jti: content.subarray(8).toString("hex")};
}

for await (const line of createInterface({input: process.stdin})) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(asked.seal ? seal(asked.seal) : open(asked.open)));
}
