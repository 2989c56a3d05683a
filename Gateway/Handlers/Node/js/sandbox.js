// What runs inside of each vm context: AppSync's runtime as handlers see it, and the way in and out of it, two functions that take and
// give texts. No object of Node's or of the worker's comes in here.
//
// The sandbox is a list of scripts, in this order:
//
//   sandbox/primordials.js  what is needed of JavaScript, before handlers lose it
//   sandbox/call.js         the call in progress: budget, ending, log, positions
//   sandbox/arguments.js    what functions of util accept
//   sandbox/random.js       ids
//   sandbox/text.js         encodings, XML, headers
//   sandbox/patterns.js     Java regular expressions
//   sandbox/time.js         util.time
//   sandbox/dynamodb.js     util.dynamodb, util.transform and the dynamodb module
//   sandbox/rds.js          the rds module
//   sandbox/util.js         util, runtime, extensions, console and the modules
//   sandbox/hardening.js    takes globals away and freezes the rest
//   sandbox.js              this file
//
// Each script's completion value is a function. The first is called with nothing, each other with what the one before returned; this one
// returns boot:
//
//   let value;
//   for (const script of scripts) value = script.runInContext(context)(value);
//   const { load, invoke } = value(limitsJson);
//
// What the sandbox cannot do by itself, and leaves to the worker and the compiler:
//
//   - A context belongs to one module. After its first call nothing more is evaluated in it, since every evaluation runs the jobs of promises
//     that handlers left behind, at nobody's expense. Calls leave those jobs alone (microtaskMode: 'afterEvaluate').
//   - import() does not get here: its promise is rejected with an error of Node's own, whose constructor's constructor is a way out.
//   - Promises that handlers reject are reported to the process, which ignores them (--unhandled-rejections=none).
//   - A deadline: built-ins that run long, such as a catastrophic pattern, count no iterations.
//
// A module that the compiler made is loaded once and evaluated afresh in every call, so nothing of one call is seen by the next. For a
// publish of one event that is passed through:
//
//   load(factory, '[]');
//   invoke('onPublish', 'function', '{"events":[["e1","{\\"n\\":1}"]],"info":{...},...}')
//     === '{"result":[{"id":"e1","same":true}],"log":[]}'

