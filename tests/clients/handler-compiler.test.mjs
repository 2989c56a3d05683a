// The compiler of handler modules: what it accepts, what it reports and where, and that its result does what the module does.
// The module itself, imported by Node, is the reference.

import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import vm from 'node:vm';

const scripts = new URL('../../Gateway/Handlers/Node/js/', import.meta.url);
const read = (name) => readFileSync(new URL(name, scripts), 'utf8');

const acorn = {};
vm.runInThisContext(`(function (exports, module) {${read('acorn.js')}\n})`)(acorn, {});
const { compile } = vm.runInThisContext(read('compiler.js'), { filename: 'compiler.js' })(acorn);

// ---- Running a module twice ---------------------------------------------------------------------------------------------------------------

/** What the modules of both runs import; the functions write to `journal`. */
let journal = [];
let failAt = 0;
globalThis.handlerModules = {
  '@aws-appsync/utils': {
    util: {
      note: (...values) => { journal.push(values); return values[0]; },
      fail: (n) => {
        if (n === failAt) {
          throw new Error(`failed at ${n}`);
        }
        return n;
      },
      autoId: () => 'id',
      time: { nowISO8601: () => '2026-01-01T00:00:00.000Z' },
      str: { normalize: (text, form) => text.normalize(form.toUpperCase()) },
      unauthorized: () => { throw new Error('Unauthorized'); },
      error: (message, type) => { throw new Error(`${type}: ${message}`); },
    },
    runtime: { earlyReturn: (value) => { throw new Error(`early ${JSON.stringify(value)}`); } },
    extensions: {},
  },
  '@aws-appsync/utils/dynamodb': { get: (request) => ({ operation: 'GetItem', ...request }), batchPut: (request) => ({ operation: 'BatchPutItem', ...request }) },
  '@aws-appsync/utils/rds': { sql: (strings, ...values) => ({ strings: [...strings], raw: [...strings.raw], values }) },
  '@aws-appsync/utils/ai': { invoke: (x) => x },
};
Object.assign(globalThis, { util: handlerModules['@aws-appsync/utils'].util, runtime: handlerModules['@aws-appsync/utils'].runtime });

const dataUrl = (text) => `data:text/javascript,${encodeURIComponent(text).replaceAll("'", '%27')}`;
const standIn = (module) => dataUrl(Object.keys(handlerModules[module])
  .map((name) => `export const ${name} = globalThis.handlerModules[${JSON.stringify(module)}].${name};`).join('\n'));

