// Encodings and XML (handlers.md §4.2, §4.5).

(function (internal) {
  'use strict';

  const {
    Number, RegExp, String, encodeURIComponent, isRecord, isArray, matchOf, normalize, replaceText, setMember, stringify,
    testOf, textOf,
  } = internal;
  const { charge, fault } = internal.call;

  const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const XML_DEPTH_MAX = 100;

  // Twelve bits at a time, so that three bytes are two look-ups.
  const base64Pairs = [];
  for (let i = 0; i < 4096; i++) base64Pairs.push(BASE64[i >> 6] + BASE64[i & 63]);

  const valueOfBase64 = { __proto__: null, '-': 62, '_': 63 };
  for (let i = 0; i < 64; i++) valueOfBase64[BASE64[i]] = i;

  // A character is an iteration: its bytes are kept in a list for a while, and lists must not fill the worker's memory.
  const chargeText = (text) => charge(text.length);

  function utf8Of(text) {
    const bytes = [];
    for (let i = 0; i < text.length; i++) {
      let point = text.charCodeAt(i);
      if (point < 0x80) {
        bytes.push(point);
        continue;
      }
      point = text.codePointAt(i);
      if (point > 0xffff) i++;
      else if (point >= 0xd800 && point < 0xe000) point = 0x3f; // An unpaired surrogate has no bytes; Java writes '?'.
      if (point < 0x80) {
        bytes.push(point);
      } else if (point < 0x800) {
        bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
      } else if (point < 0x10000) {
        bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
      } else {
        bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
      }
    }
    return bytes;
  }

  /** Reads UTF-8; each byte that is none becomes U+FFFD, as in Java's String(bytes). */
  function textOfUtf8(bytes) {
    let text = '';
    for (let i = 0; i < bytes.length; i++) {
      const first = bytes[i];
      if (first < 0x80) {
        text += String.fromCharCode(first);
        continue;
      }
      const following = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
      let point = following === 0 ? -1 : first & (0x3f >> following);
      for (let j = 1; j <= following && point >= 0; j++) {
        const next = bytes[i + j];
        point = next >= 0x80 && next < 0xc0 ? (point << 6) | (next & 63) : -1;
      }
      const shortest = following === 1 ? 0x80 : following === 2 ? 0x800 : 0x10000;
      if (point < shortest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
        text += '\ufffd';
      } else {
        text += String.fromCodePoint(point);
        i += following;
      }
    }
    return text;
  }

  function base64Encode(value) {
    const source = textOf(value, 'util.base64Encode');
    chargeText(source);
    const bytes = utf8Of(source);
    const count = bytes.length;
    let text = '';
    let i = 0;
    for (; i + 2 < count; i += 3) {
      const bits = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
      text += base64Pairs[bits >> 12] + base64Pairs[bits & 4095];
    }
    if (i + 1 === count) text += `${base64Pairs[bytes[i] << 4]}==`;
    else if (i + 2 === count) text += `${base64Pairs[(bytes[i] << 4) | (bytes[i + 1] >> 4)]}${BASE64[(bytes[i + 1] & 15) << 2]}=`;
    return text;
  }

  /** Accepts both alphabets, padding or none, and white space, as decoders of mail and of tokens between them do. */
  function base64Decode(value) {
    const source = textOf(value, 'util.base64Decode');
    chargeText(source);
    const bytes = [];
    let bits = 0;
    let count = 0;
    for (let i = 0; i < source.length; i++) {
      const character = source[i];
      if (character === '=' || character === '\n' || character === '\r' || character === ' ') continue;
      const value6 = valueOfBase64[character];
      if (value6 === undefined) throw fault(`util.base64Decode: illegal base64 character at index ${i}`);
      bits = ((bits << 6) | value6) & 0xffff;
      count += 6;
      if (count >= 8) {
        count -= 8;
        bytes.push((bits >> count) & 255);
      }
    }
    return textOfUtf8(bytes);
  }

  const loneSurrogates = new RegExp('[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]', 'g');
  const formSpecials = new RegExp("%20|[!~'()]", 'g');
  const formSpecial = { __proto__: null, '%20': '+', '!': '%21', '~': '%7E', "'": '%27', '(': '%28', ')': '%29' };
  const pluses = new RegExp('\\+', 'g');
  const escapeAt = new RegExp('^%[0-9A-Fa-f]{2}');

  function urlEncode(value) {
    const source = textOf(value, 'util.urlEncode');
    chargeText(source);
    return replaceText(encodeURIComponent(replaceText(source, loneSurrogates, '?')), formSpecials, (found) => formSpecial[found]);
  }

  function urlDecode(value) {
    const given = textOf(value, 'util.urlDecode');
    chargeText(given);
    const source = replaceText(given, pluses, ' ');
    if (!source.includes('%')) return source;
    let text = '';
    for (let i = 0; i < source.length;) {
      if (source[i] !== '%') {
        text += source[i++];
        continue;
      }
      // A run of escapes is decoded at once: a character's bytes are spread over several.
      const bytes = [];
      while (source[i] === '%') {
        if (!testOf(escapeAt, source.slice(i, i + 3))) throw fault('util.urlDecode: illegal characters in an escape (%) sequence');
        bytes.push(parseInt(source.slice(i + 1, i + 3), 16));
        i += 3;
      }
      text += textOfUtf8(bytes);
    }
    return text;
  }

  const scriptSpecials = new RegExp('["\'\\\\/\\0-\\x1f\\x80-\\uffff]', 'g');
  const scriptSpecial = {
    __proto__: null, '"': '\\"', "'": "\\'", '\\': '\\\\', '/': '\\/', '\b': '\\b', '\n': '\\n', '\t': '\\t', '\f': '\\f', '\r': '\\r',
  };

  function escapeJavaScript(value) {
    const source = textOf(value, 'util.escapeJavaScript');
    chargeText(source);
    return replaceText(source, scriptSpecials, (found) =>
      scriptSpecial[found] ?? `\\u${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`);
  }

  function normalizeText(value, form) {
    const source = textOf(value, 'util.str.normalize');
    const name = typeof form === 'string' ? form.toUpperCase() : '';
    if (name !== 'NFC' && name !== 'NFD' && name !== 'NFKC' && name !== 'NFKD') {
      throw fault('util.str.normalize expects one of nfc, nfd, nfkc, nfkd');
    }
    chargeText(source);
    return normalize(source, name);
  }

  // XML. The rules are those of the Java library whose output AWS's manual shows: an attribute is a member like an element, what occurs
  // twice is a list, an empty element is an empty text, text beside attributes or elements is the member "content", and text that reads
  // as a JSON number or literal is one, unless texts are asked for.

  const entityPattern = new RegExp('&(#x[0-9A-Fa-f]+|#[0-9]+|[A-Za-z]+);', 'g');
  const entityText = { __proto__: null, amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  const xmlName = new RegExp('^[^\\s<>/="\'&]+');
  const xmlAttribute = new RegExp('^\\s+([^\\s<>/="\'&]+)\\s*=\\s*(?:"([^"<]*)"|\'([^\'<]*)\')');
  const xmlTagEnd = new RegExp('^\\s*(/?)>');
  const jsonNumber = new RegExp('^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$');

  const withoutEntities = (text) => replaceText(text, entityPattern, (whole, name) => {
    if (name[0] !== '#') return entityText[name] ?? whole;
    const point = name[1] === 'x' ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });

  function valueOfXml(text, asText) {
    if (asText) return text;
    if (text === 'true') return true;
    if (text === 'false') return false;
    if (text === 'null') return null;
    // A number that would lose digits stays a text, as ids of twenty digits must.
    if (text.length < 17 && testOf(jsonNumber, text) && text !== '-0') return Number(text);
    return text;
  }

  function addXml(object, name, value) {
    if (!internal.hasOwn(object, name)) setMember(object, name, value);
    else if (isArray(object[name])) object[name].push(value);
    else setMember(object, name, [object[name], value]);
  }

  function parseXml(source, asText) {
    chargeText(source);
    let at = 0;
    const refuse = (reason) => fault(`util.xml: ${reason} at index ${at}`);
    const skipTo = (end, what) => {
      const found = source.indexOf(end, at);
      if (found < 0) throw refuse(`${what} without an end`);
      at = found + end.length;
    };

    /** Reads what follows an element's start tag up to its end tag; the document itself is an element without a name. */
    function parseContent(object, name, depth) {
      if (depth > XML_DEPTH_MAX) throw refuse(`more than ${XML_DEPTH_MAX} elements inside of each other`);
      for (;;) {
        const start = source.indexOf('<', at);
        const text = withoutEntities(source.slice(at, start < 0 ? source.length : start)).trim();
        if (text !== '' && name !== null) addXml(object, 'content', valueOfXml(text, asText));
        if (text !== '' && name === null) throw refuse('text outside of the document\'s element');
        at = start < 0 ? source.length : start;
        if (start < 0) {
          if (name !== null) throw refuse(`element ${name} without an end`);
          return;
        }
        if (source.startsWith('<!--', at)) {
          skipTo('-->', 'a comment');
        } else if (source.startsWith('<![CDATA[', at)) {
          const from = at + '<![CDATA['.length;
          skipTo(']]>', 'a CDATA section');
          const data = source.slice(from, at - ']]>'.length);
          if (data !== '' && name !== null) addXml(object, 'content', data);
        } else if (source.startsWith('<?', at)) {
          skipTo('?>', 'an instruction');
        } else if (source.startsWith('<!', at)) {
          // A document type is skipped whole and defines no entities, so none can be expanded over and over.
          let open = 0;
          do {
            const character = source[at++];
            if (character === undefined) throw refuse('a document type without an end');
            if (character === '<') open++;
            else if (character === '>') open--;
          } while (open > 0);
        } else if (source.startsWith('</', at)) {
          const end = matchOf(xmlName, source.slice(at + 2, at + 2 + 1000));
          if (end === null || end[0] !== name) throw refuse(`an end tag that does not end ${name ?? 'anything'}`);
          at += 2 + name.length;
          const close = matchOf(xmlTagEnd, source.slice(at, at + 1000));
          if (close === null || close[1] !== '') throw refuse('a malformed end tag');
          at += close[0].length;
          return;
        } else {
          parseElement(object, depth);
        }
      }
    }

    function parseElement(parent, depth) {
      at++;
      const name = matchOf(xmlName, source.slice(at, at + 1000))?.[0];
      if (name === undefined) throw refuse('a tag without a name');
      at += name.length;
      const object = {};
      for (;;) {
        const rest = source.slice(at, at + 65536);
        const attribute = matchOf(xmlAttribute, rest);
        if (attribute === null) break;
        addXml(object, attribute[1], valueOfXml(withoutEntities(attribute[2] ?? attribute[3]), asText));
        at += attribute[0].length;
      }
      const close = matchOf(xmlTagEnd, source.slice(at, at + 1000));
      if (close === null) throw refuse(`a malformed tag ${name}`);
      at += close[0].length;
      if (close[1] === '') parseContent(object, name, depth + 1);
      const members = internal.keysOf(object);
      const value = members.length === 0 ? '' : members.length === 1 && members[0] === 'content' ? object.content : object;
      addXml(parent, name, value);
    }

    const document = {};
    parseContent(document, null, 0);
    return document;
  }

  const xml = {
    toMap: (text) => parseXml(textOf(text, 'util.xml.toMap'), false),
    toJsonString: (text, encodeStrings) => stringify(parseXml(textOf(text, 'util.xml.toJsonString'), encodeStrings === true)),
  };

  const copyHeadersOmits = {
    __proto__: null, 'transfer-encoding': 1, 'connection': 1, 'host': 1, 'expect': 1, 'keep-alive': 1, 'upgrade': 1,
    'proxy-authenticate': 1, 'proxy-authorization': 1, 'te': 1, 'content-length': 1,
  };

  function copyHeaders(headers) {
    const copy = {};
    if (!isRecord(headers)) return copy;
    const names = internal.keysOf(headers);
    charge(names.length);
    for (let i = 0; i < names.length; i++) {
      if (copyHeadersOmits[names[i].toLowerCase()] === undefined) setMember(copy, names[i], headers[names[i]]);
    }
    return copy;
  }

  internal.text = {
    __proto__: null, base64Encode, base64Decode, urlEncode, urlDecode, escapeJavaScript, normalizeText, xml, copyHeaders,
  };
  return internal;
})
