// The program of a worker process: compiles modules, keeps one context for each, and answers calls, one after the other.
//
// It is given to Node by --eval and reads everything else from its standard input, so it needs no file and, under Node's permission
// model, may open none. Nothing here waits: it reads, computes and writes, and so needs no event loop, and nothing that code leaves
// behind (promises, above all) ever gets a turn. The gateway keeps the time and kills a worker that takes too long.
//
// Frames, all numbers little-endian: length (4 bytes, of what follows), then
//   to the worker:   type (1), call (4), and by type
//     0 boot         JSON {limits, acorn, compiler, sandbox: [text, ...]}; the first frame, once -> empty, when ready for calls
//     1 compile      the module's source                             -> JSON, as compiler.js gives it
//     2 load         module (4), JSON {code, lineOffset, insertions} -> no answer; calls of a module that cannot be loaded fail
//     3 invoke       module (4), handler (1), phase (1), the input   -> JSON, as sandbox.js gives it
//     4 unload       module (4)                                      -> no answer
//   from the worker: call (4), the answer.
// Text is UTF-8. Answers to what was read at once leave at once, in one write, but for two things: answers of one module leave before
// another's code runs, and none waits long. So where a worker hangs, the gateway knows whose code it hangs in.
'use strict';

// `require` is the one thing taken from Node, before anything foreign is compiled.
(function (fs, vm) {
  const HANDLERS = ['onPublish', 'onSubscribe'];
  const PHASES = ['function', 'request', 'response'];
  const FILE = 'code.js';
  const READ_BYTES = 1 << 18;
  // Milliseconds that an answer may wait for others.
  const HOLD_MAX = 1;
  const CALLS_PER_SWEEP = 16;

  const modules = new Map();
  let boot;
  let compile;
  let replies = [];
  let lastSent = performance.now();
  let lastModule = 0;
  let calls = 0;

  function run(text, name) {
    return new vm.Script(text, { filename: name }).runInThisContext();
  }

  function start(json) {
    boot = JSON.parse(json);
    boot.scripts = boot.sandbox.map((text) => new vm.Script(text, { filename: 'sandbox.js' }));
  }

  function compileModule(source) {
    if (!compile) {
      // UMD: it fills `exports` where there is one, and would else look for a global object.
      const acorn = {};
      run(`(function (exports, module, define) {${boot.acorn}\n})`, 'acorn.js')(acorn, { exports: acorn }, undefined);
      ({ compile } = run(boot.compiler, 'compiler.js')(acorn));
    }
    return JSON.stringify(compile(source));
  }

  // A context of its own for each module: nothing is shared but the process. No object of this one enters it, only texts and what the
  // context itself made, so that no chain of constructors and prototypes leads out of it.
  function load(id, json) {
    const { code, lineOffset, insertions } = JSON.parse(json);
    const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
      codeGeneration: { strings: false, wasm: false },
      microtaskMode: 'afterEvaluate',
    });
    let step;
    for (const script of boot.scripts) step = script.runInContext(context)(step);
    // Ids must differ between contexts, so each has a seed of its own; ids of modules are never used twice.
    const random = boot.limits.random.slice(0, -8) + id.toString(16).padStart(8, '0');
    const sandbox = step(JSON.stringify({ ...boot.limits, random }));
    const factory = new vm.Script(code, { filename: FILE, lineOffset: -lineOffset }).runInContext(context);
    sandbox.load(factory, JSON.stringify(insertions));
    modules.set(id, sandbox.invoke);
  }

  function fault(message) {
    return JSON.stringify({ failure: { kind: 'fault', message }, log: [] });
  }

  function invoke(id, handler, phase, input) {
    const call = modules.get(id);
    if (typeof call !== 'function') return fault(call ?? 'The module is not loaded');
    try {
      const output = call(HANDLERS[handler], PHASES[phase], input);
      return typeof output === 'string' ? output : fault('The handler gave no answer');
    } catch {
      // What was thrown is not looked at: it may be anything, and looking could run its code.
      return fault('The handler failed');
    }
  }

  function reply(call, text) {
    const length = Buffer.byteLength(text);
    const frame = Buffer.allocUnsafe(8 + length);
    frame.writeUInt32LE(4 + length, 0);
    frame.writeUInt32LE(call, 4);
    frame.write(text, 8);
    replies.push(frame);
    if (performance.now() - lastSent > HOLD_MAX) send();
  }

  function send() {
    if (replies.length > 0) {
      const bytes = replies.length === 1 ? replies[0] : Buffer.concat(replies);
      replies = [];
      for (let sent = 0; sent < bytes.length; ) sent += fs.writeSync(1, bytes, sent);
    }
    lastSent = performance.now();
  }

  function handle(frame) {
    const type = frame[0];
    const call = frame.readUInt32LE(1);
    switch (type) {
      case 0:
        start(frame.toString('utf8', 5));
        reply(call, '');
        break;
      case 1:
        reply(call, compileModule(frame.toString('utf8', 5)));
        break;
      case 2: {
        const id = frame.readUInt32LE(5);
        try {
          load(id, frame.toString('utf8', 9));
        } catch (error) {
          modules.set(id, `The module could not be loaded: ${error?.message}`);
        }
        break;
      }
      case 3: {
        const id = frame.readUInt32LE(5);
        if (id !== lastModule) send();
        lastModule = id;
        // Node keeps each rejected promise for the turn of its event loop that never comes; this makes it let go of them.
        if (++calls % CALLS_PER_SWEEP === 0) process._tickCallback?.();
        reply(call, invoke(id, frame[9], frame[10], frame.toString('utf8', 11)));
        break;
      }
      case 4:
        modules.delete(frame.readUInt32LE(5));
        break;
    }
  }

  // A terminal sends its signals to the whole group, and the gateway still needs its workers while it drains. They end when it closes
  // their input.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  let input = Buffer.allocUnsafe(READ_BYTES);
  let length = 0;
  for (;;) {
    const read = fs.readSync(0, input, length, input.length - length, null);
    if (read === 0) return; // the gateway has gone
    length += read;
    let at = 0;
    while (length - at >= 4) {
      const size = input.readUInt32LE(at);
      if (length - at - 4 < size) {
        if (4 + size > input.length) {
          const larger = Buffer.allocUnsafe(4 + size);
          input.copy(larger, 0, at, length);
          input = larger;
          length -= at;
          at = 0;
        }
        break;
      }
      handle(input.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    input.copyWithin(0, at, length);
    length -= at;
    send();
  }
})(require('node:fs'), require('node:vm'));
