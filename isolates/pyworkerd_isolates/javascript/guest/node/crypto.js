// The module "node:crypto" (https://nodejs.org/api/crypto.html): what the engine computes at once, and Web Crypto.

import { onlyLater } from "pyworkerd:node_parts/crypto_bytes";
import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, timingSafeEqual } from "pyworkerd:node_parts/crypto_derive";
import { Hash, Hmac, createHash, createHmac, getHashes, hash } from "pyworkerd:node_parts/crypto_hashes";
import {
  getRandomValues, randomBytes, randomFill, randomFillSync, randomInt, randomUUID,
} from "pyworkerd:node_parts/crypto_random";
import { crypto as webcrypto } from "pyworkerd:web/crypto";

export const { subtle } = webcrypto;

export const constants = Object.freeze({
  RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1,
  RSA_PSS_SALTLEN_MAX_SIGN: -2,
  RSA_PSS_SALTLEN_AUTO: -2,
});

const later = (name, instead) => () => { throw onlyLater(name, instead); };
export const createCipheriv = later("createCipheriv", "crypto.subtle.encrypt() with AES-GCM, AES-CBC or AES-CTR");
export const createDecipheriv = later("createDecipheriv", "crypto.subtle.decrypt() with AES-GCM, AES-CBC or AES-CTR");
export const createECDH = later("createECDH", "crypto.subtle.deriveBits() with ECDH or X25519");
export const createDiffieHellman = later("createDiffieHellman", "crypto.subtle.deriveBits() with ECDH or X25519");
export const diffieHellman = later("diffieHellman", "crypto.subtle.deriveBits() with ECDH or X25519");
export const publicEncrypt = later("publicEncrypt", "crypto.subtle.encrypt() with RSA-OAEP");
export const privateDecrypt = later("privateDecrypt", "crypto.subtle.decrypt() with RSA-OAEP");

export const getCiphers = () => [];
export const getFips = () => 0;
export const fips = false;

export {
  Hash, Hmac, createHash, createHmac, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, randomBytes,
  randomFill, randomFillSync, randomInt, randomUUID, timingSafeEqual, webcrypto,
};
export default {
  Hash, Hmac, constants, createCipheriv, createDecipheriv, createDiffieHellman, createECDH, createHash, createHmac,
  diffieHellman, fips, getCiphers, getFips, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync,
  privateDecrypt, publicEncrypt, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, subtle,
  timingSafeEqual, webcrypto,
};
