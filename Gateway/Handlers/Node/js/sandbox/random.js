// Ids. The generator is ChaCha20 (RFC 8439) keyed with 32 bytes from the gateway's secure generator, so ids that a publisher has seen
// do not tell the ids to come. A key is used by one context only.

(function (internal) {
  'use strict';

  const { Math, Uint32Array, dateNow } = internal;

  const BLOCK_WORDS = 16;
  const ALPHABET_ULID = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const ALPHABET_BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  // KSUIDs count seconds from 2014-05-13T16:53:20Z.
  const KSUID_EPOCH_SECONDS = 1400000000;
  const KSUID_LENGTH = 27;

  const hexOfByte = [];
  for (let i = 0; i < 256; i++) hexOfByte.push((i < 16 ? '0' : '') + i.toString(16));

  const state = new Uint32Array(BLOCK_WORDS);
  const block = new Uint32Array(BLOCK_WORDS);
  let used = BLOCK_WORDS;

  function seed(hex) {
    // "expand 32-byte k"
    state[0] = 0x61707865;
    state[1] = 0x3320646e;
    state[2] = 0x79622d32;
    state[3] = 0x6b206574;
    for (let i = 0; i < 8; i++) state[4 + i] = parseInt(hex.slice(i * 8, i * 8 + 8), 16);
    used = BLOCK_WORDS;
  }

  function quarter(a, b, c, d) {
    let x = 0;
    block[a] += block[b]; x = block[d] ^ block[a]; block[d] = (x << 16) | (x >>> 16);
    block[c] += block[d]; x = block[b] ^ block[c]; block[b] = (x << 12) | (x >>> 20);
    block[a] += block[b]; x = block[d] ^ block[a]; block[d] = (x << 8) | (x >>> 24);
    block[c] += block[d]; x = block[b] ^ block[c]; block[b] = (x << 7) | (x >>> 25);
  }

  function refill() {
    // The counter moves first: should the stack end in here, the next caller still gets a block of its own.
    if (++state[12] === 0) state[13]++;
    block.set(state);
    for (let round = 0; round < 10; round++) {
      quarter(0, 4, 8, 12); quarter(1, 5, 9, 13); quarter(2, 6, 10, 14); quarter(3, 7, 11, 15);
      quarter(0, 5, 10, 15); quarter(1, 6, 11, 12); quarter(2, 7, 8, 13); quarter(3, 4, 9, 14);
    }
    for (let i = 0; i < BLOCK_WORDS; i++) block[i] += state[i];
    used = 0;
  }

  /** 32 random bits. */
  function nextWord() {
    if (used === BLOCK_WORDS) refill();
    return block[used++];
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
