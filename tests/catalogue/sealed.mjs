// Sealed uploads, written from docs/tenants.md and RFC 9180 with what Node has: a second, independent implementation.
//
// Reads lines of JSON on standard input and answers each with one: {"seal": {…}} with {"sealed": …}, {"open": {…}} with
// {"data": …}, or {"refused": true} when it does not open. Bytes are in base64.

import {
  createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman,
  generateKeyPairSync,
} from "node:crypto";
import {createInterface} from "node:readline";

const {concat, from: bytes} = Buffer;
const PKCS8 = bytes("302e020100300506032b656e04220420", "hex");
const KEM = bytes("KEM\x00\x20");
const SUITE = bytes("HPKE\x00\x20\x00\x01\x00\x03");

const base64 = (text) => bytes(text, "base64");
const hmac = (key, ...parts) => createHmac("sha256", key).update(concat(parts)).digest();
const extract = (suite, salt, label, ikm) => hmac(salt, bytes("HPKE-v1"), suite, bytes(label), ikm);
const expand = (suite, prk, label, info, size) =>
  hmac(prk, bytes([0, size]), bytes("HPKE-v1"), suite, bytes(label), info, bytes([1])).subarray(0, size);

const privateKey = (raw) => createPrivateKey({key: concat([PKCS8, raw]), format: "der", type: "pkcs8"});
const publicKey = (raw) =>
  createPublicKey({key: {kty: "OKP", crv: "X25519", x: raw.toString("base64url")}, format: "jwk"});
const rawPublic = (key) => base64(createPublicKey(key).export({format: "jwk"}).x);

function keyAndNonce(dh, enc, recipient) {
  const shared = expand(KEM, extract(KEM, "", "eae_prk", dh), "shared_secret", concat([enc, recipient]), 32);
  const hashes = [["psk_id_hash", ""], ["info_hash", "plugbay sealed upload 1"]];
  const context = concat([bytes([0]), ...hashes.map(([label, of]) => extract(SUITE, "", label, bytes(of)))]);
  const secret = extract(SUITE, shared, "secret", bytes(""));
  return [expand(SUITE, secret, "key", context, 32), expand(SUITE, secret, "base_nonce", context, 12)];
}

const fingerprint = (recipient) => createHash("sha256").update(recipient).digest().subarray(0, 16);
const bound = ({owner, name}) => bytes(`owner ${owner}\nname ${name}\n`);
const CIPHER = ["chacha20-poly1305", {authTagLength: 16}];

function seal(asked) {
  const recipient = base64(asked.public);
  const own = generateKeyPairSync("x25519").privateKey;
  const enc = rawPublic(own);
  const dh = diffieHellman({privateKey: own, publicKey: publicKey(recipient)});
  const [key, nonce] = keyAndNonce(dh, enc, recipient);
  const cipher = createCipheriv(CIPHER[0], key, nonce, CIPHER[1]);
  cipher.setAAD(bound(asked));
  const text = concat([cipher.update(base64(asked.data)), cipher.final(), cipher.getAuthTag()]);
  return {sealed: concat([bytes([1]), fingerprint(recipient), enc, text]).toString("base64")};
}

function open(asked) {
  const own = privateKey(base64(asked.private));
  const recipient = rawPublic(own);
  const sealed = base64(asked.sealed);
  if (sealed[0] !== 1 || !sealed.subarray(1, 17).equals(fingerprint(recipient))) return {refused: true};
  const enc = sealed.subarray(17, 49);
  const [key, nonce] = keyAndNonce(diffieHellman({privateKey: own, publicKey: publicKey(enc)}), enc, recipient);
  const decipher = createDecipheriv(CIPHER[0], key, nonce, CIPHER[1]);
  decipher.setAAD(bound(asked));
  decipher.setAuthTag(sealed.subarray(-16));
  const data = decipher.update(sealed.subarray(49, -16));
  try {
    decipher.final();
  } catch {
    return {refused: true};
  }
  return {data: data.toString("base64")};
}

for await (const line of createInterface({input: process.stdin})) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(asked.seal ? seal(asked.seal) : open(asked.open)));
}
