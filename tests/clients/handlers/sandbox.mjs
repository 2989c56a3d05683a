// Boots the handlers' sandbox in this process, as a worker does: a context of its own per module, strings in and out.

import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const folder = new URL('../../../Gateway/Handlers/Node/js/', import.meta.url);

// The order in which sandbox.js says its parts go together.
const parts = ['primordials', 'call', 'arguments', 'random', 'text', 'patterns', 'time', 'dynamodb', 'rds', 'util', 'hardening'];
const scripts = [...parts.map((name) => `sandbox/${name}.js`), 'sandbox.js'].map((name) =>
  new vm.Script(readFileSync(new URL(name, folder), 'utf8'), { filename: name }));

const contextOptions = { codeGeneration: { strings: false, wasm: false }, microtaskMode: 'afterEvaluate' };

export const limits = {
  iterationsMax: 100_000, logBytesMax: 1_048_576, resultBytesMax: 8_388_608,
  random: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
};

const importable = ['@aws-appsync/utils', '@aws-appsync/utils/dynamodb', '@aws-appsync/utils/rds', '@aws-appsync/utils/ai'];

/** A module in the form that the compiler gives it, written by hand: ticks included, exports by name at the end. */
export const compiled = (source) =>
  `(function (__modules, __tick) { "use strict"; const [, ddb, rds, ai] = ${JSON.stringify(importable)}.map((name) => __modules[name]);\n`
  + `${source}\n; return { onPublish: typeof onPublish === 'undefined' ? null : onPublish, onSubscribe: typeof onSubscribe === 'undefined' ? null : onSubscribe }; })`;

/** An event as a publisher wrote it, for texts that JSON.stringify would write otherwise. */
export class Raw {
  constructor(text) {
    this.text = text;
  }
}

export class Sandbox {
  #context = vm.createContext(vm.constants.DONT_CONTEXTIFY, contextOptions);
  #entry;

  constructor(options = {}) {
    let value;
    for (const script of scripts) value = script.runInContext(this.#context)(value);
    this.#entry = value(JSON.stringify({ ...limits, ...options }));
  }

  /** Loads a module that is written as the body of the compiled function, with ticks where they matter. */
  load(source, insertions = []) {
    const script = new vm.Script(compiled(source), { filename: 'code.js', lineOffset: -1 });
    this.#entry.load(script.runInContext(this.#context), JSON.stringify(insertions));
    return this;
  }

  /** Runs something in the context, as nothing but a test may. */
  evaluate(code) {
    return vm.runInContext(code, this.#context);
  }

  invokeText(handler, phase, input) {
    return this.#entry.invoke(handler, phase, input);
  }

  invoke({ handler = 'onPublish', phase = 'function', events = [1], ...input } = {}) {
    const output = this.invokeText(handler, phase, JSON.stringify({
      identity: null,
      request: { headers: { 'x-tag': ['a', 'b'] }, domainName: null },
      info: { channel: { path: '/chat/room', segments: ['chat', 'room'] }, channelNamespace: { name: 'chat' }, operation: 'PUBLISH' },
      authType: 'API Key Authorization',
      logLevel: 4,
      events: events?.map((payload, i) => [`e${i + 1}`, payload instanceof Raw ? payload.text : JSON.stringify(payload)]) ?? null,
      stash: {}, outErrors: [], result: null, error: null,
      ...input,
    }));
    return JSON.parse(output);
  }

  /** The value of an expression within onPublish, as JSON, or the failure. */
  value(expression, input) {
    const output = this.load(`function onPublish(ctx) { return [{ id: 'value', payload: ${expression} }]; }`).invoke(input);
    return output.failure ?? JSON.parse(output.result[0].payload);
  }
}
