// The runtime of event handlers: every call that is documented, against what is documented of it, and handlers that mean harm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Raw, Sandbox } from './handlers/sandbox.mjs';
import { sections } from './handlers/util-cases.mjs';

for (const [section, cases] of Object.entries(sections)) {
  test(`handlers.md ${section}: ${cases.length} calls give what is documented`, () => {
    const sandbox = new Sandbox();
    for (const [expression, expected] of cases) {
      const value = sandbox.value(expression);
      if (expected instanceof RegExp) {
        assert.match(value, expected, expression);
      } else if (typeof expected?.fault === 'string') {
        assert.equal(value?.kind, 'fault', `${expression} gives ${JSON.stringify(value)}`);
        assert.ok(value.message.includes(expected.fault), `${expression} fails with "${value.message}"`);
        assert.match(value.message, /^code\.js:\d+:\d+: /, expression);
      } else {
        assert.deepEqual(value, expected, expression);
      }
    }
  });
}

const events = (...payloads) => ({ events: payloads });
const onPublish = (body, input, options) => new Sandbox(options).load(`function onPublish(ctx) { __tick(); ${body} }`).invoke(input);
const fault = (output) => {
  assert.equal(output.failure?.kind, 'fault', JSON.stringify(output));
  return output.failure.message;
};

test('What onPublish returns becomes a result per event', () => {
  const same = (id) => ({ id, same: true });
  for (const [body, payloads, expected] of [
    ['return ctx.events', [1, 'two', { a: [null] }], [same('e1'), same('e2'), same('e3')]],
    ['return []', [1], []], ['return null', [1], null], ['return undefined', [1], null], ['', [1], null],
    ['return [null, undefined, ctx.events[0]]', [1], [same('e1')]],
    ['return ctx.events.filter((e) => e.payload > 1)', [1, 2], [same('e2')]],
    ['return [ctx.events[1], ctx.events[0]]', [1, 2], [same('e2'), same('e1')]],
    ['ctx.events[0].payload.b = 2; return ctx.events', [{ a: 1 }], [{ id: 'e1', payload: '{"a":1,"b":2}' }]],
    ['ctx.events[0].error = "bad"; return ctx.events', [1, 2], [{ id: 'e1', error: 'bad' }, same('e2')]],
    ['return [{ id: "e1", error: null, payload: 1 }]', [1], [same('e1')]],
    ['return [{ id: "e1", error: { code: 5 } }]', [1], [{ id: 'e1', error: '{"code":5}' }]],
    ['return [{ id: "e1", error: () => 1 }]', [1], [{ id: 'e1', error: 'null' }]],
    ['return [{ id: "e1", error: 0 }, { id: "e2", error: "" }]', [1, 2], [{ id: 'e1', error: '0' }, { id: 'e2', error: '' }]],
    ['return [{ id: "e1" }]', [1], [{ id: 'e1', payload: 'null' }]],
    ['return [{ id: "e1", payload: () => 1 }]', [1], [{ id: 'e1', payload: 'null' }]],
    ['return [{ id: "e1", payload: { a: undefined, b: NaN, c: () => 1 } }]', [1], [{ id: 'e1', payload: '{"b":null}' }]],
    ['return [{ id: "other", payload: 1 }, { id: "other", payload: 1 }]', [1], [{ id: 'other', payload: '1' }, { id: 'other', payload: '1' }]],
    ['return [{ id: "e\\"1", payload: "\\u2028\\"" }]', [1], [{ id: 'e"1', payload: '"\u2028\\""' }]],
    ['return [{ id: "e2", payload: 1 }]', [1, 2], [{ id: 'e2', payload: '1' }]],
    ['return [{ id: "e1", payload: 1, more: { a: 1 } }]', [1], [same('e1')]],
    // The original bytes stay where the handler changed nothing, although JSON.stringify writes them another way.
    ['return ctx.events', ['{ "a": 1.0 }', '12345678901234567890', '"\\u0041"', '{"a":1,"a":2}'].map((text) => new Raw(text)),
      [same('e1'), same('e2'), same('e3'), same('e4')]],
    ['return ctx.events.map((e) => ({ id: e.id, payload: e.payload + 1 }))', [new Raw('1.0')], [{ id: 'e1', payload: '2' }]],
  ]) {
    assert.deepEqual(onPublish(body, { events: payloads }), { result: expected, log: [] }, body);
  }
});

