/**
 * Single-use tokens for calls of Plugbay, made in a page. docs/tokens.md specifies the format.
 *
 *     import {mint} from "./plugbay.js";
 *
 *     const request = {method: "GET", url: "https://plugbay.example/rest/services/<tenant>/hello/"};
 *     const token = await mint({tenant: "<tenant>", key: "pbk_…", ...request});
 *     await fetch(request.url, {method: request.method, headers: {Authorization: `Token ${token}`}});
 *
 * The cryptography is libsodium, compiled to WebAssembly (libsodium/). A page's Content-Security-Policy has to
 * allow it: script-src 'self' 'wasm-unsafe-eval'. Nothing is fetched but the two modules, nothing is stored.
 */

import start from "./libsodium/libsodium.mjs";

const VERSION = 1;
const KEY_ID_SIZE = 4;
const NONCE_SIZE = 24;
const JTI_SIZE = 16;
const TAG_SIZE = 16;

let sodium;

/**
 * A token for one request: send it as `Authorization: Token <it>`.
 *
 * @param {object} request
 * @param {string} request.tenant UUID of the tenant whose function is called; the admin's for the admin's.
 * @param {string} request.key the tenant's key for tokens, `pbk_…`.
 * @param {string} request.method the method in capital letters, as fetch is given it.
 * @param {string|URL} request.url what fetch is given; relative to the page when it is relative.
 * @param {number} [request.now] Unix time in milliseconds, where the clock of this machine is not to be trusted.
 * @returns {Promise<string>}
 * @throws {TypeError} something of the request is not what it should be; the message does not hold the key.
 */
export async function mint({tenant, key, method, url, now = Date.now()}) {
  const jti = crypto.getRandomValues(new Uint8Array(JTI_SIZE));
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_SIZE));
  return seal({tenant, key, method, target: targetOf(url), issued: now, jti, nonce});
}

/** The token made of exactly these. For test vectors; who makes a token to use it calls `mint`. */
export async function seal({tenant, key, method, target, issued, jti, nonce}) {
  if (!/^[A-Z]{1,16}$/.test(method)) throw new TypeError("method: 1 to 16 capital letters");
  const {id, secret} = parseKey(key);
  const head = concat(Uint8Array.of(VERSION), id);
  const bound = concat(head, parseUuid(tenant), Uint8Array.of(method.length), ascii(method), ascii(target));
  const content = new Uint8Array(8 + JTI_SIZE);
  new DataView(content.buffer).setBigUint64(0, BigInt(issued));
  content.set(jti, 8);
  return base64url(concat(head, nonce, await encrypt(content, bound, nonce, secret)));
}

/** Path from /rest/ on and query, as the browser sends them and Plugbay gets them. */
function targetOf(url) {
  const {pathname, search} = new URL(url, globalThis.location?.href);
  const at = pathname.indexOf("/rest/");
  if (at < 0) throw new TypeError("url: its path has no /rest/");
  return pathname.slice(at) + search;
}

function parseKey(key) {
  const match = /^pbk_([A-Za-z0-9_-]{48})$/.exec(key);
  if (!match) throw new TypeError("key: pbk_ and 48 letters, digits, - and _");
  const text = atob(match[1].replaceAll("-", "+").replaceAll("_", "/"));
  const raw = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return {id: raw.subarray(0, KEY_ID_SIZE), secret: raw.subarray(KEY_ID_SIZE)};
}

function parseUuid(text) {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) {
    throw new TypeError("tenant: a UUID in lower case with hyphens");
  }
  return Uint8Array.from(text.replaceAll("-", "").match(/../g), (pair) => parseInt(pair, 16));
}

/** XChaCha20-Poly1305 (IETF): what libsodium calls crypto_aead_xchacha20poly1305_ietf_encrypt. */
async function encrypt(content, bound, nonce, secret) {
  sodium ??= load().catch((error) => {
    sodium = undefined; // so that the next token tries again
    throw error;
  });
  const library = await sodium;
  const size = content.length + TAG_SIZE;
  const inputs = [content, bound, nonce, secret];
  const places = inputs.map((bytes) => library._malloc(bytes.length));
  const out = library._malloc(size);
  try {
    inputs.forEach((bytes, index) => library.HEAPU8.set(bytes, places[index]));
    const [contentAt, boundAt, nonceAt, secretAt] = places;
    const failed = library._crypto_aead_xchacha20poly1305_ietf_encrypt(
      out, 0, contentAt, content.length, 0, boundAt, bound.length, 0, 0, nonceAt, secretAt,
    );
    if (failed) throw new Error("libsodium did not encrypt");
    return library.HEAPU8.slice(out, out + size);
  } finally {
    inputs.forEach((bytes, index) => library.HEAPU8.fill(0, places[index], places[index] + bytes.length));
    [...places, out].forEach((place) => library._free(place));
  }
}

async function load() {
  const getRandomValue = () => crypto.getRandomValues(new Uint32Array(1))[0];
  const library = await start({getRandomValue});
  if (library._sodium_init() < 0) throw new Error("libsodium does not start");
  return library;
}

function ascii(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
