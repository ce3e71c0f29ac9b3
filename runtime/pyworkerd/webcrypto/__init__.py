"""The host's half of Web Crypto: what JavaScript workers cannot compute for themselves.

Keys live in the guest. It sends a key with what it asks, as bytes (DER, or those of an AES key), and the host keeps
nothing: what hibernates, is cloned or evicted is the guest's memory as always, and no table here could be filled or
read by another tenant. Digests, HMAC, HKDF and PBKDF2 never come here (`wasm.digests`).
"""