test('A result that breaks a rule is a fault', () => {
  for (const [body, text] of [
    ['return 5', 'onPublish must return a list of events, or null'], ['return ctx', 'onPublish must return a list of events, or null'],
    ['return "e1"', 'onPublish must return a list of events, or null'], ['return { length: 1, 0: ctx.events[0] }', 'onPublish must return a list of events'],
    ['return [5]', 'onPublish must return a list of objects'], ['return [[]]', 'onPublish returned an event without an id'],
    ['return [{}]', 'onPublish returned an event without an id'], ['return [{ id: 5 }]', 'onPublish returned an event without an id'],
    ['return [{ id: "e1", payload: 1n }]', 'Do not know how to serialize a BigInt'],
    ['const loop = {}; loop.loop = loop; return [{ id: "e1", payload: loop }]', 'Converting circular structure to JSON'],
    ['return (async () => ctx.events)()', 'onPublish must return a list of events, or null'],
    ['return { then: (f) => f(ctx.events) }', 'onPublish must return a list of events, or null'],
    ['let deep = 1; for (let i = 0; i < 20000; i++) deep = [deep]; return [{ id: "e1", payload: deep }]', 'Maximum call stack size exceeded'],
  ]) {
    const message = fault(onPublish(body));
    assert.ok(message.includes(text), `${body}: ${message}`);
  }
});

test('Exports that are missing or of the wrong form are faults', () => {
  const sandbox = new Sandbox().load('const onPublish = { request: 5 }, onSubscribe = () => 1');
  assert.match(fault(sandbox.invoke()), /onPublish is not a function$/);
  assert.match(fault(sandbox.invoke({ phase: 'request' })), /onPublish\.request is not a function$/);
  assert.match(fault(sandbox.invoke({ phase: 'response' })), /onPublish\.response is not a function$/);
  assert.match(fault(sandbox.invoke({ handler: 'onSubscribe', phase: 'request' })), /onSubscribe\.request is not a function$/);
  assert.equal(fault(new Sandbox().invoke()).startsWith('code.js'), true);
  assert.equal(fault(JSON.parse(sandbox.invokeText('onPublish', 'function', 'not JSON'))).startsWith('code.js'), true);
  assert.equal(fault(JSON.parse(sandbox.invokeText('onPublish', 'function', 'null'))).startsWith('code.js'), true);
});

test('onSubscribe answers with nothing, and gets no events', () => {
  const sandbox = new Sandbox().load('const onSubscribe = (ctx) => { if (ctx.events !== null) util.error("events"); return [5]; }');
  assert.deepEqual(sandbox.invoke({ handler: 'onSubscribe', events: null }), { result: null, log: [] });
  sandbox.load("function onSubscribe(ctx) { if (ctx.info.channel.path !== '/private/me') { console.log('denied ' + ctx.channel); util.unauthorized(); } }");
  assert.deepEqual(sandbox.invoke({ handler: 'onSubscribe', events: null }),
    { failure: { kind: 'unauthorized' }, log: [['INFO', 'code.js:1:84', 'denied undefined']] });
});

test('The object form: a request, what it leaves in stash and outErrors, and a response', () => {
  const sandbox = new Sandbox().load(`const onPublish = {
    request(ctx) { ctx.stash.k = 1; util.appendError('first', 'T', { a: 1 }); return { operation: 'Invoke', payload: ctx.events }; },
    response(ctx) { return ctx.events.map((e) => ({ id: e.id, payload: [ctx.result, ctx.error, ctx.stash, ctx.outErrors] })); },
  };`);
  assert.deepEqual(sandbox.invoke({ phase: 'request' }), {
    request: { operation: 'Invoke', payload: [{ id: 'e1', payload: 1 }] }, stash: { k: 1 },
    outErrors: [{ message: 'first', type: 'T', data: { a: 1 }, info: null }], log: [['ERROR', 'code.js:2:42', 'first']],
  });
  const output = sandbox.invoke({ phase: 'response', stash: { k: 1 }, outErrors: [{ message: 'first' }], result: { x: 1 }, error: { message: 'm', type: 'T' } });
  assert.deepEqual(JSON.parse(output.result[0].payload), [{ x: 1 }, { message: 'm', type: 'T' }, { k: 1 }, [{ message: 'first' }]]);
  sandbox.load('const onPublish = { request() {} }');
  assert.deepEqual(sandbox.invoke({ phase: 'request' }), { request: null, stash: {}, outErrors: [], log: [] });
});

test('earlyReturn ends the call with its value, from anywhere', () => {
  assert.deepEqual(onPublish('[1].forEach(() => runtime.earlyReturn(ctx.events, { skipTo: "END" })); util.error("not reached")'),
    { result: [{ id: 'e1', same: true }], early: true, log: [] });
  assert.deepEqual(onPublish('runtime.earlyReturn()'), { result: null, early: true, log: [] });
  const sandbox = new Sandbox().load('const onPublish = { request: (ctx) => runtime.earlyReturn(ctx.events), response() { util.error("not reached"); } }');
  assert.deepEqual(sandbox.invoke({ phase: 'request' }), { result: [{ id: 'e1', same: true }], early: true, log: [] });
  assert.deepEqual(onPublish('runtime.earlyReturn([{ id: "e1", payload: { toJSON() { __tick(); return 7; } } }])'),
    { result: [{ id: 'e1', payload: '7' }], early: true, log: [] });
  assert.match(fault(onPublish('runtime.earlyReturn(5)')), /onPublish must return a list/);
});