(function (internal) {
  'use strict';

  const { Object, call, isArray, isRecord, jsonOf, modules, parseJson, stringify } = internal;
  const { fault, signal, tick } = call;

  const FAULT_LENGTH_MAX = 4000;

  let resultBytesMax = 0;
  let factory = null;

  /**
   * Loads a compiled module in place of the one before.
   * @param {function} compiled takes the importable modules and the budget's tick, returns {onPublish, onSubscribe}
   * @param {string} insertionsJson what the compiler inserted, `[[line, column, length], ...]` in transformed positions, for positions in logs
   */
  function load(compiled, insertionsJson) {
    factory = compiled;
    call.setInsertions(parseJson(insertionsJson ?? '[]'));
  }

  /** One entry of onPublish's result as the gateway reads it (§1.4); empty for entries that are skipped. */
  function itemText(item, incoming) {
    if (item === null || item === undefined) return '';
    if (typeof item !== 'object') throw fault('onPublish must return a list of objects');
    // Each member is read once: it may be a getter.
    const { id, error } = item;
    if (typeof id !== 'string') throw fault('onPublish returned an event without an id');
    const idText = stringify(id);
    if (error !== null && error !== undefined) {
      return `{"id":${idText},"error":${stringify(typeof error === 'string' ? error : jsonOf(error))}}`;
    }
    const value = item.payload;
    const payload = jsonOf(value);
    for (let i = 0; i < incoming.length; i++) {
      if (incoming[i][0] !== id) continue;
      const text = incoming[i][1];
      // An event that the handler left alone keeps its bytes, even where they are not how JSON.stringify writes it. A value that is not
      // the one that the handler was given was not left alone, so that most changed events are spared the second look.
      if (payload === text || (value === incoming[i][2] && payload === stringify(parseJson(text)))) return `{"id":${idText},"same":true}`;
      break;
    }
    return `{"id":${idText},"payload":${stringify(payload)}}`;
  }

  function resultText(handler, value, incoming) {
    // A code handler's answer to a subscribe is that it came to its end (§1.5).
    if (handler === 'onSubscribe' || value === null || value === undefined) return 'null';
    if (!isArray(value)) throw fault('onPublish must return a list of events, or null');
    let text = '';
    for (let i = 0; i < value.length; i++) {
      // A list may be long and empty.
      tick();
      const item = itemText(value[i], incoming ?? []);
      if (item !== '') text += text === '' ? item : `,${item}`;
      if (text.length > resultBytesMax) break;
    }
    return `[${text}]`;
  }

  function checkSize(text) {
    if (text.length > resultBytesMax || (text.length * 3 > resultBytesMax && call.utf8Length(text) > resultBytesMax)) {
      throw fault(`The handler's result is larger than ${resultBytesMax} bytes`);
    }
    return text;
  }

  /** What a fault is called in the log (§7.2). Reading it may run the handler's code once more, at the budget's expense. */
  function faultText(error) {
    try {
      if (!isRecord(error)) return `code.js: ${call.logText(error)}`.slice(0, FAULT_LENGTH_MAX);
      const { message, stack } = error;
      const text = typeof message === 'string' ? message : call.logText(error);
      // The frames begin behind the message, which may look like a frame.
      const frames = typeof stack === 'string' ? stack.slice(stack.indexOf(text) + text.length) : '';
      return `${call.positionIn(frames)}: ${text}`.slice(0, FAULT_LENGTH_MAX);
    } catch {
      return 'code.js: the handler failed';
    }
  }

  /** Runs the handler, and gives the output's members but for the log. */
  function run(handler, phase, data) {
    const ctx = {
      identity: data.identity ?? null,
      result: data.result ?? null,
      request: data.request,
      info: data.info,
      error: data.error ?? null,
      prev: null,
      stash: data.stash ?? {},
      outErrors: call.getOutErrors(),
      events: null,
      env: {},
    };
    const incoming = data.events ?? null;
    if (incoming !== null) {
      const events = [];
      for (let i = 0; i < incoming.length; i++) {
        const payload = parseJson(incoming[i][1]);
        incoming[i].push(payload);
        events.push({ id: incoming[i][0], payload });
      }
      ctx.events = events;
    }

    let value;
    let isEarly = false;
    try {
      const exported = factory(modules, tick)[handler];
      const handle = phase === 'function' ? exported : exported?.[phase];
      if (typeof handle !== 'function') throw fault(`${handler}${phase === 'function' ? '' : `.${phase}`} is not a function`);
      value = handle(ctx);
    } catch (error) {
      if (call.getEnding() === null) throw error;
    }
    const ending = call.getEnding();
    if (ending !== null) {
      // Also where the handler caught the signal and went on to return something.
      if (ending.kind !== 'return') throw signal;
      isEarly = true;
      value = ending.value;
      // Writing the value may run its toJSON.
      call.resume();
    }

    if (phase === 'request' && !isEarly) {
      return checkSize(`"request":${jsonOf(value)},"stash":${jsonOf(ctx.stash)},"outErrors":${jsonOf(call.getOutErrors())}`);
    }
    return checkSize(`"result":${resultText(handler, value, incoming)}${isEarly ? ',"early":true' : ''}`);
  }

  /**
   * Runs one call of the module that is loaded. Does not throw.
   * @param {'onPublish'|'onSubscribe'} handler
   * @param {'function'|'request'|'response'} phase `function` where the export is one, else the method of it to call
   * @param {string} input the call as JSON: identity, request, info, authType, logLevel, events, stash, outErrors, result, error
   * @returns {string} as JSON: result, or request with stash and outErrors, or failure; always with log
   */
  function invoke(handler, phase, input) {
    let output;
    try {
      const data = parseJson(input);
      call.begin(data.logLevel, data.authType ?? null, data.outErrors);
      output = run(handler, phase, data);
    } catch (error) {
      const ending = call.getEnding();
      const failure = ending === null || ending.kind === 'return' || ending.kind === 'finished'
        ? { kind: 'fault', message: faultText(error) } : ending;
      output = `"failure":${stringify(failure)}`;
      if (output.length > resultBytesMax) {
        output = `"failure":${stringify({ kind: 'fault', message: `code.js: The handler's error is larger than ${resultBytesMax} bytes` })}`;
      }
    }
    const log = call.getLog();
    call.finish();
    return `{${output},"log":${log === null || log.length === 0 ? '[]' : stringify(log)}}`;
  }

  /**
   * Takes the context over.
   * @param {string} limitsJson `{"iterationsMax", "logBytesMax", "resultBytesMax", "random"}`: iterations of a call, bytes of a call's log,
   * bytes of its result, and 64 hexadecimal digits that this context's ids are derived from
   */
  return function boot(limitsJson) {
    const limits = parseJson(limitsJson);
    resultBytesMax = limits.resultBytesMax;
    call.setLimits(limits);
    internal.random.seed(limits.random);
    internal.harden();
    return Object.freeze({ load, invoke });
  };
})