let runs = 0;
async function importOriginal(source) {
  const text = source.replace(/^\uFEFF/, '').replace(/(['"])(@aws-appsync\/utils(?:\/\w+)?)\1/g, (whole, quote, module) => `'${standIn(module)}'`);
  // Each import is of a module of its own, as each call of the compiled function is.
  return import(`${dataUrl(text)}%0A//${runs++}`);
}

function runCompiled(compiled, tick = () => {}) {
  const factory = vm.runInThisContext(compiled.code, { filename: 'code.js', lineOffset: -compiled.lineOffset });
  return factory(handlerModules, tick);
}

const context = () => ({
  events: [{ id: 'a', payload: { n: 1, text: 'hello', list: [3, 1, 2] } }, { id: 'b', payload: { n: 2, odds: 5 } }, { id: 'c', payload: { n: 3 } }],
  info: { channel: { path: '/chat/room', segments: ['chat', 'room'] }, channelNamespace: { name: 'chat' }, operation: 'PUBLISH' },
  identity: { sub: 'ana' },
  result: { keep: ['a'] },
  stash: {},
});

/** Everything that can be seen of a module: what its handlers return, throw and write. */
async function observe(load) {
  journal = [];
  const outcome = {};
  try {
    const exports = await load();
    for (const name of ['onPublish', 'onSubscribe']) {
      const handler = exports[name];
      const functions = typeof handler === 'function' ? { function: handler } : { request: handler?.request, response: handler?.response };
      for (const [phase, run] of Object.entries(functions)) {
        if (typeof run === 'function') {
          const ctx = context();
          try {
            let value = run(ctx);
            if (typeof value?.next === 'function') {
              value = [...value];
            }
            outcome[`${name} ${phase}`] = inspect([await value, ctx], { depth: 9 });
          } catch (error) {
            outcome[`${name} ${phase}`] = `${error}`;
          }
        }
      }
    }
  } catch (error) {
    outcome.load = `${error}`;
  }
  return { ...outcome, journal: inspect(journal, { depth: 9 }) };
}

async function assertSameBehaviour(source, compiled = compile(source)) {
  assert.notEqual(compiled.code, null, `${JSON.stringify(compiled.problems)}\n${source}`);
  const original = await observe(() => importOriginal(source));
  const ours = await observe(() => runCompiled(compiled));
  assert.deepEqual(ours, original, `${source}\n----\n${compiled.code}`);
  return original;
}

/** Undoes the insertions, as the readers of stack traces do. */
function originalColumn(insertions, line, column) {
  let shift = 0;
  for (const [at, start, length] of insertions) {
    if (at === line && start < column) {
      shift += Math.min(length, column - start);
    }
  }
  return column - shift;
}

/** A body becomes a handler; a module stays one. */
const asModule = (text) => /\bexport\b/.test(text.replace(/\/\*.*?\*\//g, '')) ? text : `import { util } from '@aws-appsync/utils'\nexport function onPublish(ctx) {\n${text}\n}`;

// ---- The vendored parser ------------------------------------------------------------------------------------------------------------------

test('The vendored acorn is the package, byte for byte', () => {
  const acornPackage = new URL('node_modules/acorn/', import.meta.url);
  assert.equal(JSON.parse(readFileSync(new URL('package.json', acornPackage), 'utf8')).version, acorn.version);
  assert.ok(read('README.md').includes(acorn.version), 'the README names the version');
  for (const [copy, original] of [['acorn.js', 'dist/acorn.js'], ['acorn.LICENSE', 'LICENSE']]) {
    assert.ok(readFileSync(new URL(copy, scripts)).equals(readFileSync(new URL(original, acornPackage))), copy);
  }
});

// ---- What APPSYNC_JS supports -------------------------------------------------------------------------------------------------------------

const supported = {
  'const, let and var': 'const a = 1; let b = 2; var c = 3; b = a + c\nreturn [a, b, c]',
  'destructuring': 'const { info: { channel: { path, missing = "none" } }, ...rest } = ctx\nconst [first, , { payload: { n } = {} }, ...others] = ctx.events\nreturn [path, missing, Object.keys(rest), first.id, n, others]',
  'destructuring assignments': 'let a = 1, b = 2;\n[a, b] = [b, a];\n({ x: a, ...b } = { x: 5, y: 6 })\nreturn [a, b]',
  'function declarations, also used before': 'return twice(2)\nfunction twice(n) { return n * 2 }',
  'function expressions': 'const twice = function (n) { return n * 2 }\nreturn [twice(2), ctx.events.map(function named(e) { return e.id })]',
  'arrows': 'const a = x => x + 1, b = (x, y) => ({ x, y }), c = () => [], d = () => { return 4 }, e = () => (1, 2), f = ({ x }) => x\nreturn [a(1), b(1, 2), c(), d(), e(), f({ x: 6 })]',
  'arrows that return arrows': 'const add = (a) => (b) => c => a + b + c\nreturn add(1)(2)(3)',
  'arrows with comments': 'const a = x => /* c */ x, b = x => // (\n  x, c = x => /* ( */ (/* ) */ { y: x } /* ) */)\nreturn [a(1), b(2), c(3)]',
  'an arrow as the last word': 'const f = (x) => x\nconst g = () => f(1)\nreturn g()',
  'an arrow in a conditional': 'const f = ctx ? x => x + 1 : x => x - 1\nreturn f(1)',
  'default and rest parameters': 'const f = (a, b = a * 2, ...rest) => [a, b, rest], g = (h = (x) => x + 1, { k = () => 3 } = {}) => h(k())\nreturn [f(1), f(1, 2, 3, 4), g()]',
  'the length and name of functions': 'const f = (a, b) => a\nfunction g(a, b = 1) {}\nreturn [f.length, f.name, g.length, g.name, (() => {}).name]',
  'if and else': 'const out = []\nfor (const e of ctx.events) { if (e.payload.n === 1) out.push("one"); else if (e.payload.n === 2) { out.push("two") } else out.push("more") }\nreturn out',
  'an else that could dangle': 'const out = []\nfor (const e of ctx.events) if (e.payload.n > 1) if (e.payload.n > 2) out.push("big"); else out.push("middle")\nif (ctx) for (const e of ctx.events) out.push(e.id); else out.push("never")\nreturn out',
  'switch': 'return ctx.events.map((e) => { switch (e.payload.n) { case 1: return "one"; case 2: { const x = "two"; return x } default: return "many" } })',
  'break': 'let last\nfor (const e of ctx.events) { last = e.id; if (e.payload.n === 2) break }\nreturn last',
  'for...of with single statements': 'let n = 0\nfor (const a of ctx.events) for (const b of ctx.events) n += a.payload.n * b.payload.n\nfor (const c of ctx.events) ;\nfor (n of [1, 2]);\nreturn n',
  'for...in': 'const keys = []\nfor (const key in ctx.info) keys.push(key)\nfor (const i in [7, 8]) { keys.push(i) }\nreturn keys',
  'loops that end in an arrow': 'let f\nfor (const e of ctx.events) f = () => e.id\nreturn f()',
  'closures over loop variables': 'const fs = []\nfor (const e of ctx.events) fs.push(() => e.id)\nreturn fs.map((f) => f())',
  'template literals': 'const name = "x"\nreturn [`a ${name} ${`nested ${name + `${[1].map((n) => `<${n}>`)}`}`}`, `two\nlines ${ctx.events.map((e) =>\n`${e.id}\n`)} end`]',
  'tagged templates': "import { sql } from '@aws-appsync/utils/rds'\nexport const onPublish = (ctx) => sql`select ${ctx.events[0].id} \\n ${((x) => x)(1)}`",
  'spread': 'const max = (...n) => n.length\nreturn [[...ctx.events.map((e) => e.id), ...[]], { ...ctx.info, ...null, x: 1 }, max(...[1, 2], 3)]',
  'object literals': 'const a = 1, key = "k"\nconst o = { a, [key]: 2, [`${key}2`]: 3, "quoted": 4, 5: 6, method(x) { return x }, ["m" + 1]() { return 7 }, arrow: () => ({}), get: 1, set: 2, async: 3, await: 4, of: 5 }\nreturn [o, o.method(1), o.m1(), o.get + o.set]',
  'members named as keywords or missing globals': 'const o = { class: 1, new: 2, Date: 3, fetch: 4, while: 5, in: 6, this: 7 }\nreturn [o.class, o.new, o.Date, o.fetch, o.while, o.in, o.this, { process: 1 }.process]',
  'optional chaining and ??': 'return [ctx.nothing?.here, ctx.nothing?.[0]?.x, ctx.nothing?.(), ctx.info?.channel?.path, ctx.nothing ?? "none", (() => ctx?.info)()?.operation]',
  'logic': 'const a = null\nreturn [ctx && 1, a || 2, !a, !!a, a ? 1 : ctx ? 2 : 3, (a, 4)]',
  'arithmetic and comparison': 'return [1 + 2, 3 - 4, 5 * 6, 7 / 8, 9 % 4, 2 ** 3 ** 2, 1 < 2, 1 <= 1, 2 > 1, 1 >= 2, 1 == "1", 1 != 2, 1 === 1, 1 !== 1, +"3", -"4"]',
  'bit operators': 'return [5 & 6, 5 | 6, 5 ^ 6, 1 << 4, -16 >> 2, -16 >>> 28]',
  'compound assignments': 'let a = 2; a += 1; a -= 2; a *= 9; a /= 3; a %= 2; a **= 2; a <<= 3; a >>= 1; a >>>= 1; a &= 7; a |= 8; a ^= 1\nlet b; b ??= 4; b ||= 5; b &&= 6\nreturn [a, b]',
  'typeof, void and delete': 'delete ctx.events[0].payload.text\nreturn [typeof ctx, typeof fetch2, void 0, ctx.events[0].payload]',
  'typeof of what does not exist': 'return [typeof require, typeof (module)]',
  'local names of missing globals': 'const Map = { get: (x) => x }, process = 1, f = (fetch, { Date }) => fetch(Date)\nfunction Error(x) { return x }\nfor (const Set of [1]) util.note(Set)\nreturn [Map.get(1), process, f((x) => x, { Date: 5 }), Error(6)]',
  'local names of missing globals, in patterns': 'const f = (fetch = 1, ...Map) => [fetch, Map], { Date = 2, nested: [Set = 3, ...Proxy] = [], ...Reflect } = {}\nreturn [f(), Date, Set, Proxy, Reflect]',
  'exports named as missing globals': 'export { f as onPublish, f as Map }\nconst f = () => 1',
  'variables that change': 'let o = "a"\no = { repeat: (x) => x }\nvar f = () => 1; f = { call: (x) => x }\nreturn [o.repeat(2), f.call(3)]',
  'global functions': 'return [Number("12"), String(5), Boolean(0), parseInt("7"), isNaN(NaN), JSON.stringify({ a: undefined, b: Infinity }), Math.max(1, 2), Object.keys({ x: 1 }), Object.fromEntries([["a", 1]]), Array.isArray([])]',
  'methods': 'const list = [3, 1, 2], text = "a-b"\nlist.sort()\nreturn [list, text.replace("-", "+"), text.split("-"), list.findLast((x) => x > 1), list.flatMap((x) => [x, x]), list.reduce((a, b) => a + b, 0), text.toUpperCase().trim().includes("A"), (5).toString()]',
  'own methods with refused names': 'const o = { repeat: (x) => x, entries() { return 1 }, toString: () => "mine" }\nreturn [o.repeat(2), o.entries(), o.toString()]',
  'use strict': '"use strict"\nreturn [(function () { "use strict"; return 1 })(), (() => { "use strict"\n"other directive"\nreturn 2 })(), (() => { "use strict" })()]',
  'code without semicolons': 'let a = 1\nlet b = 2\n;[a, b] = [b, a]\nconst f = () => a\nfor (const x of [1, 2])\n  a += x\nutil.note(a)\nconst g = x =>\n  x\nreturn [a, b, f(), g(1)]',
  'return without a value': 'if (ctx) return\nreturn 1',
  'comments that look like code': 'return [1 /* => { export */, 2] // import x from "fs"\n/* for (;;) */',
  'numbers and strings': 'return [0x1F, 0b11, 0o17, 1_000, .5, 1e3, "\\u{1F600}", "a\\\nb", \'"\', "\u2028"]',
  'a comma in a for...of body': 'let n = 0\nfor (const e of ctx.events) n += 1, util.note(n)\nreturn n',
  'a module': "import { util, runtime as r } from '@aws-appsync/utils';\nimport * as ddb from '@aws-appsync/utils/dynamodb';\nconst TABLE = 'T'\nexport const other = 5, onPublish = { request: (ctx) => ddb.batchPut({ tables: { [TABLE]: ctx.events.map(({ id, payload }) => ({ id, ...payload })) } }), response: (ctx) => ctx.events }\nexport function onSubscribe(ctx) { r.earlyReturn(util.autoId()) }",
  'handlers as let, var and function expressions': 'export let onPublish = function (ctx) { return ctx.events }\nexport var onSubscribe = (ctx) => { util.note(1) }',
  'a trailing export list': 'const onPublish = (ctx) => ctx.events, g = () => 1\nfunction f() {}\nexport {\n  onPublish,\n  f as onSubscribe,\n  g as "any name",\n};\n//# sourceMappingURL=data:application/json;base64,e30=',
  'a leading export list': 'export { f as onPublish }; function f(ctx) { return g }\nconst g = 3',
  'an export with a string name': 'export { f as "onPublish" }\nfunction f() { return 1 }',
  'a string import name': 'import { "util" as u } from "@aws-appsync/utils"\nexport const onPublish = () => u.autoId()',
  'destructuring exports': 'const handlers = { onPublish: () => 1, list: [() => 2] }\nexport const { onPublish, list: [onSubscribe] } = handlers',
  'a handler made by a call': 'const make = (x) => () => x\nexport const onPublish = make(3)',
  'an imported name as a handler': "import { util } from '@aws-appsync/utils'\nexport { util as onPublish }\nexport const onSubscribe = () => util.note(1)",
  'an import after its use': "export const onPublish = () => util.autoId()\nimport { util } from '@aws-appsync/utils'",
  'an import between unfinished lines': "const a = util.note\nimport { util } from '@aws-appsync/utils'\n(function () { util.note(a) })()\nexport const onPublish = () => 1\nexport {}\n[1].map((x) => util.note(x))",
  'an import over several lines': "import {\n  util, //# }\n  runtime /* ; */\n} from '@aws-appsync/utils'\nimport '@aws-appsync/utils/ai'\nexport const onPublish = () => util.autoId()",
  'shadowed imports': "import { util } from '@aws-appsync/utils'\nexport const onPublish = (ctx) => { const util = 1; return ((runtime) => [util, runtime])(2) }\nexport const onSubscribe = ({ util }) => util",
  'names the compiler uses': "const __tick = 1, __tick1 = 2, __modules = 3\nexport const onPublish = () => { for (const __modules1 of [4]) return [__tick, __tick1, __modules, __modules1, \\u005f_tick] }",
  'an unused undefined': 'const undefined = 5\nexport const onPublish = () => undefined',
  'a byte order mark': '\uFEFFexport const onPublish = () => 1',
  'a hashbang': '#!/usr/bin/env node\nexport const onPublish = () => 1',
  'a comment at the end': 'export const onPublish = () => 1 // the end',
  'a handler that returns nothing': 'export function onSubscribe() {}',
  'top-level loops': 'let sum = 0\nfor (const x of [1, 2, 3]) sum += x\nexport const onPublish = () => sum',
};

describe('Supported code compiles without problems and does what the module does', () => {
  for (const [name, text] of Object.entries(supported)) {
    for (const [ends, lineEnd] of [['', '\n'], [' (CRLF)', '\r\n'], [' (U+2028)', '\u2028']]) {
      test(name + ends, async () => {
        const source = asModule(text).replaceAll('\n', lineEnd);
        const compiled = compile(source);
        assert.deepEqual(compiled.problems, []);
        await assertSameBehaviour(source, compiled);
      });
    }
  }
});

// ---- What runs all the same ---------------------------------------------------------------------------------------------------------------

const unsupportedButRunning = {
  'loops of every kind': 'const out = []\nfor (let i = 0; i < 3; i++) out.push(i)\nlet n = 3\nwhile (n) n--\ndo n++; while (n < 3)\ndo { n++ } while (n < 9)\ndo n++\nwhile (n < 12) out.push(n)\nfor (;;) { if (n++ > 20) break; else continue }\nreturn out.concat(n)',
  'labels': 'const out = []\nouter: for (const a of [1, 2, 3]) { for (const b of [1, 2, 3]) { if (b === 2) continue outer; if (a === 3) break outer; out.push([a, b]) } }\na: b: for (const x of [1, 2]) inner: for (const y of [1, 2]) { if (y === 2) continue b; else continue inner }\nfor (const x of [1]) l: { break l }\nreturn out',
  'classes': 'class A { #p = 1; x = () => this.#p; static s = 5; static { util.note(A.s) } constructor(a) { this.a = a } get p() { return this.#p } set p(v) { this.#p = v } m() { return #p in this } static async *g() {} }\nclass B extends A { y; constructor() { super(3) } m() { return super.m() } }\nconst b = new B(); b.p = 4\nreturn [b.a, b.p, b.x(), b.m(), A.s, b instanceof A, (class { z = 1 }).name]',
  'getters and setters': 'let v = 1\nconst o = { get x() { return v }, set x(n) { v = n } }\no.x = o.x + 1\nreturn [o.x, "x" in o]',
  'generators': 'function* g(n) { for (const x of [1, 2]) yield x * n; return 5 }\nconst h = function* () { const got = yield* g(1); yield got }\nreturn [[...g(2)], [...h()]]',
  'async functions': 'const f = async (x) => await x, g = async () => { let n = 0; for await (const x of [1, f(2)]) n += x; return n }\nreturn f(1).then(async (x) => x + await g())',
  'errors': 'try { throw new Error("x") } catch ({ message }) { util.note(message) } finally { util.note("f") }\ntry { null.x } catch { return 2 }',
  'this and arguments': 'function f() { const g = () => [this, arguments.length]; return g() }\nreturn [f(1, 2), f.call(7), typeof this]',
  'regular expressions': 'return ["a/b".replace(/\\/[=>]?/g, "-"), /[/]=>{/.test("x"), 4 / 2 / 1]',
  'recursion': 'const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2)\nreturn fib(10)',
  'what is nearly a comment in a script': 'let a = 5, b = 3\nconst c = a < !--b\nconst d = a << !--b;let e = b-->1\n/*\n*/ b\n/* */ --b\nreturn [a, b, c, d, e]',
  'a default export': 'export default function () {}\n(function () { util.note(1) })()\nexport const onPublish = () => 1',
  'a default class': 'export default class {}\n[1].map((x) => util.note(x))\nexport const onPublish = () => 1',
  'a default expression': 'export /* a */ default /* b */ (1, 2)\nexport const onPublish = () => 1',
  'a default expression after other defaults': 'switch (1) { default: util.note(1) }\nexport default 5\nexport const onPublish = ({ default: x }) => x',
  'a default among other exports': 'const a = 1\nexport { a as default }\nexport const onPublish = () => a',
  'a default arrow': 'export default (x) => x\n;[util].map((u) => u.note(3))\nexport const onPublish = () => 1, __default = 4',
  'a default object': 'export\ndefault\n{ a: [1] }\nexport const onPublish = () => 1',
  'a default name': 'export default onSubscribe; export function onSubscribe() { return f() }\nfunction f() { return 6 }',
  'a hoisted default function': 'export const onPublish = () => f()\nutil.note(f())\nexport default function f() { return 1 }\nexport async function other() {}\nexport class C {}',
  'import.meta that is not used': 'export const onPublish = (a) => { const x = a\nreturn typeof x }\nconst f = () => import.meta.x',
};

describe('Unsupported code does what the module does', () => {
  for (const [name, text] of Object.entries(unsupportedButRunning)) {
    test(name, async () => {
      await assertSameBehaviour(asModule(text));
      await assertSameBehaviour(asModule(text).replaceAll('\n', '\r\n'));
    });
  }
});

test('import() and import.meta never reach the engine', () => {
  const source = 'export const onPublish = () => {\n  const a = 1\n  import("fs").then(() => 1)\n}\nexport const onSubscribe = () => import\n.meta\n.url';
  const { code, problems } = compile(source);
  assert.deepEqual(problems.map(({ line, column }) => [line, column]), [[3, 3], [5, 34]]);
  assert.doesNotMatch(code, /\bimport\b/);
  const { onPublish, onSubscribe } = runCompiled({ code, lineOffset: 1 });
  assert.throws(onPublish, { name: 'TypeError' });
  assert.throws(onSubscribe, { name: 'TypeError' });
});

test('Nothing of the wrapper can be reached', () => {
  for (const body of ['arguments', '[].map(() => arguments)', 'class { static [arguments[0]] = 1 }', '(a = arguments) => a']) {
    const { code, problems } = compile(`export const onPublish = () => 1\nconst x = ${body}`);
    assert.equal(code, null, body);
    assert.equal(problems.find(({ severity }) => severity === 'error').message, "'arguments' can only be used in functions");
  }
  assert.deepEqual(runCompiled(compile('const self = typeof this\nexport const onPublish = () => self')).onPublish(), 'undefined');
});

test('A comment does not rename the file in stack traces', () => {
  for (const comment of ['//# sourceURL=evil.js', '//@ sourceURL=evil.js', '  //# sourceMappingURL=evil.map']) {
    const { onPublish } = runCompiled(compile(`export const onPublish = () => {\n  null.x }\n${comment}`));
    assert.throws(onPublish, (error) => error.stack.includes('code.js:2:') && !error.stack.includes('evil'));
  }
});

// ---- Reports ------------------------------------------------------------------------------------------------------------------------------

/** ▸ marks where a problem is reported. The text after the table's bar is part of its message. */
const unsupported = `
  ▸class A {}                                      | 'class'
  return ▸this                                     | 'this'
  const o = { f() { return ▸super.x } }            | 'super'
  ▸new Thing()                                     | 'new'
  ▸new ▸Promise((x) => x)                          | 'Promise' does not exist
  ▸function* g() { ▸yield 1 }                      | 'yield'
  const o = { ▸*g() {} }                           | Generators
  ▸async function f() { ▸await 1 }                 | 'await'
  const f = ▸async () => 1                         | 'async'
  ▸try { f() } catch { g() } finally { h() }       | 'try'
  ▸throw 'x'                                       | 'throw'
  ▸for (;;) break                                  | 'for' loops with a counter
  for (const x of []) ▸for (let i = 0; i < 1; i += 1) {}  | 'for' loops with a counter
  ▸while (true) {}                                 | 'while' loops are not supported by APPSYNC_JS
  ▸do f(); while (x)                               | 'do'
  for (const x of []) ▸continue                    | 'continue'
  ▸a: for (const x of []) break a                  | Labels
  const r = ▸/x/g                                  | Regular expression
  const o = { ▸get x() { return 1 } }              | Getters
  const o = { ▸set x(v) {} }                       | Setters
  ▸'a' in ctx                                      | 'in'
  ▸ctx instanceof Object                           | 'instanceof'
  let n = 0; ▸n++                                  | '++'
  let n = 0; ▸--n                                  | '--'
  const n = ▸~1                                    | '~'
  ▸eval('1')                                       | 'eval'
  ▸Function('1')                                   | 'Function'
  ▸debugger                                        | 'debugger'
  ▸import('fs')                                    | 'import()'
  ▸import.meta.url                                 | 'import.meta'
  ▸require('fs')                                   | 'require' does not exist in APPSYNC_JS; use import
  function f() { return ▸new.target }              | 'new.target'
  return ▸Date.now()                               | use util.time
  return ▸RegExp('x')                              | 'RegExp'
  return { a: ▸Symbol, ▸Map, [▸Set]: 1 }           | 'Map'
  ▸setTimeout(f)                                   | 'setTimeout'
  if (typeof fetch !== 'undefined') ▸fetch()       | 'fetch'
  return ▸process.env                              | 'process'
  ▸globalThis.x = 1                                | 'globalThis'
  return ▸Error('x')                               | use util.error
  { const Map = 1 } return ▸Map                    | 'Map'
  for (const Map of []) ; for (let Set in {}) ; return [▸Map, ▸Set]  | 'Map'
  switch (1) { case 1: const Map = 1 } return ▸Map  | 'Map'
  (function Map() {}); return ▸Map                 | 'Map'
  ▸try { f() } catch (Map) { g(Map) } return ▸Map  | 'Map'
  { var Map = 1 } return Map(▸Set)                 | 'Set'
  ((Date) => Date)(▸Date)                          | 'Date'
  return ▸Array.from('abc')                        | 'Array.from'
  return ▸Array.of(1)                              | 'Array.of'
  return ▸Object.freeze({})                        | 'Object.freeze'
  return ▸Object['create'](null)                   | 'Object.create'
  return ▸Object.defineProperty({}, 'x', {})       | 'Object.defineProperty'
  return ▸String.raw\`x\`                            | 'String.raw'
  return ▸String.fromCharCode(1)                   | 'String.fromCharCode'
  return Object.prototype.▸hasOwnProperty.▸call({}, 'x')  | 'hasOwnProperty'
  return 'a'.▸padStart(2)                          | 'padStart'
  const s = 'a' + ctx; return s.trim().▸repeat(2)  | 'repeat'
  return \`\${ctx}\`.▸charCodeAt(0)                   | 'charCodeAt'
  return [1].▸entries()                            | 'entries'
  return Object.keys(ctx).map((x) => x).▸keys()    | 'keys'
  return ctx.list.▸sort((a, b) => a - b)           | 'sort'
  const by = (a, b) => a - b; ctx.list.▸sort(by)   | 'sort'
  const f = (x) => x; f.▸call(null, 1)             | 'call'
  function f(x) { return x && ▸f(x - 1) }          | Recursion
  const f = (x) => [x].map((y) => ▸f(y))           | Recursion
  const a = function b() { ▸b() }                  | Recursion
`.split('\n').filter((line) => line.trim() !== '').map((line) => line.trim().split(/ +\| /));

function marked(text) {
  const columns = [];
  let source = '';
  for (const character of text) {
    if (character === '▸') {
      columns.push(source.length + 1);
    } else {
      source += character;
    }
  }
  return { source, columns };
}

describe('Unsupported constructs are reported where they are, and the code still compiles', () => {
  for (const [text, message] of unsupported) {
    test(text, () => {
      const { source, columns } = marked(text);
      const { code, problems } = compile(`export function onPublish(ctx) {\n${source}\n}`);
      const expected = columns.map((column) => [2, column, 'unsupported']);
      // A prototype's method that is called through `call` is one problem.
      const found = problems.map(({ line, column, severity }) => [line, column, severity]);
      assert.deepEqual(found, text.includes('prototype') ? expected.slice(0, 1) : expected, JSON.stringify(problems));
      assert.ok(problems.some((problem) => problem.message.includes(message)), JSON.stringify(problems));
      new vm.Script(code);
    });
  }
  test('a default export', () => {
    for (const [text, column] of [['export default 5', 1], ['export { onPublish as default }', 10]]) {
      const { problems } = compile(`export const onPublish = () => 1\n${text}`);
      assert.deepEqual(problems, [{ line: 2, column, message: 'A default export is not supported by APPSYNC_JS', severity: 'unsupported' }]);
    }
  });
});

const errors = [
  ['▸', "The code exports neither 'onPublish' nor 'onSubscribe'"],
  ['▸export const x = 1', "The code exports neither 'onPublish' nor 'onSubscribe'"],
  ["import x from ▸'fs'\nexport const onPublish = () => 1", "Cannot find module 'fs'"],
  ["import ▸x from '@aws-appsync/utils'\nexport const onPublish = () => 1", 'no default export'],
  ["import { ▸default as x } from '@aws-appsync/utils'\nexport const onPublish = () => 1", 'no default export'],
  ["import { x } from ▸'@aws-appsync/utils/nothing'\nexport const onPublish = () => 1", 'Cannot find module'],
  ["▸export { util } from '@aws-appsync/utils'\nexport const onPublish = () => 1", "'export ... from'"],
  ["▸export * from '@aws-appsync/utils'\nexport const onPublish = () => 1", "'export ... from'"],
  ['export const onPublish = () => {\n  const x = ▸}\n}', 'Unexpected token'],
  ['export const onPublish = () => {▸', 'Unexpected token'],
  ['export const onPublish = ▸"abc', 'Unterminated string'],
  ['export const onPublish = () => `▸abc', 'Unterminated template'],
  ['export const onPublish = 1\nexport const ▸onPublish = 2', 'already been declared'],
  ['const a = 1\nexport { a as onPublish, a as ▸onPublish }', 'Duplicate export'],
  ['export { ▸onPublish }', 'not defined'],
  ["import { util } from '@aws-appsync/utils'\nconst ▸util = 1\nexport const onPublish = () => 1", 'already been declared'],
  ['export const onPublish = () => 1\n▸await onPublish()', 'await'],
  ['export const onPublish = () => 1\nlet ▸await = 1', 'await'],
  ['export const onPublish = () => 1\n▸return 1', 'return'],
  ['export const onPublish = () => 1\n▸with (onPublish) {}', "'with'"],
  ['export const onPublish = () => ▸010', 'Invalid number'],
  ['export const onPublish = () => 1 \n▸<!-- onPublish', 'HTML comments are not allowed in modules'],
  ['export const onPublish = () => [a ▸<!--b.c * 2]', 'HTML comments'],
  ['export const onPublish = () => 1\n▸for await (const x of []) ;', "'await' can only be used in functions"],
  ['export const onPublish = () => 1\n--▸> x', 'Unexpected token'],
  ['export const onPublish = (a, ▸a) => 1', 'clash'],
  ['export const onPublish = () => { ▸break }', 'break'],
];

describe('Errors have a position, and no code', () => {
  for (const [text, message] of errors) {
    test(JSON.stringify(text), () => {
      const before = text.slice(0, text.indexOf('▸')).split('\n');
      const { code, problems } = compile(text.replace('▸', ''));
      assert.equal(code, null);
      const found = problems.filter(({ severity }) => severity === 'error');
      assert.equal(found.length, 1, JSON.stringify(problems));
      assert.deepEqual([found[0].line, found[0].column], [before.length, before.at(-1).length + 1], JSON.stringify(found));
      assert.ok(found[0].message.includes(message), found[0].message);
      assert.doesNotMatch(found[0].message, /\(\d+:\d+\)/);
    });
  }

  test('A byte order mark is not a column', () => {
    assert.deepEqual(compile('\uFEFFexport const onPublish = () => while').problems.map(({ line, column }) => [line, column]), [[1, 32]]);
  });

  test('Reports are bounded', () => {
    const { code, problems } = compile(`${"import 'x'\n".repeat(500)}export const onPublish = () => ${'~'.repeat(300)}1`);
    assert.equal(code, null);
    assert.deepEqual(['error', 'unsupported'].map((severity) => problems.filter((problem) => problem.severity === severity).length), [100, 100]);
  });

  test('Every kind of line end counts once', () => {
    const { problems } = compile('export const onPublish = () => 1\r\n//\r//\u2028//\u2029//\n  ▸');
    assert.deepEqual([problems[0].line, problems[0].column], [6, 3]);
  });

  test('Problems are in the order of the text, errors among the others', () => {
    const { problems } = compile("export const onPublish = () => { while (1) ; }\nimport 'x'\nclass A {}\nimport 'y'");
    assert.deepEqual(problems.map(({ line, severity }) => [line, severity]), [[1, 'unsupported'], [2, 'error'], [3, 'unsupported'], [4, 'error']]);
  });
});

test('The result is the handlers, whatever they are', () => {
  const { onPublish, onSubscribe } = runCompiled(compile('const undefined = 1; export const onPublish = undefined'));
  assert.deepEqual([onPublish, onSubscribe], [1, undefined]);
});

test('Directives stay first', () => {
  const { code } = compile('export const onPublish = () => { "use strict"\n"b"\nreturn 1 }');
  assert.ok(code.includes('{ "use strict"\n"b";__tick();\nreturn 1 }'), code);
});

test('V8 does not warn of asm.js', async () => {
  const warnings = [];
  const collect = (warning) => warnings.push(warning.message);
  process.on('warning', collect);
  const source = '"use asm"\nfunction m() { "use asm"; function f() { "use strict"; "use asm" } return { f } }\nexport const onPublish = () => m()';
  runCompiled(compile(source)).onPublish().f();
  // Warnings are emitted by a later turn.
  await new Promise(setImmediate);
  process.off('warning', collect);
  assert.deepEqual(warnings, []);
});

test('Exports are classified by what they visibly are', () => {
  const kinds = [
    ['export function onPublish() {}', 'function'],
    ['export const onPublish = () => 1', 'function'],
    ['export let onPublish = function () {}', 'function'],
    ['export const onPublish = { request() {}, response() {} }', 'object'],
    ['export var onPublish = ({})', 'object'],
    ['var onPublish = {}; export { onPublish }', 'object'],
    ['const h = {}; const k = h; export { k as onPublish }', 'object'],
    ['const h = {}; export const onPublish = h', 'object'],
    ['const a = b, b = a; export { a as onPublish }', 'function'],
    ['export { f as onPublish }; function f() {}', 'function'],
    ['export const onPublish = make(); function make() { return {} }', 'function'],
    ['export const { onPublish } = {}', 'function'],
    ['export let onPublish', 'function'],
    ['export var onPublish = {}; var onPublish = () => 1', 'function'],
    ['export var onPublish = () => 1; var onPublish = {}; var onPublish', 'object'],
    ['const f = () => 1; export { f as "onPublish" }', 'function'],
  ];
  for (const [source, kind] of kinds) {
    assert.deepEqual(compile(source).exports, { onPublish: kind, onSubscribe: null }, source);
  }
  assert.deepEqual(compile('export const onSubscribe = {}, onPublish = () => 1').exports, { onPublish: 'function', onSubscribe: 'object' });
});

// ---- Modules of others --------------------------------------------------------------------------------------------------------------------

/** The modules of the specification's conformance cases, by number. */
const conformance = {
  1: 'export function onPublish(ctx) { return ctx.events }',
  2: 'export const onPublish = (ctx) => ([])',
  3: 'export function onPublish(ctx) { return ctx.events.filter((e) => e.payload.n > 1) }',
  4: "export function onPublish(ctx) { return ctx.events.map((e, i) => i === 0 ? { id: e.id, error: 'no' } : e) }",
  5: "export function onPublish(ctx) { ctx.events[0].error = 'bad'; return ctx.events }",
  6: "export function onPublish(ctx) { util.error('stop', 'Maintenance') }",
  7: 'export function onPublish() { util.unauthorized() }',
  8: "export function onSubscribe(ctx) { if (ctx.info.channel.path !== '/private/' + ctx.identity.sub) { console.log('denied ' + ctx.channel); util.unauthorized() } }",
  10: "export function onSubscribe(ctx) { if (ctx.info.channel.segments.includes('*')) util.error('no wildcards') }",
  11: "export const onPublish = (ctx) => [{ id: 'nope', payload: 1 }]",
  12: 'export const onPublish = (ctx) => ctx.nothing.here',
  13: 'export function onPublish(ctx) { let n = 0; for (const a of ctx.events[0].payload.list) for (const b of ctx.events[0].payload.list) for (const c of ctx.events[0].payload.list) n += 1; return [ctx.events, n] }',
  16: "import { util as u, runtime } from '@aws-appsync/utils'; export { f as onPublish }; function f(ctx) { return ctx.events.map(({ id, payload: { text = 'none', ...rest } }) => ({ id, payload: { ...rest, text: u.str.normalize(text, 'nfc') } })) }",
  17: "export const onPublish = { request: (ctx) => { ctx.stash.k = 1; return runtime.earlyReturn(ctx.events) }, response: () => util.error('not reached') }",
  21: "export const onPublish = (ctx) => ctx.identity?.sub ?? 'anon'",
};

/** The handlers of stacks that others deploy. */
const deployed = {
  'a private channel': "import { util } from '@aws-appsync/utils'\nexport function onSubscribe(ctx) {\n  if (ctx.info.channel.path !== '/private/' + ctx.identity.sub) {\n    util.note(ctx.identity.sub + 'tried connecting to wrong channel: ' + ctx.channel)\n    util.unauthorized()\n  }\n}",
  'a channel per user': "\nexport function onSubscribe(ctx) {\n  const requested = ctx.info.channel.path\n  const allowed = `/default/${ctx.identity.sub}`\n  if (requested !== allowed) {\n    util.unauthorized()\n  }\n}\n",
  'a filter': "import { util } from '@aws-appsync/utils';\nexport function onPublish(ctx) {\n  return ctx.events.filter((event) => event.payload.odds > 0).map((event) => ({ ...event, payload: { ...event.payload, seen: util.time.nowISO8601() } }));\n}\n",
  'a function': "import { util } from '@aws-appsync/utils';\n\nexport const onPublish = {\n  request(ctx) {\n    return { operation: 'Invoke', payload: { channel: ctx.info.channel, events: ctx.events } };\n  },\n  response(ctx) {\n    if (ctx.error) {\n      util.error(ctx.error.message, ctx.error.type);\n    }\n    return ctx.events.filter((e) => ctx.result.keep.includes(e.id));\n  },\n};\n\nexport function onSubscribe(ctx) {\n  if (ctx.info.channel.segments.length > 3) {\n    util.unauthorized();\n  }\n}\n",
  'a table': "import * as ddb from '@aws-appsync/utils/dynamodb';\nimport { util } from '@aws-appsync/utils';\nconst TABLE = 'Messages';\nexport const onPublish = {\n  request: (ctx) => ddb.batchPut({ tables: { [TABLE]: ctx.events.map(({ id, payload }) => ({ channel: ctx.info.channel.path, id, ...payload })) } }),\n  response: (ctx) => ctx.events,\n};\n",
};

describe('Handlers of others compile without problems and run', () => {
  for (const [name, source] of [...Object.entries(conformance), ...Object.entries(deployed)]) {
    test(name, async () => {
      assert.deepEqual(compile(source).problems, []);
      await assertSameBehaviour(source);
    });
  }

  test('14: an endless loop is reported at its `while`', () => {
    const { problems } = compile('export function onPublish(ctx) { while (true) {} }');
    assert.deepEqual(problems, [{ line: 1, column: 34, message: "'while' loops are not supported by APPSYNC_JS", severity: 'unsupported' }]);
  });
});

// ---- Positions ----------------------------------------------------------------------------------------------------------------------------

test('Every frame of a stack trace maps back to the module', async () => {
  const source = `import { util } from '@aws-appsync/utils'
const helper = (x) => util.fail(1) + [x].map((y) => [y].map(z => util.fail(2) + z)); function other(x = util.fail(3)) { return (() => { "use strict"; return util.fail(3) })() + util.fail(4) + x }
export const onPublish = (ctx) => { for (const a of ctx.events) for (const b of ctx.events) util.fail(5); util.fail(6); for (const c of [1]) if (c) util.fail(7); else util.fail(8)
  for (const x of [1]) { util.fail(9) } const o = { m() { return util.fail(10) }, a: () => ({ b: util.fail(11) }) }; o.m(); o.a(); let i = 0; while (i++ < 1) util.fail(12); do util.fail(13); while (util.fail(14) < 0)
  helper(1); other(); const t = \`\${[1].map((q) => util.fail(15))}
\${[1].map((q) => util.fail(16))} \${util.fail(17)}\`; (function () { return (() => () => util.fail(18))()() })()
  return util.fail(19) }\r
export function onSubscribe() { return [1].map((x) => /* é😀 */ [x].map((y) => util.fail(20))); }`;
  const compiled = compile(source);
  const original = await importOriginal(source);
  const frames = (run, file, map) => {
    try {
      run({ events: [1] });
      return null;
    } catch (error) {
      // Node's frames between ours (of Array.map) have no position.
      return error.stack.split('\n').filter((line) => line.includes(file)).map((line) => {
        const [, at, column] = /:(\d+):(\d+)\)?$/.exec(line);
        return [Number(at), map(Number(at), Number(column))];
      });
    }
  };
  for (failAt = 1; failAt <= 20; failAt++) {
    const name = failAt === 20 ? 'onSubscribe' : 'onPublish';
    const expected = frames(original[name], 'data:text', (line, column) => column);
    if (failAt === 8) {
      assert.equal(expected, null);
      continue;
    }
    const ours = runCompiled(compiled);
    const found = frames(ours[name], 'code.js', (line, column) => originalColumn(compiled.insertions, line, column));
    assert.ok(expected.length > 0);
    assert.deepEqual(found, expected, `failure ${failAt}`);
  }
  failAt = 0;
});

/** Takes the insertions out again. */
function withoutInsertions({ code, lineOffset, insertions }) {
  const starts = [0];
  for (const match of code.matchAll(/\r\n?|[\n\u2028\u2029]/g)) {
    starts.push(match.index + match[0].length);
  }
  let text = '';
  let offset = starts[lineOffset];
  for (const [line, column, length] of insertions) {
    const start = starts[lineOffset + line - 1] + column - 1;
    assert.ok(start >= offset, 'insertions are in order and apart');
    text += code.slice(offset, start);
    offset = start + length;
  }
  return text + code.slice(offset);
}

test('Without its insertions the code is the module, character by character, but for what is blanked', () => {
  for (const text of [...Object.values(supported), ...Object.values(unsupportedButRunning), ...Object.values(deployed)]) {
    const source = asModule(text).replace(/^\uFEFF/, '');
    const compiled = compile(source);
    const bare = withoutInsertions(compiled).slice(0, source.length);
    for (let i = 0; i < source.length; i++) {
      assert.ok(bare[i] === source[i] || /[ ;/]|[null]/.test(bare[i]), `${i} of ${source}\n${bare}`);
    }
    const exported = /\b(import|export)\b/.exec(source).index;
    assert.equal(bare.slice(0, Math.max(2, exported)).slice(2), source.slice(0, Math.max(2, exported)).slice(2));
    assert.deepEqual(bare.match(/\r\n?|[\n\u2028\u2029]/g), source.match(/\r\n?|[\n\u2028\u2029]/g));
  }
});

// ---- The budget ---------------------------------------------------------------------------------------------------------------------------

describe('Code that does not end is interrupted', () => {
  const endless = [
    'while (true) {}', 'while (true);', 'for (;;);', 'for (;;) {}', 'do ; while (true)', 'do {} while (true)', 'let f; for (;;) f = () => 1',
    'a: for (;;) { for (;;) continue a }', 'for (;;) for (const x of []) ;', 'for (;;) if (ctx) 1; else 2', 'for (;;) switch (1) { case 1: }',
    'for (;;) { try { continue } catch { continue } finally { continue } }',
    'const f = () => f(); f()', 'function f() { f() } f()', 'const f = () => { try { f() } catch {} f() }; f()', 'const o = { m() { o.m(); o.m() } }; o.m()',
    'const o = { get x() { return [1, 2].map(() => o.x) } }; o.x', 'class A { constructor() { new A() } } new A()', 'class A { x = new B() } class B { constructor() { new A(); new A() } } new A()',
    'const e = { [Object]: 1 }; const big = [...Array(300).keys()]; big.forEach(() => big.forEach(() => big.forEach(() => big.forEach((x) => x))))',
    'const big = [...Array(300).keys()]; for (const a of big) for (const b of big) for (const c of big) for (const d of big) ;',
    'function* g() { while (true) yield 1 } for (const x of g()) ;', 'function* g() { for (;;) ; } g().next()', 'const l = [1]; for (const x of l) l.push(x)',
    'const l = [1]; l.push(...l); const f = (n, a = n && f(n - 1), b = n && f(n - 1)) => a; f(60)',
    'class A { static { for (;;) ; } }', '[1].map(function f() { "use strict"; f() })',
  ];
  const interrupted = (source) => {
    let ticks = 0;
    globalThis.endlessRun = () => runCompiled(compile(source), () => {
      // Fewer than V8's stack allows, so that it is not the stack that ends a recursion.
      if (++ticks > 1000) {
        throw 'budget';
      }
    }).onPublish({ events: [] });
    try {
      vm.runInThisContext('endlessRun()', { timeout: 5000 });
    } catch (error) {
      return error;
    }
    return `ended after ${ticks} ticks`;
  };
  for (const body of endless) {
    test(body, () => assert.equal(interrupted(`export function onPublish(ctx) { ${body} }`), 'budget'));
  }
  test('at the top of a module', () => assert.equal(interrupted('export const onPublish = () => 1\nfor (;;) ;'), 'budget'));
});

// ---- Input of every kind ------------------------------------------------------------------------------------------------------------------

/** The same numbers for the same seed. */
function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, pick: (list) => list[below(list.length)], chance: (p) => next() < p };
}

/** Whatever the text: a result of the promised shape; and code, if any, that is one function expression without imports. */
function assertWellFormed(source) {
  const result = compile(source);
  assert.deepEqual(Object.keys(result), ['code', 'lineOffset', 'insertions', 'exports', 'problems']);
  const failed = result.problems.some(({ severity }) => severity === 'error');
  assert.equal(result.code === null, failed);
  const lines = source.split(/\r\n?|[\n\u2028\u2029]/);
  for (const { line, column, message } of result.problems) {
    assert.ok(line >= 1 && line <= lines.length && column >= 1 && column <= lines[line - 1].length + 2, `${line}:${column}`);
    assert.ok(message.length > 0 && !message.includes('cannot be compiled'), message);
  }
  if (result.code !== null) {
    new vm.Script(result.code);
    const expression = acorn.parseExpressionAt(result.code, 0, { ecmaVersion: 2024, sourceType: 'script' });
    assert.equal(expression.type, 'FunctionExpression');
    assert.equal(result.code[0] + result.code.at(-1), '()');
    assert.equal(expression.end, result.code.length - 1);
    const open = [expression];
    while (open.length > 0) {
      const node = open.pop();
      assert.ok(node.type !== 'ImportExpression' && node.meta?.name !== 'import', source);
      for (const child of Object.values(node).flat()) {
        if (typeof child?.type === 'string') {
          open.push(child);
        }
      }
    }
    withoutInsertions(result);
  }
  return result;
}

const corpus = [...Object.values(supported), ...Object.values(unsupportedButRunning), ...Object.values(deployed), ...Object.values(conformance)].map(asModule);

test('Valid modules cut anywhere', () => {
  for (const source of corpus) {
    for (let end = 0; end < source.length; end += 3) {
      assertWellFormed(source.slice(0, end));
      assertWellFormed(source.slice(end));
    }
  }
});

test('Valid modules with random changes, and random tokens', () => {
  const { below, pick } = random(5);
  const tokens = ('( ) [ ] { } ; , . => = + ++ - -- ! ~ / * ? : ?. ... ` ${ } \' " \\ # @ 1 0x 1n a b ctx if else for of in while do break continue return '
    + 'function async await yield class extends super new this import export default from as let const var try catch finally throw switch case '
    + 'typeof void delete static get set <!-- --> // /* */ \n \r\n \u2028 \0 \uFEFF \uD800 \u{1F600} arguments eval await __tick import.meta import( #! ').split(' ').flatMap((t) => [t, `${t} `]);
  for (let i = 0; i < 6000; i++) {
    let source = pick(corpus);
    for (let changes = 1 + below(3); changes > 0; changes--) {
      const at = below(source.length + 1);
      source = source.slice(0, at) + pick(tokens) + source.slice(at + below(4));
    }
    assertWellFormed(source);
    assertWellFormed(`export const onPublish = () => ${Array.from({ length: 1 + below(12) }, () => pick(tokens)).join(pick(['', ' ']))}`);
  }
});

test('Deep nesting and long chains are an error, or compile', () => {
  const nested = {
    parentheses: ['(', '1', ')'], arrays: ['[', '1', ']'], objects: ['{a:', '1', '}'], arrows: ['a=>', '1', ''], arrowsWithArguments: ['(a=>', '1', ')()'],
    functions: ['function(){return ', '1', '}'], templates: ['`${', '1', '}`'], not: ['!', '1', ''], new: ['new ', 'a', ''], conditionals: ['a?1:', '1', ''],
    assignments: ['a=', '1', ''], powers: ['2**', '2', ''], sums: ['1+', '1', ''], mixed: ['1+2-', '1', ''], calls: ['', 'a', '()'], members: ['', 'a', '.b'], tags: ['', 'a', '``'],
    classes: ['class extends ', 'a', '{}'], commas: ['1,', '1', ''], nullish: ['a??', '1', ''], optional: ['', 'a', '?.b'], spreads: ['[...', 'a', ']'], defaults: ['(a=', '1', ')=>1'],
    patterns: ['([', 'a', ']=a)'], groups: ['/(', 'a', ')/'], awaits: ['async()=>{', '1', '}'],
  };
  for (const count of [100, 1000, 10_000]) {
    for (const [name, [open, middle, close]] of Object.entries(nested)) {
      const body = open.repeat(count) + middle + close.repeat(count);
      for (const source of [`export const onPublish = ${body}`, `export function onPublish() { for (const x of ${body}) ; }`]) {
        const { problems } = assertWellFormed(source.slice(0, 80_000));
        if (count === 10_000 && ['parentheses', 'arrays', 'arrows', 'functions', 'templates', 'not'].includes(name)) {
          assert.ok(problems.some(({ message }) => message === 'The code is too deeply nested'), `${name}: ${JSON.stringify(problems)}`);
        }
      }
    }
    for (const [open, close] of [['{', '}'], ['if (1) ', ';'], ['if (1) ; else ', ';'], ['for (;;) ', ';'], ['for (;;) {', '}'], ['a: ', ';'], ['while (1) ', ''], ['do ', ' while (1)'], ['switch (1) { case 1: ', '}'], ['try {', '} catch {}']]) {
      assertWellFormed(`export function onPublish() { ${open.repeat(count)} ; ${close.repeat(count)} }`);
      assertWellFormed(`export function onPublish() { ${open.repeat(count)}`);
    }
  }
});

test('The bounds do not depend on the stack', () => {
  const position = (body) => compile(`export const onPublish = ${body}`).problems.map(({ column, message }) => [column, message]);
  assert.deepEqual(position(`${'('.repeat(150)}1${')'.repeat(150)}`), []);
  assert.deepEqual(position(`${'('.repeat(180)}1${')'.repeat(180)}`), [[192, 'The code is too deeply nested']]);
  assert.deepEqual(position(`1${'+1'.repeat(1900)}`), []);
  assert.deepEqual(position(`1${'+1'.repeat(2100)}`), [[4027, 'The code is too deeply nested']]);
});

test('Real code stays below the bound of nesting', () => {
  const many = (count, text, between = '') => Array.from({ length: count }, (_, i) => text.replaceAll('#', i)).join(between);
  for (const body of [
    `return ${'['.repeat(100)}1${']'.repeat(100)}`,
    `return ${many(1000, "'part # '", ' + ')}`,
    `${many(300, 'if (ctx.n === #) return #; ', 'else ')}`,
    `return ${many(300, 'ctx.n === # ? # : ')} 5`,
    `return ctx${many(500, '.map((x) => x)')}`,
  ]) {
    assert.deepEqual(assertWellFormed(`export function onPublish(ctx) { ${body} }`).problems, []);
  }
});

// ---- Random programs ----------------------------------------------------------------------------------------------------------------------

/** A program that ends, in a random style: with and without semicolons and braces, with comments, on one line or many. */
function randomProgram(seed) {
  const { below, pick, chance } = random(seed);
  let names = 0;
  let loops = 0;
  const fresh = (prefix) => `${prefix}${names++}`;
  const gap = () => chance(0.15) ? pick(['\n', '\r\n', ' /* => { */ ', ' // for (;;) {\n', '\u2028']) : ' ';
  // Numbers only, so that every operator has a meaning.
  const expression = (scope, depth) => {
    const inner = () => expression(scope, depth - 1);
    if (depth <= 0) {
      return pick([...scope, String(below(9)), `${below(9)}`]);
    }
    const p = fresh('p');
    const q = fresh('q');
    const arrow = () => {
      const body = expression([...scope, p], depth - 1);
      return pick([`${p} =>${gap()}${body}`, `(${p}) =>${gap()}(${body})`, `(${p}) =>${gap()}{ return ${body} }`, `function${gap()}(${p})${gap()}{ return ${body} }`,
        `(${p}) => ((${q}) =>${gap()}${body})(1)`, `(${p}, ${q} = (x) => x) => ${q}(${body})`, `${p} => ({ ${q}: ${body} }).${q}`, `(${p}) =>${gap()}[${body}][0]`]);
    };
    return pick([
      () => `(${inner()} ${pick(['+', '-', '*', '<', '===', '&', '|', '>>>', '&&', '||', '??', ','])} ${inner()})`.replace(/\(([^()]*)(&&|\|\|)([^()]*)\?\?/, '(($1)$3 ??'),
      () => `(${inner()} ?${gap()}${inner()} :${gap()}${inner()})`,
      () => `(${arrow()})(${inner()})`,
      () => `[${inner()}, ${inner()}].map(${arrow()}).reduce((a, b) => a + b, 0)`,
      () => `util.note(${inner()})`,
      () => `\`\${${inner()}}\n\${((x) => x)(${inner()})}\`.length`,
      () => `({ m(${p}) { return ${expression([...scope, p], depth - 1)} } }).m(${inner()})`,
      () => `(-${inner()})`, () => `(!${inner()} + 0)`, () => `(typeof ${inner()}).length`,
      () => `[${inner()}, ...[${inner()}]]${pick(['[0]', '.length', '?.[1]'])}`,
      () => `({ a: ${inner()}, ['b']: ${inner()} })${pick(['.a', '?.b'])}`,
    ])();
  };
  const statement = (scope, depth, inLoop) => {
    const end = () => pick([';', '\n', ';\n']);
    const simple = () => pick([
      () => `util.note(${expression(scope, 2)})${end()}`,
      () => scope.length > 0 ? `${pick(scope)} ${pick(['=', '+='])} ${expression(scope, 2)}${end()}` : ';',
      () => ';',
      () => inLoop && chance(0.5) ? `${pick(['break', 'continue'])}${end()}` : `;util.note(${expression(scope, 1)})${end()}`,
    ])();
    if (depth <= 0) {
      return simple();
    }
    const body = (extra = [], loop = inLoop) => chance(0.5)
      ? `{${gap()}${block([...scope, ...extra], depth - 1, loop)}}${pick(['', '\n'])}`
      : `${gap()}${statement([...scope, ...extra], depth - 1, loop)}`;
    const x = fresh('x');
    const label = chance(0.3) ? `l${loops++}:${gap()}` : '';
    return pick([
      simple,
      () => `if (${expression(scope, 1)})${body()}`,
      () => `if (${expression(scope, 1)}) {${block(scope, depth - 1, inLoop)}} else${body()}`,
      () => `${label}for${gap()}(const ${x} of [${expression(scope, 1)}, 2])${body([], true)}`,
      () => `${label}for (const ${x} in [7, 8])${gap()}${body([], true)}`,
      () => `${label}for (let ${x} = 0; ${x} < 2; ${x}++)${gap()}${body([], true)}`,
      () => `{ let ${x} = 2; while (${x}-- > 0)${body([], true)} }`,
      () => `{ let ${x} = 2; do${gap()}{${block(scope, depth - 1, true)}} while (${x}-- > 0) }\n`,
      () => `{ let ${x} = 1; do util.note(${expression(scope, 1)})${pick([';', '\n'])}while (${x}-- > 0) util.note(1) }`,
      () => `switch (${expression(scope, 1)}) { case 1: ${statement(scope, depth - 1, false)} default: ${simple().replace('continue', ';').replace('break', ';')} }`,
      () => `${x}${below(9)}: {${block(scope, depth - 1, false)}}`,
      () => `try {${block(scope, depth - 1, inLoop)}} catch (${x}) { util.note('' + ${x}) }`,
    ])();
  };
  const block = (scope, depth, inLoop) => {
    let text = chance(0.1) ? '"use strict"\n' : '';
    const own = [...scope];
    for (let count = 1 + below(3); count > 0; count--) {
      if (chance(0.3)) {
        const v = fresh('v');
        text += `let ${v} = ${expression(own, 2)}${pick([';', '\n'])}`;
        own.push(v);
      } else if (chance(0.15)) {
        const f = fresh('f');
        const p = fresh('p');
        text += `function ${f}(${p}${chance(0.3) ? ` = ${expression(own, 1)}` : ''})${gap()}{${chance(0.3) ? '"use strict2"\n' : ''}${statement([p], 1, false)} return ${expression([p], 2)} }util.note(${f}(1))${pick([';', '\n'])}`;
      } else {
        text += `${statement(own, depth, inLoop)}${pick(['', '\n'])}`;
      }
    }
    return text;
  };
  const header = pick(["import { util } from '@aws-appsync/utils'\n", "import { util as u, util } from '@aws-appsync/utils';", "let z = 1\nimport { util } from '@aws-appsync/utils'\n"]);
  const main = `{${block([], 3, false)}\nreturn ${expression([], 3)} }`;
  return header + block([], 2, false) + pick([`\nexport function onPublish() ${main}`, `\nexport const onPublish = () =>${gap()}${main}`, `\nconst h = { request() ${main}, response: () => ${expression([], 3)} }\nexport { h as onPublish }`]);
}

test('Random programs do what their modules do', { timeout: 120_000 }, async () => {
  let programs = 0;
  for (let seed = 1; programs < 400 && seed < 3000; seed++) {
    const source = randomProgram(seed);
    const compiled = assertWellFormed(source);
    if (compiled.code === null) {
      continue;
    }
    programs++;
    await assertSameBehaviour(source, compiled);
  }
  assert.ok(programs >= 400, `${programs} programs were valid`);
});

test('Compiling is fast enough to do while a namespace is loaded', () => {
  const part = deployed['a function'].replaceAll(/import.*|export /g, '').replaceAll(/onPublish|onSubscribe/g, (name) => `${name}#`);
  for (const size of [2_000, 32_000]) {
    const source = `export const onPublish = () => 1\n${Array.from({ length: Math.floor(size / part.length) }, (_, i) => part.replaceAll('#', i)).join('')}`;
    for (let i = 0; i < 20; i++) {
      compile(source);
    }
    const started = performance.now();
    for (let i = 0; i < 10; i++) {
      compile(source);
    }
    const milliseconds = (performance.now() - started) / 10;
    console.log(`${source.length} characters: ${milliseconds.toFixed(2)} ms`);
    // Many times what it takes on an idle machine; a quadratic step would take more.
    assert.ok(milliseconds < 1000);
  }
});
