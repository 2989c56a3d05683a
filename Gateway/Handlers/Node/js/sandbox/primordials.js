// What the sandbox needs of JavaScript itself, taken before any handler runs: handlers lose most globals (handlers.md §3.3), and the
// methods of those that stay are partly replaced. Everything else the sandbox uses freely, since hardening.js freezes every built-in.
//
// The first script of the fold that sandbox.js describes: it takes nothing and returns the object that the others add to.

(function () {
  'use strict';

  const { call } = Function.prototype;
  const uncurry = (method) => call.bind(method);

  return {
    __proto__: null,
    global: globalThis,

    Array,
    Date,
    Error,
    IntlDateTimeFormat: Intl.DateTimeFormat,
    Map,
    Math,
    Number,
    Object,
    Reflect,
    RegExp,
    String,
    Symbol,
    SyntaxError,
    TypeError,
    WeakSet,
    dateNow: Date.now,
    dateUtc: Date.UTC,
    encodeURIComponent,
    isArray: Array.isArray,
    keysOf: Object.keys,
    parseJson: JSON.parse,
    stringify: JSON.stringify,

    formatParts: uncurry(Intl.DateTimeFormat.prototype.formatToParts),
    hasOwn: uncurry(Object.prototype.hasOwnProperty),
    matchOf: uncurry(RegExp.prototype.exec),
    normalize: uncurry(String.prototype.normalize),
    testOf: uncurry(RegExp.prototype.test),
    replaceText: uncurry(String.prototype.replace),
    replaceAllText: uncurry(String.prototype.replaceAll),

    /** Sets a member as JSON.parse does: `__proto__` becomes an ordinary member instead of a prototype. */
    setMember(object, name, value) {
      if (name === '__proto__') {
        Object.defineProperty(object, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
      } else {
        object[name] = value;
      }
    },

    /** Whether a value is an object with members, so no list, no function and not null. */
    isRecord: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  };
})