test('Positions are those of the source as it was written', () => {
  // Line 2 was `  return ctx.a.b`, with 9 characters inserted at its column 3 and 4 at column 19; line 3 begins with 9 more.
  const insertions = [[2, 3, 9], [2, 19, 4], [3, 1, 9]];
  const sandbox = new Sandbox().load('function onPublish(ctx) {\n  __tick(); return (0, ctx).a.b; }\n__tick();', insertions);
  assert.equal(fault(sandbox.invoke()), "code.js:2:18: Cannot read properties of undefined (reading 'b')");
  sandbox.load('function onPublish(ctx) {\n  __tick(); console.log(1); }', [[1, 1, 5], [2, 3, 9], [2, 30, 4]]);
  assert.deepEqual(sandbox.invoke().log, [['INFO', 'code.js:2:12', '1']]);
  // Within an insertion: the place where it was made.
  sandbox.load('function onPublish(ctx) {\n  __tick(console.log(1)); }', [[2, 3, 30]]);
  assert.deepEqual(sandbox.invoke().log, [['INFO', 'code.js:2:3', '1']]);
  // A message may look like a frame; the frames come behind it.
  sandbox.load('function onPublish(ctx) {\n  ctx["\\n    at x (code.js:99:99)\\n"](); }');
  assert.match(fault(sandbox.invoke()), /^code\.js:2:\d+: /);
});

test('A log keeps what its level says, with text as the console shows it', () => {
  const body = 'console.error(1); console.warn(2); console.info(3); console.log(4); console.debug(5); util.appendError("6"); extensions.evictFromApiCache()';
  const kept = (logLevel) => onPublish(body, { logLevel }).log.map(([label, , text]) => `${label} ${text}`);
  const noEffect = 'WARN extensions.evictFromApiCache has no effect in event handlers';
  assert.deepEqual(kept(0), []);
  assert.deepEqual(kept(1), ['ERROR 1', 'ERROR 6']);
  assert.deepEqual(kept(2), ['ERROR 1', 'WARN 2', 'INFO 3', 'INFO 4', 'ERROR 6', noEffect]);
  assert.deepEqual(kept(3), ['ERROR 1', 'WARN 2', 'INFO 3', 'INFO 4', 'DEBUG 5', 'ERROR 6', noEffect]);
  assert.deepEqual(kept(4), kept(3));
  const text = (source) => onPublish(`console.log(${source})`).log[0][2];
  for (const [source, expected] of [
    ["'a', 'b c'", 'a b c'], ["{ a: 'x', b: [1] }, 'y'", '{"a":"x","b":[1]} y'], ['undefined, null, true, 1.5, NaN, -0', 'undefined null true 1.5 NaN 0'],
    ['', ''], ['() => 1', '[function]'], ['(() => { const loop = {}; loop.loop = loop; return loop; })()', '[not JSON]'], ['{ toJSON: () => undefined }', 'undefined'], ['1n', '1'],
  ]) assert.equal(text(source), expected, source);
});

test('A log is cut at its limit, and says so', () => {
  const output = onPublish('for (let i = 0; i < 10000; i++) { __tick(); console.log("line " + i + " of many, each of them long enough"); } return ctx.events',
    {}, { logBytesMax: 10_000 });
  assert.deepEqual(output.result, [{ id: 'e1', same: true }]);
  assert.ok(output.log.length > 100 && output.log.length < 200, `${output.log.length} lines`);
  assert.deepEqual([output.log.at(-1)[0], output.log.at(-1)[2]], ['WARN', 'More log lines were cut: the limit of a request is reached.']);
  assert.equal(output.log.at(-3)[2].startsWith('line '), true);
  const long = onPublish('console.log("ä".repeat(100000))', {}, { logBytesMax: 1040 }).log;
  assert.equal(long[0][2], 'ä'.repeat(500));
  assert.equal(long.length, 2);
  // Lines without a text cost something too.
  assert.ok(onPublish('for (let i = 0; i < 10000; i++) { __tick(); console.log(""); }', {}, { logBytesMax: 10_000 }).log.length < 1000);
  // Nothing of it is made where the level does not keep it.
  assert.deepEqual(onPublish('console.log({ toJSON() { util.error("made"); } }); return []', { logLevel: 1 }), { result: [], log: [] });
});

