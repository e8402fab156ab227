// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Seals the fields of a form with a one-time key, as a compact JWE (ECDH-ES, A256GCM).
// The wire format is described in the package sealedform.

const base64url = (bytes) => {
  let text = "";
  for (const b of new Uint8Array(bytes)) text += String.fromCharCode(b);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

// lengthAndText is how the key derivation takes its inputs: four bytes of length, then the bytes.
const lengthAndText = (text) => [0, 0, 0, text.length, ...new TextEncoder().encode(text)];

export async function seal(key, fields) {
  const { subtle } = globalThis.crypto;
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const { kty, crv, x, y } = key.jwk;
  const theirs = await subtle.importKey("jwk", { kty, crv, x, y }, curve, false, []);
  const own = await subtle.generateKey(curve, false, ["deriveBits"]);
  const shared = await subtle.deriveBits({ name: "ECDH", public: theirs }, own.privateKey, 256);

  // Concat KDF, one round: counter, shared secret, algorithm, no parties, 256 bits.
  const input = [0, 0, 0, 1, ...new Uint8Array(shared), ...lengthAndText("A256GCM"), ...lengthAndText(""), ...lengthAndText(""), 0, 0, 1, 0];
  const digest = await subtle.digest("SHA-256", new Uint8Array(input));
  const content = await subtle.importKey("raw", digest, "AES-GCM", false, ["encrypt"]);

  const epk = await subtle.exportKey("jwk", own.publicKey);
  const header = { alg: "ECDH-ES", enc: "A256GCM", kid: key.kid, epk: { kty: "EC", crv: "P-256", x: epk.x, y: epk.y } };
  const utf8 = new TextEncoder();
  const head = base64url(utf8.encode(JSON.stringify(header)));
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const sealed = new Uint8Array(await subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: utf8.encode(head), tagLength: 128 },
    content, utf8.encode(JSON.stringify({ ...fields, nonce: key.nonce })),
  ));
  const end = sealed.length - 16;
  return [head, "", base64url(iv), base64url(sealed.slice(0, end)), base64url(sealed.slice(end))].join(".");
}
