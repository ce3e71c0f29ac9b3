// The module "node:crypto" (https://nodejs.org/api/crypto.html): what the engine computes at once, and Web Crypto.

import { absent } from "pyworkerd:node_parts/absent";
import { onlyLater } from "pyworkerd:node_parts/crypto_bytes";
import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, timingSafeEqual } from "pyworkerd:node_parts/crypto_derive";
import { Hash, Hmac, createHash, createHmac, getHashes, hash } from "pyworkerd:node_parts/crypto_hashes";
import {
  getRandomValues, randomBytes, randomFill, randomFillSync, randomInt, randomUUID,
} from "pyworkerd:node_parts/crypto_random";
import {
  KeyObject, createPrivateKey, createPublicKey, createSecretKey,
} from "pyworkerd:node_parts/key_object";
import { generateKey, generateKeyPair, generateKeyPairSync, generateKeySync } from "pyworkerd:node_parts/key_making";
import { Sign, Verify, createSign, createVerify, sign, verify } from "pyworkerd:node_parts/signatures";
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
export const scryptSync = later("scryptSync", "crypto.scrypt() with a callback, or promisify(crypto.scrypt)");
export const createECDH = later("createECDH", "crypto.subtle.deriveBits() with ECDH or X25519");
export const createDiffieHellman = later("createDiffieHellman", "crypto.subtle.deriveBits() with ECDH or X25519");
export const diffieHellman = later("diffieHellman", "crypto.subtle.deriveBits() with ECDH or X25519");
export const publicEncrypt = later("publicEncrypt", "crypto.subtle.encrypt() with RSA-OAEP");
export const privateDecrypt = later("privateDecrypt", "crypto.subtle.decrypt() with RSA-OAEP");

// What nothing computes here; packages import some of it by name.
const gone = absent("crypto", "this is not there for workers. crypto.subtle has ciphers and agreements of keys");
export const {
  Certificate, Cipheriv, Decipheriv, DiffieHellman, DiffieHellmanGroup, ECDH, X509Certificate, checkPrime,
  checkPrimeSync, createDiffieHellmanGroup, generatePrime, generatePrimeSync, getDiffieHellman, privateEncrypt,
  publicDecrypt, setEngine, setFips,
} = gone;

export const getCipherInfo = () => undefined;
export const getCiphers = () => [];
export const getFips = () => 0;
export const fips = false;

export const getCurves = () => ["prime256v1", "secp256k1", "secp384r1", "secp521r1"];

export {
  Hash, Hmac, KeyObject, Sign, Verify, createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey,
  createSign, createVerify, generateKey, generateKeyPair, generateKeyPairSync, generateKeySync, getHashes,
  getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, randomBytes, randomFill, randomFillSync, randomInt,
  randomUUID, scrypt, sign, timingSafeEqual, verify, webcrypto,
};
export default {
  ...gone, Hash, Hmac, KeyObject, Sign, Verify, constants, createCipheriv, createDecipheriv, createDiffieHellman,
  createECDH, createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign, createVerify,
  diffieHellman, fips, generateKey, generateKeyPair, generateKeyPairSync, generateKeySync, getCipherInfo,
  getCiphers, getCurves, getFips, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync,
  privateDecrypt, publicEncrypt, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, scrypt, scryptSync,
  sign, subtle, timingSafeEqual, verify, webcrypto,
};