test('A result over its limit is a fault', () => {
  const output = (count) => onPublish(`return [{ id: 'e1', payload: 'x'.repeat(${count}) }]`, {}, { resultBytesMax: 1000 });
  assert.equal(output(900).result.length, 1);
  assert.equal(fault(output(1000)), "code.js: The handler's result is larger than 1000 bytes");
  assert.match(fault(onPublish(`util.error('x'.repeat(1000))`, {}, { resultBytesMax: 1000 })), /error is larger than 1000 bytes/);
  assert.match(fault(onPublish(`return [{ id: 'e1', payload: 'ä'.repeat(600) }]`, {}, { resultBytesMax: 1000 })), /larger than 1000 bytes/);
  assert.equal(onPublish(`return [{ id: 'e1', payload: 'ä'.repeat(400) }]`, {}, { resultBytesMax: 1000 }).result.length, 1);
});

test('Endless work is ended by the budget, whatever it is done with', () => {
  for (const body of [
    'while (true) __tick();', 'for (;;) { __tick(); }', 'const f = () => { __tick(); return f; }; let g = f; while (true) g = g();',
    'while (true) { try { __tick(); } catch {} try { while (true) __tick(); } finally { __tick(); } }',
    'while (true) { __tick(); try { while (true) __tick(); } catch { __tick(); } }',
    'return [{ id: "e1", payload: { toJSON() { while (true) __tick(); } } }]', 'return [{ get id() { while (true) __tick(); } }]',
    'return Array(1e9)', 'console.log({ toJSON() { while (true) __tick(); } })',
    'while (true) { __tick(); "a".replaceAll("(a|b)", () => { while (true) __tick(); }); }',
    'const list = Array(1e6).fill(1); for (;;) { __tick(); util.dynamodb.toList(list); }',
    'const text = "x".repeat(1e7); for (;;) { __tick(); util.base64Encode(text); }',
    'for (let i = 0; i < 1000; i++) util.appendError("x".repeat(10000))', 'for (let i = 0; i < 1000; i++) util.appendError("x", "T", ["x".repeat(10000)])',
    'util.urlDecode("+".repeat(1e6))', 'util.matches("a".repeat(1e6), "a")',
    'util.transform.toDynamoDBFilterExpression({ and: Array(1e6).fill({}) })', 'rds.createPgStatement(rds.select({ table: "t", columns: Array(1e6).fill("a") }))',
  ]) {
    const started = performance.now();
    const message = fault(onPublish(body, { logLevel: 4 }));
    // Where a list is read that the handler returned, no line of it is running.
    const position = body === 'return Array(1e9)' ? 'code\\.js' : 'code\\.js:1:\\d+';
    assert.match(message, new RegExp(`^${position}: the handler used up its 100000 iterations$`), body);
    assert.ok(performance.now() - started < 5000, `${body} took ${performance.now() - started} ms`);
  }
});

test('A handler that catches its own ending does not escape it', () => {
  assert.deepEqual(onPublish('try { util.unauthorized(); } catch {} return ctx.events').failure, { kind: 'unauthorized' });
  assert.deepEqual(onPublish('try { util.error("a"); } catch {} try { util.error("b"); } catch {} return ctx.events').failure.message, 'a');
  assert.deepEqual(onPublish('try { util.unauthorized(); } catch (signal) { try { signal.x = 1; } catch {} } util.error("b");').failure, { kind: 'unauthorized' });
  assert.deepEqual(onPublish('try { runtime.earlyReturn([]); } catch {} return ctx.events'), { result: [], early: true, log: [] });
  assert.deepEqual(onPublish('try { util.unauthorized(); } catch {} __tick(); return ctx.events').failure, { kind: 'unauthorized' });
  assert.match(fault(onPublish('try { while (true) __tick(); } catch {} return ctx.events')), /used up/);
});

