// Java regular expressions (handlers.md §3.3): util.matches, String.prototype.replace and replaceAll take patterns in the syntax of
// java.util.regex.Pattern. A pattern is parsed to a tree and written out as a JavaScript one with the v flag, which knows nested classes
// and intersections. What JavaScript lacks is rewritten:
//   a*+, (?>a)   atomic: a look-ahead that captures, and a reference to what it captured: (?=(a*))\1. This moves group numbers, so
//                references are written when all groups are known.
//   (?i)         ASCII letters are written in both cases, since flags inside of a pattern are not to be had on Node 20.
//   . $ \s \b    written out, because the two languages' line ends, white space and case folding differ.
// What has no counterpart (\G, \X, blocks such as \p{InGreek}) is a fault. A pattern that takes forever is ended from outside, by the
// call's deadline.

(function (internal) {
  'use strict';

  const { Map, Math, Number, RegExp, SyntaxError, String, matchOf } = internal;
  const { charge, fault } = internal.call;

  const DEPTH_MAX = 40;
  const CACHE_ENTRIES_MAX = 100;
  const CACHED_LENGTH_MAX = 1000;
  const REPEAT_MAX = 2147483647;

  const LINE_END = '\\n\\r\\u0085\\u2028\\u2029';
  const WORD = '[a-zA-Z_0-9]';
  const NOT_AFTER_LAST = '(?![^])';
  const NOT_BEFORE_FIRST = '(?<![^])';

  const classOfLetter = {
    __proto__: null,
    d: '[0-9]', D: '[^0-9]',
    w: '[a-zA-Z_0-9]', W: '[^a-zA-Z_0-9]',
    s: '[ \\t\\n\\v\\f\\r]', S: '[^ \\t\\n\\v\\f\\r]',
    h: '[ \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000]', H: '[^ \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000]',
    v: '[\\n\\v\\f\\r\\x85\\u2028\\u2029]', V: '[^\\n\\v\\f\\r\\x85\\u2028\\u2029]',
  };

  // Java's names for classes of ASCII characters.
  const posix = {
    __proto__: null,
    Lower: 'a-z', Upper: 'A-Z', ASCII: '\\x00-\\x7f', Alpha: 'a-zA-Z', Digit: '0-9', Alnum: 'a-zA-Z0-9',
    Punct: '\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e', Graph: '\\x21-\\x7e', Print: '\\x20-\\x7e', Blank: ' \\t',
    Cntrl: '\\x00-\\x1f\\x7f', XDigit: '0-9a-fA-F', Space: ' \\t\\n\\v\\f\\r',
  };

  // Binary properties under the names Java gives them after "Is".
  const binary = {
    __proto__: null,
    alphabetic: 'Alphabetic', ideographic: 'Ideographic', letter: 'L', lowercase: 'Lowercase', uppercase: 'Uppercase', titlecase: 'Lt',
    punctuation: 'P', control: 'Cc', white_space: 'White_Space', whitespace: 'White_Space', digit: 'Nd', hex_digit: 'Hex_Digit',
    join_control: 'Join_Control', noncharacter_code_point: 'Noncharacter_Code_Point', assigned: 'Assigned', emoji: 'Emoji',
    emoji_presentation: 'Emoji_Presentation', emoji_modifier: 'Emoji_Modifier', extended_pictographic: 'Extended_Pictographic',
  };

  const javaCharacter = {
    __proto__: null,
    javaLowerCase: 'Lowercase', javaUpperCase: 'Uppercase', javaAlphabetic: 'Alphabetic', javaLetter: 'L', javaDigit: 'Nd',
    javaWhitespace: 'White_Space', javaIdeographic: 'Ideographic', javaTitleCase: 'Lt',
  };

  const hex4 = (point) => point.toString(16).padStart(4, '0');

  /** A character as a member of a pattern or class, whatever it means there. */
  function literal(point) {
    if ((point >= 0x30 && point <= 0x39) || (point >= 0x41 && point <= 0x5a) || (point >= 0x61 && point <= 0x7a)) {
      return String.fromCharCode(point);
    }
    return point > 0xffff ? `\\u{${point.toString(16)}}` : `\\u${hex4(point)}`;
  }

  const isAsciiLetter = (point) => (point >= 0x41 && point <= 0x5a) || (point >= 0x61 && point <= 0x7a);

  /** The other case of a character where the flags say that case does not matter, or -1. */
  function otherCase(point, flags) {
    if (!flags.i) return -1;
    if (isAsciiLetter(point)) return point ^ 0x20;
    if (!flags.u || point < 0x80) return -1;
    const text = String.fromCodePoint(point);
    const other = text.toLowerCase() === text ? text.toUpperCase() : text.toLowerCase();
    return other !== text && other.length === (other.codePointAt(0) > 0xffff ? 2 : 1) ? other.codePointAt(0) : -1;
  }

  /** A class's range, with the other case of the ASCII letters in it where case does not matter. */
  function range(from, to, flags) {
    let text = from === to ? literal(from) : `${literal(from)}-${literal(to)}`;
    if (!flags.i) return text;
    if (from === to) {
      const other = otherCase(from, flags);
      return other < 0 ? text : text + literal(other);
    }
    for (const [first, last] of [[0x41, 0x5a], [0x61, 0x7a]]) {
      const low = Math.max(from, first);
      const high = Math.min(to, last);
      if (low <= high) text += `${literal(low ^ 0x20)}-${literal(high ^ 0x20)}`;
    }
    return text;
  }

  /**
   * Translates a pattern.
   * @returns {{source: string, groups: number[], names: object}} JavaScript's source; of Java's groups, by number, JavaScript's numbers;
   * and of Java's group names, Java's numbers
   */
  function translate(pattern) {
    let at = 0;
    let depth = 0;
    let lookBehind = 0;
    let flags = { i: false, m: false, s: false, x: false, u: false, d: false };
    let groupCount = 0;
    // Java's group number -> the number in the source that is written. Index 0 is the whole match.
    const groups = [0];
    let written = 0;
    const names = { __proto__: null };

    const refuse = (reason) => fault(`${reason} near index ${at}: ${pattern.length > 200 ? `${pattern.slice(0, 200)}...` : pattern}`);

    function skipComments() {
      if (!flags.x) return;
      for (;;) {
        const character = pattern[at];
        if (character === '#') {
          while (at < pattern.length && pattern[at] !== '\n') at++;
        } else if (character === ' ' || (character >= '\t' && character <= '\r')) {
          at++;
        } else {
          return;
        }
      }
    }

    // Nodes are functions that write their source. They run after parsing, in the order of the source, and number the groups.

    function parseAlternatives() {
      if (++depth > DEPTH_MAX) throw refuse('Too many groups inside of each other');
      const kept = flags;
      const alternatives = [parseSequence()];
      while (pattern[at] === '|') {
        at++;
        alternatives.push(parseSequence());
      }
      flags = kept;
      depth--;
      return () => {
        let text = '';
        for (let i = 0; i < alternatives.length; i++) text += i === 0 ? alternatives[i]() : `|${alternatives[i]()}`;
        return text;
      };
    }

    function parseSequence() {
      const nodes = [];
      for (;;) {
        skipComments();
        if (at >= pattern.length || pattern[at] === '|' || pattern[at] === ')') break;
        const atom = parseAtom();
        if (atom !== null) nodes.push(parseQuantifier(atom));
      }
      return () => {
        let text = '';
        for (let i = 0; i < nodes.length; i++) text += nodes[i]();
        return text;
      };
    }

    function parseQuantifier(atom) {
      let node = atom;
      for (;;) {
        skipComments();
        let quantifier = pattern[at];
        if (quantifier === '{') {
          const bounds = matchOf(boundsPattern, pattern.slice(at, at + 30));
          if (bounds === null) throw refuse('Illegal repetition');
          const low = Number(bounds[1]);
          const high = bounds[3] === undefined || bounds[3] === '' ? low : Number(bounds[3]);
          if (low > REPEAT_MAX || high > REPEAT_MAX || high < low) throw refuse('Illegal repetition range');
          quantifier = bounds[0];
        } else if (quantifier !== '*' && quantifier !== '+' && quantifier !== '?') {
          return node;
        }
        at += quantifier.length;
        const inner = node;
        if (pattern[at] === '+') {
          at++;
          node = atomic(() => `(?:${inner()})${quantifier}`);
        } else {
          const lazy = pattern[at] === '?' ? '?' : '';
          at += lazy.length;
          node = () => `(?:${inner()})${quantifier}${lazy}`;
        }
      }
    }

    function atomic(inner) {
      // JavaScript matches look-behinds backwards, and would follow the reference before the capture.
      if (lookBehind > 0) throw refuse('An atomic or possessive part of a look-behind is not supported');
      return () => {
        const number = ++written;
        return `(?:(?=(${inner()}))\\${number})`;
      };
    }

    const withFlags = (change) => {
      flags = { ...flags, ...change };
    };

    function parseGroup() {
      at++;
      if (pattern[at] !== '?') {
        const number = ++groupCount;
        const inner = parseAlternatives();
        return closed(() => {
          groups[number] = ++written;
          return `(${inner()})`;
        });
      }
      at++;
      const two = pattern.slice(at, at + 2);
      if (two[0] === ':' || two[0] === '=' || two[0] === '!') {
        at++;
        const inner = parseAlternatives();
        return closed(() => `(?${two[0]}${inner()})`);
      }
      if (two[0] === '>') {
        at++;
        return closed(atomic(parseAlternatives()));
      }
      if (two === '<=' || two === '<!') {
        at += 2;
        lookBehind++;
        const inner = parseAlternatives();
        lookBehind--;
        return closed(() => `(?${two}${inner()})`);
      }
      if (two[0] === '<') {
        const name = matchOf(groupNamePattern, pattern.slice(at, at + 100));
        if (name === null) throw refuse('Unknown look-behind group');
        at += name[0].length;
        const number = ++groupCount;
        if (names[name[1]] !== undefined) throw refuse(`Named capturing group <${name[1]}> is already defined`);
        names[name[1]] = number;
        const inner = parseAlternatives();
        return closed(() => {
          groups[number] = ++written;
          return `(${inner()})`;
        });
      }
      const change = matchOf(flagsPattern, pattern.slice(at, at + 30));
      if (change === null) throw refuse('Unknown inline modifier');
      at += change[0].length;
      const changed = {};
      for (const flag of change[1]) changed[flag.toLowerCase()] = true;
      for (const flag of change[2] ?? '') changed[flag.toLowerCase()] = false;
      if (change[3] === ')') {
        withFlags(changed);
        return null;
      }
      const kept = flags;
      withFlags(changed);
      const inner = parseAlternatives();
      flags = kept;
      return closed(() => `(?:${inner()})`);
    }

    function closed(node) {
      if (pattern[at] !== ')') throw refuse('Unclosed group');
      at++;
      return node;
    }

    function parseAtom() {
      const character = pattern[at];
      switch (character) {
        case '(': return parseGroup();
        case '[': {
          const text = parseClass();
          return () => text;
        }
        case '.': {
          at++;
          const text = flags.s ? '[^]' : flags.d ? '[^\\n]' : `[^${LINE_END}]`;
          return () => text;
        }
        case '^': {
          at++;
          const text = !flags.m ? NOT_BEFORE_FIRST
            : `(?:${NOT_BEFORE_FIRST}|(?<=${flags.d ? '\\n' : `\\n|\\r(?!\\n)|[\\u0085\\u2028\\u2029]`})(?=[^]))`;
          return () => text;
        }
        case '$': {
          at++;
          const lineEnd = flags.d ? '\\n' : `\\r\\n|(?<!\\r)\\n|[\\r\\u0085\\u2028\\u2029]`;
          const text = flags.m ? `(?:${NOT_AFTER_LAST}|(?=${lineEnd}))` : `(?=(?:${lineEnd})?${NOT_AFTER_LAST})`;
          return () => text;
        }
        case '\\': return parseEscape();
        case '*': case '+': case '?': throw refuse(`Dangling meta character '${character}'`);
        case '{': throw refuse('Illegal repetition');
        default: return literalAtom(nextPoint());
      }
    }

    function literalAtom(point) {
      const other = otherCase(point, flags);
      const text = other < 0 ? literal(point) : `[${literal(point)}${literal(other)}]`;
      return () => text;
    }

    function nextPoint() {
      const point = pattern.codePointAt(at);
      at += point > 0xffff ? 2 : 1;
      return point;
    }

    function parseEscape() {
      const letter = pattern[at + 1];
      if (letter === undefined) throw refuse('Unexpected internal error');
      if (letter === 'Q') {
        const end = pattern.indexOf('\\E', at + 2);
        const quoted = pattern.slice(at + 2, end < 0 ? pattern.length : end);
        at = end < 0 ? pattern.length : end + 2;
        if (quoted === '') return null;
        const atoms = [];
        for (const character of quoted) atoms.push(literalAtom(character.codePointAt(0)));
        // A quantifier behind a quotation applies to its last character.
        const last = parseQuantifier(atoms.pop());
        return () => {
          let text = '';
          for (let i = 0; i < atoms.length; i++) text += atoms[i]();
          return text + last();
        };
      }
      const inClass = parseClassEscape();
      if (inClass !== null) return () => inClass;
      if (letter >= '1' && letter <= '9') {
        at++;
        let number = Number(pattern[at++]);
        // Further digits belong to the number as long as there are so many groups.
        while (pattern[at] >= '0' && pattern[at] <= '9' && number * 10 + Number(pattern[at]) <= groupCount) {
          number = number * 10 + Number(pattern[at++]);
        }
        // A group that is not there never matches in Java.
        return () => (groups[number] === undefined ? '(?!)' : reference(groups[number]));
      }
      switch (letter) {
        case 'b': at += 2; return () => `(?:(?<!${WORD})(?=${WORD})|(?<=${WORD})(?!${WORD}))`;
        case 'B': at += 2; return () => `(?:(?<=${WORD})(?=${WORD})|(?<!${WORD})(?!${WORD}))`;
        case 'A': at += 2; return () => NOT_BEFORE_FIRST;
        case 'z': at += 2; return () => NOT_AFTER_LAST;
        case 'Z': at += 2; return () => `(?=(?:\\r\\n|(?<!\\r)\\n|[\\r\\u0085\\u2028\\u2029])?${NOT_AFTER_LAST})`;
        case 'R': at += 2; return () => '(?:\\r\\n|[\\n\\v\\f\\r\\u0085\\u2028\\u2029])';
        case 'k': {
          const name = matchOf(groupNamePattern, pattern.slice(at + 2, at + 102));
          if (name === null || names[name[1]] === undefined) throw refuse('\\k is not followed by the name of a group');
          at += 2 + name[0].length;
          const number = names[name[1]];
          return () => reference(groups[number]);
        }
        default: return literalAtom(parseCharacterEscape());
      }
    }

    // The reference is closed off, so that digits behind it stay digits.
    const reference = (number) => `(?:\\${number})`;

    /** Reads \d, \p{Alpha} and their like, as a class of its own; null where something else follows. */
    function parseClassEscape() {
      const letter = pattern[at + 1];
      if (classOfLetter[letter] !== undefined) {
        at += 2;
        return classOfLetter[letter];
      }
      if (letter !== 'p' && letter !== 'P') return null;
      const found = matchOf(propertyPattern, pattern.slice(at + 2, at + 102));
      if (found === null) throw refuse('Unknown character property');
      at += 2 + found[0].length;
      const name = found[1] ?? found[2];
      const not = letter === 'P' ? '^' : '';
      // Without case, upper and lower are either, as in Java.
      if (flags.i && (name === 'Lower' || name === 'Upper')) return `[${not}a-zA-Z]`;
      if (posix[name] !== undefined) return `[${not}${posix[name]}]`;
      let property;
      const equals = name.indexOf('=');
      if (equals > 0) {
        const key = name.slice(0, equals).toLowerCase();
        const value = name.slice(equals + 1);
        if (key === 'sc' || key === 'script') property = `Script=${value}`;
        else if (key === 'gc' || key === 'general_category') property = `General_Category=${value}`;
        else throw refuse(`Unknown Unicode property {name=<${key}>, value=<${value}>}`);
      } else if (javaCharacter[name] !== undefined) {
        property = javaCharacter[name];
      } else if (name.startsWith('Is')) {
        const rest = name.slice(2);
        property = binary[rest.toLowerCase()] ?? (rest.length <= 2 ? rest : `Script=${rest[0].toUpperCase()}${rest.slice(1)}`);
      } else {
        if (name === 'L1') return `[${not}\\x00-\\xff]`;
        property = name;
      }
      if (flags.i && (property === 'Lu' || property === 'Ll' || property === 'Lt')) return `[${not}\\p{Lu}\\p{Ll}\\p{Lt}]`;
      const text = `[${not}\\p{${property}}]`;
      try {
        new RegExp(text, 'v');
      } catch {
        throw refuse(`Unknown character property name {${name}}`);
      }
      return text;
    }

    /** Reads an escape that stands for one character, and gives its code point. */
    function parseCharacterEscape() {
      const letter = pattern[at + 1];
      if (letter === undefined) throw refuse('Unclosed character class');
      at += 2;
      switch (letter) {
        case 't': return 9;
        case 'n': return 10;
        case 'f': return 12;
        case 'r': return 13;
        case 'a': return 7;
        case 'e': return 27;
        case '0': {
          const octal = matchOf(octalPattern, pattern.slice(at, at + 3));
          if (octal === null) throw refuse('Illegal octal escape sequence');
          at += octal[0].length;
          return parseInt(octal[0], 8);
        }
        case 'x': {
          const hex = matchOf(hexPattern, pattern.slice(at, at + 12));
          if (hex === null) throw refuse('Illegal hexadecimal escape sequence');
          at += hex[0].length;
          const point = parseInt(hex[1] ?? hex[2], 16);
          if (point > 0x10ffff) throw refuse('Hexadecimal codepoint is too big');
          return point;
        }
        case 'u': {
          const hex = matchOf(unicodePattern, pattern.slice(at, at + 10));
          if (hex === null) throw refuse('Illegal Unicode escape sequence');
          at += 4;
          const unit = parseInt(hex[1], 16);
          // Two escapes may write the halves of one character.
          if (unit >= 0xd800 && unit < 0xdc00 && hex[2] !== undefined) {
            const low = parseInt(hex[2], 16);
            if (low >= 0xdc00 && low < 0xe000) {
              at += 6;
              return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            }
          }
          return unit;
        }
        case 'c': {
          if (at >= pattern.length) throw refuse('Illegal control escape sequence');
          return nextPoint() ^ 64;
        }
        default:
          at--;
          if (isAsciiLetter(letter.charCodeAt(0))) throw refuse('Illegal/unsupported escape sequence');
          return nextPoint();
      }
    }

    /** Reads a class from its bracket on, and gives it with its brackets. */
    function parseClass() {
      if (++depth > DEPTH_MAX) throw refuse('Too many classes inside of each other');
      at++;
      let not = '';
      if (pattern[at] === '^') {
        not = '^';
        at++;
      }
      // Of [a-z&&[^aeiou]&&b] each part between the && is a class of its own; all of them are intersected.
      const parts = [];
      let members = '';
      let isFirst = true;
      for (;;) {
        if (at >= pattern.length) throw refuse('Unclosed character class');
        const character = pattern[at];
        if (flags.x && (character === ' ' || (character >= '\t' && character <= '\r'))) {
          at++;
          continue;
        }
        if (character === ']' && !isFirst) {
          at++;
          break;
        }
        if (character === '&' && pattern[at + 1] === '&') {
          at += 2;
          while (pattern[at] === '&') at++;
          if (members !== '') parts.push(`[${members}]`);
          members = '';
          isFirst = false;
          continue;
        }
        isFirst = false;
        if (character === '[') {
          members += parseClass();
          continue;
        }
        if (character === '\\') {
          if (pattern[at + 1] === 'Q') {
            const end = pattern.indexOf('\\E', at + 2);
            for (const quoted of pattern.slice(at + 2, end < 0 ? pattern.length : end)) {
              members += range(quoted.codePointAt(0), quoted.codePointAt(0), flags);
            }
            at = end < 0 ? pattern.length : end + 2;
            continue;
          }
          const nested = parseClassEscape();
          if (nested !== null) {
            members += nested;
            continue;
          }
        }
        const from = parseClassPoint();
        let to = from;
        if (pattern[at] === '-' && pattern[at + 1] !== ']' && pattern[at + 1] !== '[' && at + 1 < pattern.length) {
          const kept = at;
          at++;
          if (pattern[at] === '\\' && (classOfLetter[pattern[at + 1]] !== undefined || 'pPQ'.includes(pattern[at + 1]))) {
            at = kept;
          } else if (pattern[at] === '&' && pattern[at + 1] === '&') {
            at = kept;
          } else {
            to = parseClassPoint();
            if (to < from) throw refuse('Illegal character range');
          }
        }
        members += range(from, to, flags);
      }
      if (members !== '' || parts.length === 0) parts.push(`[${members}]`);
      depth--;
      return parts.length === 1 && not === '' ? parts[0] : `[${not}${parts.join('&&')}]`;
    }

    const parseClassPoint = () => (pattern[at] === '\\' ? parseCharacterEscape() : nextPoint());

    const root = parseAlternatives();
    if (at < pattern.length) throw refuse("Unmatched closing ')'");
    return { source: root(), groups, names };
  }

  const boundsPattern = new RegExp('^\\{(\\d+)(,(\\d*))?\\}');
  const groupNamePattern = new RegExp('^<([A-Za-z][A-Za-z0-9]*)>');
  const flagsPattern = new RegExp('^([idmsuxU]*)(?:-([idmsuxU]*))?([:)])');
  const propertyPattern = new RegExp('^(?:\\{([^{}]+)\\}|([A-Z]))');
  const octalPattern = new RegExp('^(?:[0-3][0-7]{0,2}|[0-7]{1,2})');
  const hexPattern = new RegExp('^(?:([0-9A-Fa-f]{2})|\\{([0-9A-Fa-f]{1,8})\\})');
  const unicodePattern = new RegExp('^([0-9A-Fa-f]{4})(?:\\\\u([0-9A-Fa-f]{4}))?');

  // Kept over the calls: a pattern says nothing about the data it was used on. Cleared when full, since handlers use few patterns, and one
  // that makes them up from events would fill any size.
  const cache = new Map();

  /** @returns {{find: RegExp, whole: RegExp, groups: number[], names: object}} */
  function compile(pattern) {
    const isCached = pattern.length <= CACHED_LENGTH_MAX;
    const known = isCached ? cache.get(pattern) : undefined;
    if (known !== undefined) return known;
    charge(1 + pattern.length);
    const { source, groups, names } = translate(pattern);
    let compiled;
    try {
      compiled = { find: new RegExp(source, 'gv'), whole: new RegExp(`${NOT_BEFORE_FIRST}(?:${source})${NOT_AFTER_LAST}`, 'v'), groups, names };
    } catch (error) {
      if (error instanceof SyntaxError) throw fault(`The regular expression ${pattern} is not supported`);
      throw error;
    }
    if (isCached) {
      if (cache.size >= CACHE_ENTRIES_MAX) cache.clear();
      cache.set(pattern, compiled);
    }
    return compiled;
  }

  /**
   * Prepares a replacement in Java's syntax: `$1` and `${name}` are groups, a backslash takes the next character as it is.
   * @returns {Array<string|number>} texts, and JavaScript's numbers of groups
   */
  function parseReplacement(replacement, { groups, names }) {
    const parts = [];
    let text = '';
    for (let at = 0; at < replacement.length;) {
      const character = replacement[at++];
      if (character === '\\') {
        if (at === replacement.length) throw fault('character to be escaped is missing');
        text += replacement[at++];
      } else if (character !== '$') {
        text += character;
      } else {
        let number;
        if (replacement[at] === '{') {
          const end = replacement.indexOf('}', at);
          const name = replacement.slice(at + 1, end < 0 ? at + 1 : end);
          if (end < 0) throw fault("named capturing group is missing trailing '}'");
          number = names[name];
          if (number === undefined) throw fault(`No group with name {${name}}`);
          at = end + 1;
        } else {
          if (!(replacement[at] >= '0' && replacement[at] <= '9')) throw fault('Illegal group reference');
          number = Number(replacement[at++]);
          if (number >= groups.length) throw fault(`No group ${number}`);
          while (replacement[at] >= '0' && replacement[at] <= '9' && number * 10 + Number(replacement[at]) < groups.length) {
            number = number * 10 + Number(replacement[at++]);
          }
        }
        if (text !== '') parts.push(text);
        text = '';
        parts.push(groups[number]);
      }
    }
    if (text !== '') parts.push(text);
    return parts;
  }

  /** Replaces the first match, or all, of a Java pattern. The replacement is Java's too, or a function as in JavaScript. */
  function replace(text, pattern, replacement, isAll) {
    const compiled = compile(pattern);
    const { find } = compiled;
    let result = '';
    let from = 0;
    let searchFrom = 0;
    let parts = null;
    for (;;) {
      // Set anew each time: a function may replace something by the same pattern.
      find.lastIndex = searchFrom;
      const match = matchOf(find, text);
      if (match === null) break;
      charge(1);
      result += text.slice(from, match.index);
      from = match.index + match[0].length;
      if (typeof replacement === 'function') {
        result += replacement(match[0], match.index, text);
      } else {
        parts ??= parseReplacement(replacement, compiled);
        for (let i = 0; i < parts.length; i++) result += typeof parts[i] === 'string' ? parts[i] : match[parts[i]] ?? '';
      }
      if (!isAll) break;
      searchFrom = from;
      if (match[0] === '') {
        if (from >= text.length) break;
        searchFrom += text.codePointAt(from) > 0xffff ? 2 : 1;
      }
    }
    return from === 0 && result === '' ? text : result + text.slice(from);
  }

  internal.patterns = {
    __proto__: null,
    replace,

    /** Whether a Java pattern matches the whole text (§8, 12). */
    matches: (pattern, text) => matchOf(compile(pattern).whole, text) !== null,
  };
  return internal;
})
