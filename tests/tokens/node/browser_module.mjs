// The module for browsers, run by Node: each line of JSON on standard input is what `seal` is given, bytes as
// hexadecimal; each line of standard output is a token.

import {createInterface} from "node:readline";

import {seal} from "../../../browser/plugbay.js";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

for await (const line of createInterface({input: process.stdin})) {
  const asked = JSON.parse(line);
  console.log(await seal({...asked, jti: bytes(asked.jti), nonce: bytes(asked.nonce)}));
}