test('What is thrown is described, whatever it is', () => {
  for (const [body, expected] of [
    ['throw "text"', /^code\.js: text$/], ['throw null', /^code\.js: null$/], ['throw { message: "m" }', /^code\.js: m$/], ['throw {}', /^code\.js: \{\}$/],
    ['throw { get message() { throw 1; } }', /^code\.js: the handler failed$/], ['throw { get message() { while (true) __tick(); } }', /^code\.js: the handler failed$/],
    ['throw { message: { toString() { throw 1; } }, stack: { toString() { throw 1; } } }', /^code\.js: \{/],
    ['throw () => 1', /^code\.js: \[function\]$/], ['throw 1n', /^code\.js: 1$/], ['null.x', /^code\.js:1:\d+: Cannot read properties of null/],
    ['x = 1', /^code\.js:1:\d+: x is not defined/], ['ctx()', /^code\.js:1:\d+: ctx is not a function/], ['throw { message: "x".repeat(1e6) }', /^code\.js: x{3991}$/],
    ['const e = (() => { try { null.x; } catch (e) { return e; } })(); e.stack = 5; e.name = "N"; throw e', /^code\.js: Cannot read/],
  ]) assert.match(fault(onPublish(body)), expected, body);
  // A fault leaves nothing behind for the next call.
  const sandbox = new Sandbox().load('function onPublish(ctx) { util.error("first"); }');
  sandbox.invoke();
  assert.equal(fault(JSON.parse(sandbox.invokeText('onPublish', 'function', '{'))).includes('first'), false);
});

test('Memory and stack run out as faults of the call', () => {
  for (const [body, text] of [
    ['return "x".repeat(2 ** 30)', 'Invalid string length'], ['let s = "x"; while (true) { __tick(); s += s; }', 'Invalid string length'],
    ['return "x".padEnd(2 ** 31)', 'Invalid string length'], ['return [].concat(Array(2 ** 32))', 'Invalid array length'],
    ['const f = () => f(); f()', 'Maximum call stack size exceeded'], ['const f = () => util.urlEncode({ toString: f }) + f(); f()', 'expects a string'],
    ['const f = () => "a".replaceAll("(a)", f); f()', 'Maximum call stack size exceeded'],
    ['const f = () => { try { f(); } finally { console.log("deep"); util.autoId(); } }; f()', 'Maximum call stack size exceeded'],
    ['const o = { toJSON: () => JSON.stringify(o) }; console.log(JSON.stringify(o))', 'Maximum call stack size exceeded'],
  ]) {
    const message = fault(onPublish(body, { logLevel: 1 }, { iterationsMax: 10_000_000 }));
    assert.ok(message.includes(text), `${body}: ${message}`);
  }
  // Running out of stack within the generator of ids does not make it repeat itself.
  const sandbox = new Sandbox({ iterationsMax: 10_000_000 }).load(`function onPublish(ctx) {
    const ids = []; const f = () => { __tick(); try { f(); } catch {} if (ids.length < 3000) ids.push(util.autoId()); }; f(); return [{ id: 'e1', payload: ids }]; }`);
  const ids = JSON.parse(sandbox.invoke().result[0].payload);
  assert.equal(new Set(ids).size, ids.length);
});

test('There is no way out of the context, nor to code made of text', () => {
  const sandbox = new Sandbox();
  for (const source of [
    "[].constructor.constructor('return this')()", "(() => 1).constructor('return this')()", "(async () => 1).constructor('return 1')()",
    "(function* () {}).constructor('return 1')()", "(async function* () {}).constructor('x')()", "util.error.constructor('return process')()",
    "ctx.constructor.constructor('return process')()", "__tick.constructor('return process')()", "__modules.constructor.constructor('return this')()",
    "console.log.constructor.constructor('return 1')()", "(0, eval)('1')", "new Function('return 1')()",
    "(() => { try { null.x; } catch (e) { return e.constructor.constructor('return process')(); } })()",
    "Object.getPrototypeOf(function () {}).constructor('return 1')()",
  ]) {
    const value = sandbox.value(source);
    assert.equal(value?.kind, 'fault', `${source} gives ${JSON.stringify(value)}`);
  }
  assert.equal(sandbox.value('(function () { return typeof this; })()'), 'undefined');
  assert.equal(sandbox.value("(() => { try { null.x; } catch (e) { return typeof e.constructor; } })()"), 'undefined');
  assert.equal(sandbox.value('typeof (async () => 1)().constructor'), 'undefined');
  assert.equal(sandbox.value('typeof arguments[0]'), 'object', 'the context object, and no more');
  assert.equal(sandbox.value('arguments.length'), 1);
  assert.equal(fault({ failure: sandbox.value('arguments.callee') }).includes('callee'), true);
  assert.equal(fault({ failure: sandbox.value('util.error.caller') }).includes('caller'), true);
  // Every global of a call, and nothing that leads elsewhere.
  assert.deepEqual(sandbox.evaluate('Object.getOwnPropertyNames(this).sort().join()'),
    ['Array', 'Boolean', 'Infinity', 'JSON', 'Math', 'NaN', 'Number', 'Object', 'String', 'console', 'extensions', 'isFinite', 'isNaN', 'parseFloat', 'parseInt',
      'runtime', 'undefined', 'util'].join());
});

test('Nothing that a call writes to built-ins is there in the next', () => {
  const writes = [
    'Object.prototype.polluted = 1', 'Array.prototype.map = () => []', 'String.prototype.replace = () => "x"', 'Object.prototype.toString = () => "x"',
    'Object.prototype.toJSON = () => "x"', '[].__proto__.polluted = 1', '({}).__proto__.polluted = 1', '"".__proto__.polluted = 1', '(5).__proto__.polluted = 1',
    '(() => 1).__proto__.polluted = 1', '/a/.__proto__.exec = () => null', '(1n).__proto__.polluted = 1', '(async () => 1)().__proto__.then = 1',
    '(function* () {})().__proto__.__proto__.next = 1', 'JSON.parse = () => 1', 'JSON.stringify = () => 1', 'Math.random = () => 4', 'Object.keys = () => []',
    'Array.isArray = () => true', 'util.error = () => 1', 'util.time.nowISO8601 = () => 1', 'ddb.get = () => 1', 'console.log = () => 1', 'runtime.earlyReturn = () => 1',
    '__modules["@aws-appsync/utils"] = 1', 'util = 1', 'Array = 1', 'JSON = 1', 'undefined = 1', 'Object.defineProperty(Object.prototype, "polluted", { value: 1 })',
    'Object.setPrototypeOf(Array.prototype, null)', 'Object.setPrototypeOf(util, {})', 'Object.prototype.__defineGetter__("polluted", () => 1)', 'delete Array.prototype.map',
    'ddb.operations.add.polluted = 1', 'Object.getPrototypeOf([][Object.getOwnPropertySymbols(Array.prototype)[0]]()).next = 1',
    '[1].values().map((x) => x).__proto__.next = 1', '[].values().__proto__.__proto__.constructor.from({ next() {} }).__proto__.next = 1', '__tick.polluted = 1',
    '(() => { try { null.x; } catch (e) { e.__proto__.__proto__.name = "X"; } })()', '(() => { try { null.x; } catch (e) { e.__proto__.polluted = 1; } })()',
  ];
  const sandbox = new Sandbox();
  for (const write of writes) {
    sandbox.load(`let top = 0; function onPublish(ctx) { top++; if (top > 1) util.error('kept'); ${write}; return ctx.events; }`);
    const output = sandbox.invoke();
    assert.equal(output.failure?.kind, 'fault', `${write}: ${JSON.stringify(output)}`);
    assert.deepEqual(sandbox.value(`[ctx.polluted, [].polluted, ''.polluted, [1].map((x) => x + 1), 'a.c'.replace('\\\\.', 'b'), String({}), typeof util.autoId(),
      JSON.parse('[1]'), ddb.get({ key: { a: 1 } }).operation, Array.isArray([]), Object.keys({ a: 1 }), /a/.exec('a')[0]]`),
    [null, null, null, [2], 'abc', '[object Object]', 'string', [1], 'GetItem', true, ['a'], 'a'], write);
  }
});

test('State of a module does not outlive a call, nor do objects of the context', () => {
  const sandbox = new Sandbox().load('let count = 0; const kept = {}; function onPublish(ctx) { count++; kept[count] = ctx.events; return [{ id: "e1", payload: [count, kept] }]; }');
  const first = sandbox.invoke();
  assert.deepEqual(sandbox.invoke(), first);
  const throwing = new Sandbox().load('util.error("at the top"); function onPublish() {}');
  assert.equal(throwing.invoke().failure.message, 'at the top');
});

test('Promises neither settle a call nor run on after it', async () => {
  // They catch what ends them: a rejection that nobody handles is reported to the process, whose affair it is, and fails tests.
  const sandbox = new Sandbox().load('async function onPublish(ctx) { await 1; try { while (true) __tick(); } catch {} }');
  assert.match(fault(sandbox.invoke()), /must return a list/);
  // The context's jobs run at the next evaluation: the loop ends at its first tick, since no call is in progress.
  sandbox.evaluate('0');
  assert.deepEqual(sandbox.load('function onPublish(ctx) { return ctx.events; }').invoke(), { result: [{ id: 'e1', same: true }], log: [] });
  sandbox.load('const leak = async (ctx) => { await 1; try { __tick(); } catch {} try { console.log("late"); } catch {} try { util.appendError("late"); } catch {} }; function onPublish(ctx) { leak(ctx); return []; }');
  sandbox.invoke();
  sandbox.evaluate('0');
  assert.deepEqual(sandbox.invoke(), { result: [], log: [] });

  // As long as nobody evaluates anything in the context, they do not run on at all: calls leave its jobs alone.
  const waiting = new Sandbox().load(`const leak = async () => { await 1; util.autoId(); };
    function onPublish(ctx) { if (ctx.events[0].payload === 'leak') { leak(); return []; } return [{ id: 'e1', payload: util.autoId() }]; }`);
  waiting.invoke({ events: ['leak'] });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(JSON.parse(waiting.invoke().result[0].payload), new Sandbox().value('util.autoId()'));

  // An id made late would be missing from those that the next call gets.
  const late = new Sandbox().load('const leak = async () => { await 1; try { __tick(); } catch { return; } util.autoId(); }; function onPublish(ctx) { leak(); return []; }');
  late.invoke();
  late.evaluate('0');
  assert.equal(late.value('util.autoId()'), new Sandbox().value('util.autoId()'));
});

test('Ids come from the seed alone, and differ', () => {
  const ids = (random) => JSON.parse(new Sandbox({ random }).load('function onPublish(ctx) { return [{ id: "e1", payload: Array(1000).fill(0).map(() => util.autoId()) }]; }')
    .invoke().result[0].payload);
  const one = ids('00'.repeat(32));
  assert.deepEqual(one, ids('00'.repeat(32)));
  assert.equal(new Set([...one, ...ids('01'.repeat(32))]).size, 2000);
});

test('The generator is ChaCha20: its first block is the one that RFC 8439 gives for the zero key', () => {
  // Counter 1 of appendix A.1, test vector 2: the generator counts before it makes a block. Words are little-endian there.
  const sandbox = new Sandbox({ random: '00'.repeat(32) });
  const stream = Buffer.from('9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed', 'hex');
  const words = Array.from({ length: 8 }, (_, i) => stream.readUInt32LE(i * 4));
  const hex = (word) => word.toString(16).padStart(8, '0');
  const [a, b, c, d] = words;
  const uuid = hex(a) + hex((b & 0xffff0fff | 0x4000) >>> 0) + hex((c & 0x3fffffff | 0x80000000) >>> 0) + hex(d);
  assert.equal(sandbox.value('util.autoId()').replaceAll('-', ''), uuid);
});

test('Whatever text comes in, parsers give a value or say what is wrong with it', () => {
  // A linear congruential generator: the same texts in every run.
  let state = 42;
  const below = (bound) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % bound;
  const textOf = (pieces) => Array.from({ length: below(9) }, () => pieces[below(pieces.length)]).join('');
  const patternPieces = ['a', 'b', '.', '*', '+', '?', '{1,2}', '{2', '(', ')', '(?:', '(?>', '(?=', '(?<!', '(?<n>', '(?i)', '(?x)', '|', '[', ']', '[^', '-', '&&', '^', '$',
    '\\', '\\d', '\\W', '\\1', '\\k<n>', '\\Q', '\\E', '\\p{L}', '\\b', '\\x4', '\\u0061', '😀', '#', ' ', '\\c', '\\0'];
  const sources = [
    ['util.matches(x, y)', patternPieces, ['a', 'b', 'ab', '😀', '\n']],
    ["'abaab 😀'.replaceAll(x, y)", patternPieces, ['$', '1', '\\', '{n}', 'a', '$0', '${n}']],
    ['util.xml.toMap(x)', ['<a>', '</a>', '<b/>', '<a', ' x="1"', '>', '&amp;', '&#', '<![CDATA[', ']]>', '<!--', '-->', '<?', '?>', '<!', 'text', '</', '=', "'"], ['']],
    ['util.time.parseFormattedToEpochMilliSeconds(x, y)', [['2018-02', 'yyyy-MM'], ['-12', '-dd'], ['18', 'yy'], ['Feb', 'MMM'], [' ', ' '], ['12', 'HH'], [':30', ':mm'],
      ['PM', 'a'], ['Z', 'XXX'], ['+0800', 'Z'], ['Europe/Berlin', 'VV'], ['.5', '.S'], ['AD', 'G'], ['', '['], ['', ']'], ["'", "''"], ['x', "'x'"], ['033', 'DDD'], ['7', 'd']], null],
    ['util.time.epochMilliSecondsToFormatted(1517513306321, x, y)', ['y', 'M', 'd', 'E', 'e', 'a', 'H', 'S', 'n', 'A', 'z', 'Z', 'X', 'V', 'O', 'L', 'Q', 'w', 'W', 'G', '[', ']', "'", 'q', '#'],
      ['UTC', '+', '08', ':', '00', 'Z', 'Europe', '/Berlin', 'GMT', 'EST']],
    ['util.time.parseISO8601ToEpochMilliSeconds(x)', ['2018-02-01', 'T12:30', '2018', '-', '02', ':', '.', 'Z', '+08', '[UTC]', '31'], ['']],
    ['util.base64Decode(x)', ['YQ', '==', 'w6', 'T', '-', '_', '/', '\n', '€'], ['']],
    ['util.urlDecode(x)', ['%', '%c3', '%A4', '+', 'a', '%f0%9f%98', '%80', '€'], ['']],
  ];
  const kinds = new Set();
  for (const [expression, pieces, more] of sources) {
    const sandbox = new Sandbox().load(`function onPublish(ctx) { const [x, y] = ctx.events[0].payload; return [{ id: 'e1', payload: { value: ${expression} } }]; }`);
    for (let i = 0; i < 1500; i++) {
      let given;
      if (more === null) {
        // A text and its format, piece by piece, and now and then one piece too many.
        const pairs = Array.from({ length: 1 + below(5) }, () => pieces[below(pieces.length)]);
        given = [0, 1].map((side) => pairs.filter(() => below(20) > 0).map((pair) => pair[side]).join(''));
      } else {
        given = [textOf(pieces), textOf(more)];
      }
      const { failure } = sandbox.invoke({ events: [given] });
      kinds.add(`${expression} ${failure ? 'fails' : 'succeeds'}`);
      if (!failure) continue;
      assert.match(failure.message, /^code\.js:1:\d+: /, `${expression} of ${JSON.stringify(given)}: ${failure.message}`);
      assert.doesNotMatch(failure.message, /Cannot|is not a function|not iterable|Invalid (regular|time|date|flags)|not supported$|call stack/,
        `${expression} of ${JSON.stringify(given)}: ${failure.message}`);
    }
  }
  for (const [expression] of sources) {
    for (const end of ['fails', 'succeeds']) assert.ok(kinds.has(`${expression} ${end}`), `${expression} never ${end}`);
  }
});

test('Times and encodings agree with a second implementation', () => {
  let state = 7;
  const below = (bound) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % bound;
  const sandbox = new Sandbox().load(`function onPublish(ctx) {
    const { ms, zone, text } = ctx.events[0].payload;
    const format = 'yyyy-MM-dd HH:mm:ss.SSS';
    const local = util.time.epochMilliSecondsToFormatted(ms, format, zone);
    const full = util.time.epochMilliSecondsToFormatted(ms, format + 'ZZZZZ', zone);
    return [{ id: 'e1', payload: {
      local,
      iso: util.time.epochMilliSecondsToISO8601(ms),
      back: util.time.parseFormattedToEpochMilliSeconds(full, format + 'ZZZZZ'),
      isoBack: util.time.parseISO8601ToEpochMilliSeconds(util.time.epochMilliSecondsToISO8601(ms)),
      again: util.time.epochMilliSecondsToFormatted(util.time.parseFormattedToEpochMilliSeconds(local, format, zone), format, zone),
      week: util.time.epochMilliSecondsToFormatted(ms, "e"),
      day: util.time.epochMilliSecondsToFormatted(ms, "D"),
      base64: util.base64Encode(text), base64Back: util.base64Decode(util.base64Encode(text)),
      url: util.urlEncode(text), urlBack: util.urlDecode(util.urlEncode(text)),
      script: util.escapeJavaScript(text),
    } }];
  }`);
  const zones = ['UTC', 'Australia/Perth', 'America/New_York', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Apia', '+05:30', '-11:00'];
  for (let i = 0; i < 1500; i++) {
    // 1970 to 2105: offsets of whole minutes, which is what `Z` can write.
    const ms = below(4294967296) * 1000 + below(1000);
    const zone = zones[below(zones.length)];
    const text = Array.from({ length: below(12) }, () => String.fromCodePoint([below(128), below(2048), 0x4e00 + below(100), 0x1f600 + below(50)][below(4)])).join('');
    const payload = JSON.parse(sandbox.invoke({ events: [{ ms, zone, text }] }).result[0].payload);
    const timeZone = zone === '+05:30' ? 'Asia/Kolkata' : zone === '-11:00' ? 'Pacific/Niue' : zone;
    // Niue was at -11:20 and -11:30 before.
    if (zone !== '-11:00' || ms > 4e11) {
      const expected = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(ms);
      assert.equal(payload.local, `${expected}.${String(ms % 1000).padStart(3, '0')}`, `${ms} in ${zone}`);
    }
    assert.equal(payload.iso, new Date(ms).toISOString());
    assert.equal(payload.back, ms, `${payload.local} in ${zone}`);
    assert.equal(payload.isoBack, ms);
    assert.equal(payload.again, payload.local, zone);
    assert.equal(Number(payload.week), new Date(ms).getUTCDay() + 1);
    assert.equal(Number(payload.day), Math.floor((ms - Date.UTC(new Date(ms).getUTCFullYear(), 0)) / 86_400_000) + 1);
    assert.equal(payload.base64, Buffer.from(text).toString('base64'));
    assert.equal(payload.base64Back, text);
    assert.equal(payload.url, new URLSearchParams([['', text]]).toString().slice(1));
    assert.equal(payload.urlBack, text);
    assert.equal(new Function(`return '${payload.script}'`)(), text);
  }
});
