// Ids. The generator is ChaCha20 (RFC 8439) keyed with 32 bytes from the gateway's secure generator, so ids that a publisher has seen
// do not tell the ids to come. A key is used by one context only.

(function (internal) {
  'use strict';

  const { Math, dateNow } = internal;

  const BLOCK_WORDS = 16;
  const ALPHABET_ULID = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const ALPHABET_BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  // KSUIDs count seconds from 2014-05-13T16:53:20Z.
  const KSUID_EPOCH_SECONDS = 1400000000;
  const KSUID_LENGTH = 27;

  const hexOfByte = [];
  for (let i = 0; i < 256; i++) hexOfByte.push((i < 16 ? '0' : '') + i.toString(16));

  // "expand 32-byte k", the key, a counter of blocks in two words, and a nonce of nothing: a key has one stream.
  const state = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const block = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  let used = BLOCK_WORDS;

  function seed(hex) {
    for (let i = 0; i < 8; i++) state[4 + i] = parseInt(hex.slice(i * 8, i * 8 + 8), 16) | 0;
    used = BLOCK_WORDS;
  }

  // In variables and plain arrays: typed arrays are slow where their prototypes are frozen, by a factor of twenty here.
  function refill() {
    // The counter moves first: should the stack end in here, the next caller still gets a block of its own.
    state[12] = (state[12] + 1) | 0;
    if (state[12] === 0) state[13] = (state[13] + 1) | 0;
    let [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = state;
    for (let round = 0; round < 10; round++) {
      x0 = (x0 + x4) | 0; x12 ^= x0; x12 = (x12 << 16) | (x12 >>> 16);
      x8 = (x8 + x12) | 0; x4 ^= x8; x4 = (x4 << 12) | (x4 >>> 20);
      x0 = (x0 + x4) | 0; x12 ^= x0; x12 = (x12 << 8) | (x12 >>> 24);
      x8 = (x8 + x12) | 0; x4 ^= x8; x4 = (x4 << 7) | (x4 >>> 25);
      x1 = (x1 + x5) | 0; x13 ^= x1; x13 = (x13 << 16) | (x13 >>> 16);
      x9 = (x9 + x13) | 0; x5 ^= x9; x5 = (x5 << 12) | (x5 >>> 20);
      x1 = (x1 + x5) | 0; x13 ^= x1; x13 = (x13 << 8) | (x13 >>> 24);
      x9 = (x9 + x13) | 0; x5 ^= x9; x5 = (x5 << 7) | (x5 >>> 25);
      x2 = (x2 + x6) | 0; x14 ^= x2; x14 = (x14 << 16) | (x14 >>> 16);
      x10 = (x10 + x14) | 0; x6 ^= x10; x6 = (x6 << 12) | (x6 >>> 20);
      x2 = (x2 + x6) | 0; x14 ^= x2; x14 = (x14 << 8) | (x14 >>> 24);
      x10 = (x10 + x14) | 0; x6 ^= x10; x6 = (x6 << 7) | (x6 >>> 25);
      x3 = (x3 + x7) | 0; x15 ^= x3; x15 = (x15 << 16) | (x15 >>> 16);
      x11 = (x11 + x15) | 0; x7 ^= x11; x7 = (x7 << 12) | (x7 >>> 20);
      x3 = (x3 + x7) | 0; x15 ^= x3; x15 = (x15 << 8) | (x15 >>> 24);
      x11 = (x11 + x15) | 0; x7 ^= x11; x7 = (x7 << 7) | (x7 >>> 25);
      x0 = (x0 + x5) | 0; x15 ^= x0; x15 = (x15 << 16) | (x15 >>> 16);
      x10 = (x10 + x15) | 0; x5 ^= x10; x5 = (x5 << 12) | (x5 >>> 20);
      x0 = (x0 + x5) | 0; x15 ^= x0; x15 = (x15 << 8) | (x15 >>> 24);
      x10 = (x10 + x15) | 0; x5 ^= x10; x5 = (x5 << 7) | (x5 >>> 25);
      x1 = (x1 + x6) | 0; x12 ^= x1; x12 = (x12 << 16) | (x12 >>> 16);
      x11 = (x11 + x12) | 0; x6 ^= x11; x6 = (x6 << 12) | (x6 >>> 20);
      x1 = (x1 + x6) | 0; x12 ^= x1; x12 = (x12 << 8) | (x12 >>> 24);
      x11 = (x11 + x12) | 0; x6 ^= x11; x6 = (x6 << 7) | (x6 >>> 25);
      x2 = (x2 + x7) | 0; x13 ^= x2; x13 = (x13 << 16) | (x13 >>> 16);
      x8 = (x8 + x13) | 0; x7 ^= x8; x7 = (x7 << 12) | (x7 >>> 20);
      x2 = (x2 + x7) | 0; x13 ^= x2; x13 = (x13 << 8) | (x13 >>> 24);
      x8 = (x8 + x13) | 0; x7 ^= x8; x7 = (x7 << 7) | (x7 >>> 25);
      x3 = (x3 + x4) | 0; x14 ^= x3; x14 = (x14 << 16) | (x14 >>> 16);
      x9 = (x9 + x14) | 0; x4 ^= x9; x4 = (x4 << 12) | (x4 >>> 20);
      x3 = (x3 + x4) | 0; x14 ^= x3; x14 = (x14 << 8) | (x14 >>> 24);
      x9 = (x9 + x14) | 0; x4 ^= x9; x4 = (x4 << 7) | (x4 >>> 25);
    }
    const mixed = [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15];
    for (let i = 0; i < BLOCK_WORDS; i++) block[i] = (mixed[i] + state[i]) | 0;
    used = 0;
  }

  /** 32 random bits. */
  function nextWord() {
    if (used === BLOCK_WORDS) refill();
    return block[used++] >>> 0;
  }

  const hexOfWord = (word) =>
    hexOfByte[word >>> 24] + hexOfByte[(word >>> 16) & 255] + hexOfByte[(word >>> 8) & 255] + hexOfByte[word & 255];

  /** A UUID of version 4, in lower case with dashes. */
  function autoId() {
    const time = hexOfWord(nextWord());
    const versioned = hexOfWord((nextWord() & 0xffff0fff) | 0x4000);
    const variant = hexOfWord((nextWord() & 0x3fffffff) | 0x80000000);
    return `${time}-${versioned.slice(0, 4)}-${versioned.slice(4)}-${variant.slice(0, 4)}-${variant.slice(4)}${hexOfWord(nextWord())}`;
  }

  /** A ULID: ten characters of milliseconds, sixteen of 80 random bits, in Crockford's base 32. */
  function autoUlid() {
    let text = '';
    let time = dateNow();
    for (let i = 0; i < 10; i++) {
      text = ALPHABET_ULID[time % 32] + text;
      time = Math.floor(time / 32);
    }
    for (let i = 0; i < 16; i++) text += ALPHABET_ULID[nextWord() & 31];
    return text;
  }

  /** A KSUID: 32 bits of seconds and 128 random bits, in base 62, so that their texts sort by second. */
  function autoKsuid() {
    const words = [Math.floor(dateNow() / 1000) - KSUID_EPOCH_SECONDS, nextWord(), nextWord(), nextWord(), nextWord()];
    let text = '';
    for (let i = 0; i < KSUID_LENGTH; i++) {
      let rest = 0;
      for (let j = 0; j < words.length; j++) {
        const value = rest * 0x100000000 + words[j];
        words[j] = Math.floor(value / 62);
        rest = value % 62;
      }
      text = ALPHABET_BASE62[rest] + text;
    }
    return text;
  }

  /** A number from 0 up to, not including, 1, of 53 random bits. */
  const randomDouble = () => ((nextWord() >>> 5) * 0x4000000 + (nextWord() >>> 6)) / 0x20000000000000;

  internal.random = { __proto__: null, seed, autoId, autoUlid, autoKsuid, randomDouble };
  return internal;
})
