// Makes the context safe to hand to handlers and the same for every call: takes away the globals that AppSync lacks (handlers.md §3.3),
// puts AppSync's string functions and JSON.parse in place, and freezes every built-in, so that nothing a call writes is there in the next.
//
// Freezing alone would break ordinary code: on an object that inherits a frozen toString, `o.toString = 1` is an error (the
// "override mistake"). So the members of Object.prototype, and those of Function and Error that people assign, become accessors whose
// setters give the object a member of its own. Arrays keep plain members: accessors there cost V8 its fast loops (copying a list of 200
// takes a hundred times as long), for an assignment that nobody makes.

(function (internal) {
  'use strict';

  const {
    Object, Reflect, RegExp, String, Symbol, SyntaxError, TypeError, global, parseJson, patterns, replaceText, replaceAllText, testOf,
  } = internal;
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { ownKeys } = Reflect;
  const { Error, JSON, Map, Promise, Set } = global;

  const GLOBALS = [
    'undefined', 'NaN', 'Infinity', 'Array', 'Object', 'String', 'Number', 'Boolean', 'Math', 'JSON',
    // Not documented, and harmless: how else to tell a text's number.
    'parseInt', 'parseFloat', 'isNaN', 'isFinite',
  ];

  const define = (object, name, value) =>
    defineProperty(object, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });

  // Text that a Java pattern matches as it is, and a replacement that means itself.
  const plainPattern = new RegExp('^[^\\\\^$.|?*+()[{]+$');
  const plainReplacement = new RegExp('^[^\\\\$]*$');

  function replacing(name, isAll, native) {
    return {
      [name](pattern, replacement) {
        if (this === null || this === undefined) throw new TypeError(`String.prototype.${name} called on null or undefined`);
        // Regular-expression literals are not part of the language; where they are let pass, they work as in JavaScript.
        if (pattern instanceof RegExp) return native(this, pattern, replacement);
        const text = String(this);
        const search = String(pattern);
        const put = typeof replacement === 'function' ? replacement : String(replacement);
        if (typeof put === 'string' && testOf(plainPattern, search) && testOf(plainReplacement, put)) return native(text, search, put);
        return patterns.replace(text, search, put, isAll);
      },
    }[name];
  }

  /** Objects that code reaches by syntax alone, beside those that globals lead to. */
  function syntaxIntrinsics() {
    const iterators = [
      [][Symbol.iterator](), ''[Symbol.iterator](), new Map()[Symbol.iterator](), new Set()[Symbol.iterator](), 'a'.matchAll(/a/g),
    ];
    // Iterators that newer versions of Node make of others; no property leads to their prototypes.
    if (global.Iterator !== undefined) iterators.push(iterators[0].map((value) => value), global.Iterator.from({ next() {} }));
    return [
      function* () {}, async function () {}, async function* () {}, () => {}, /a/, Symbol.iterator, 1n,
      (function* () {})(), (async function* () {})(), getOwnPropertyDescriptor((function () { return arguments; })(), 'callee').get,
      ...iterators,
    ].map((value) => (typeof value === 'symbol' ? Symbol.prototype : typeof value === 'bigint' ? getPrototypeOf(value) : value));
  }

  function freezeAll(roots) {
    const pending = [...roots];
    const seen = new Set();
    while (pending.length > 0) {
      const object = pending.pop();
      if ((typeof object !== 'object' && typeof object !== 'function') || object === null || seen.has(object) || object === global) continue;
      seen.add(object);
      pending.push(getPrototypeOf(object));
      const names = ownKeys(object);
      for (let i = 0; i < names.length; i++) {
        const { value, get, set } = getOwnPropertyDescriptor(object, names[i]);
        pending.push(value, get, set);
      }
    }
    for (const object of seen) freeze(object);
  }

  function allowOverrides(prototype, names) {
    for (const name of names) {
      const property = getOwnPropertyDescriptor(prototype, name);
      if (property === undefined || !('value' in property)) continue;
      const { value } = property;
      const { get, set } = {
        get() {
          return value;
        },
        set(own) {
          if (this === prototype || (typeof this !== 'object' && typeof this !== 'function') || this === null) {
            throw new TypeError(`Cannot assign to read only property '${String(name)}' of object`);
          }
          defineProperty(this, name, { __proto__: null, value: own, writable: true, enumerable: true, configurable: true });
        },
      };
      defineProperty(prototype, name, { __proto__: null, get, set, enumerable: false, configurable: false });
    }
  }

  /** Changes the context for good. Called once, when everything that the sandbox needs is captured. */
  internal.harden = function harden() {
    const everything = ownKeys(global).map((name) => global[name]).filter((value) => value !== global);
    const hidden = syntaxIntrinsics();
    const errors = everything.filter((value) => typeof value === 'function' && value.prototype !== undefined
      && (value === Error || getPrototypeOf(value) === Error));

    define(String.prototype, 'replace', replacing('replace', false, replaceText));
    define(String.prototype, 'replaceAll', replacing('replaceAll', true, replaceAllText));
    define(JSON, 'parse', {
      /** As JavaScript's, but null for what is not JSON (§3.3; §8, 11). */
      parse(text, reviver) {
        const source = String(text);
        let value;
        try {
          value = parseJson(source);
        } catch (error) {
          if (error instanceof SyntaxError) return null;
          throw error;
        }
        // Only now, so that what a reviver throws is not taken for bad text.
        return typeof reviver === 'function' ? parseJson(source, reviver) : value;
      },
    }.parse);

    // Constructors that make code of text refuse to in this context already; there is no way to them either. Error's would let a handler
    // decide how stacks are written, and Promise is not part of the language.
    for (const made of hidden.slice(0, 4)) define(getPrototypeOf(made), 'constructor', undefined);
    for (const error of errors) define(error.prototype, 'constructor', undefined);
    define(Promise.prototype, 'constructor', undefined);
    Error.stackTraceLimit = internal.STACK_FRAMES_MAX;
    delete Error.prepareStackTrace;

    allowOverrides(Object.prototype, ownKeys(Object.prototype));
    allowOverrides(Function.prototype, ['toString', 'constructor', 'name']);
    for (const error of errors) allowOverrides(error.prototype, ['name', 'message', 'toString', 'constructor']);

    for (const name of ownKeys(global)) {
      if (!GLOBALS.includes(name) && !Reflect.deleteProperty(global, name)) throw new TypeError(`The global ${String(name)} cannot be removed`);
    }
    for (const name of Object.keys(internal.globals)) define(global, name, internal.globals[name]);
    // The tick too: a module's top level finds it among its arguments.
    freezeAll([...everything, ...hidden, internal.globals, internal.modules, internal.call.tick]);
    freeze(global);
  };

  return internal;
})
