// The call in progress: its budget, how it ends, its log. A context runs one call at a time, so this state is the context's.
//
// Three things end a handler early: util.error and util.unauthorized, runtime.earlyReturn, and the budget. Each writes down the ending
// and throws the same frozen signal. Code that AWS would refuse may catch it (try/catch is only warned about unless the gateway is
// strict); that changes nothing, because every later tick throws it again and the first ending that was written down stands.

(function (internal) {
  'use strict';

  const { Error, RegExp, String, isArray, matchOf, stringify, testOf } = internal;
  const { captureStackTrace } = Error;

  // Enough to see the handler's line from the sandbox's deepest recursion, over a value or pattern as nested as it takes them.
  const STACK_FRAMES_MAX = 256;
  const LOG_CUT = 'More log lines were cut: the limit of a request is reached.';
  // What a line costs beside its text: level and position, so that empty lines cannot add up either.
  const LOG_LINE_OVERHEAD_BYTES = 40;

  const signal = Object.freeze({ __proto__: null });
  const framePattern = new RegExp('^ +at (?:.*\\()?code\\.js:(\\d+):(\\d+)\\)?$', 'm');
  const asciiPattern = new RegExp('^[\\0-\\x7f]*$');

  let iterationsMax = 0;
  let logBytesMax = 0;
  let insertionsByLine = { __proto__: null };

  let ticksLeft = -1;
  let ticksKept = -1;
  let ending = null;
  let logLevel = 0;
  let logLines = null;
  let logBytesLeft = 0;
  let authType = null;
  let outErrors = null;

  /** Ends the call with a fault because its iterations are used up, or repeats the ending that it has. */
  function refuse() {
    // Also reached after the call, by code that a promise left behind.
    ticksLeft = -1;
    ending ??= { kind: 'fault', message: `${here(refuse)}: the handler used up its ${iterationsMax} iterations` };
    throw signal;
  }

  /** Counts one iteration. The compiler puts a call at the start of every loop body and function body. */
  function tick() {
    if (--ticksLeft < 0) refuse();
  }

  /** Counts work that the sandbox does on a handler's data, in iterations. */
  function charge(iterations) {
    ticksLeft -= iterations;
    if (ticksLeft < 0) refuse();
  }

  /** Ends the call: the handler gets no further than its next tick, whatever it catches. */
  function end(how) {
    if (ending === null) {
      ending = how;
      ticksKept = ticksLeft;
    }
    ticksLeft = -1;
    throw signal;
  }

  /** An error of the handler's own making, in the words of handlers.md where it records them. */
  const fault = (message) => new Error(message);

  /**
   * Finds where the handler stood, in the module as its author wrote it.
   * @param {string} stack the stack of an error, of a script compiled under the name code.js
   * @returns {string} `code.js:LINE:COLUMN`, both from 1, or `code.js` where the stack shows no line of the module
   */
  function positionIn(stack) {
    const frame = matchOf(framePattern, stack);
    if (frame === null) return 'code.js';
    const line = +frame[1];
    const column = +frame[2];
    let inserted = 0;
    const insertions = insertionsByLine[line];
    if (insertions !== undefined) {
      for (let i = 0; i < insertions.length && insertions[i][0] < column; i++) {
        // A position inside of an insertion is the place where it was made.
        inserted += Math.min(insertions[i][1], column - insertions[i][0]);
      }
    }
    return `code.js:${line}:${column - inserted}`;
  }

  /** Where the handler called the given function of the sandbox. */
  function here(above) {
    const holder = { stack: '' };
    captureStackTrace(holder, above);
    return positionIn(String(holder.stack));
  }

  /** How many bytes a text takes in UTF-8. */
  function utf8Length(text) {
    if (testOf(asciiPattern, text)) return text.length;
    let bytes = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      // Half of a pair takes two of the pair's four bytes; an unpaired one is written as U+FFFD, three bytes, rounded down here.
      if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
    }
    return bytes;
  }

  /** The longest start of a text that takes no more than so many bytes in UTF-8. */
  function cutToUtf8(text, bytesMax) {
    let bytes = 0;
    let i = 0;
    for (; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
      if (bytes > bytesMax) break;
    }
    return text.slice(0, i);
  }

  /** One argument of console.log (§7.3): a string as it is, everything else as JSON, or as a word where JSON has none. */
  function logText(value) {
    switch (typeof value) {
      case 'string': return value;
      case 'object': {
        if (value === null) return 'null';
        let text;
        try {
          text = stringify(value);
        } catch (error) {
          if (error === signal) throw error;
          return '[not JSON]';
        }
        return text === undefined ? 'undefined' : text;
      }
      case 'function': return '[function]';
      // Numbers too: JSON has no NaN, and would show null.
      default: return String(value);
    }
  }

  /**
   * Adds a line to the log, if the API's level keeps it.
   * @param {string} label INFO, ERROR, WARN or DEBUG
   * @param {number} level the lowest log level that keeps the line
   * @param {Array} values what the handler passed
   * @param {Function} above the function that the handler called, for the line's position
   */
  function log(label, level, values, above) {
    if (logLevel < level || logBytesLeft < 0) return;
    let text = '';
    for (let i = 0; i < values.length; i++) text += i === 0 ? logText(values[i]) : ` ${logText(values[i])}`;
    const position = here(above);
    logBytesLeft -= LOG_LINE_OVERHEAD_BYTES;
    const bytes = utf8Length(text);
    if (bytes <= logBytesLeft) {
      logBytesLeft -= bytes;
      logLines.push([label, position, text]);
      return;
    }
    if (logBytesLeft > 0) logLines.push([label, position, cutToUtf8(text, logBytesLeft)]);
    logLines.push(['WARN', position, LOG_CUT]);
    logBytesLeft = -1;
  }

  internal.STACK_FRAMES_MAX = STACK_FRAMES_MAX;
  internal.call = {
    __proto__: null,
    signal,
    tick,
    charge,
    end,
    fault,
    positionIn,
    utf8Length,
    logText,
    log,

    setLimits(limits) {
      iterationsMax = limits.iterationsMax;
      logBytesMax = limits.logBytesMax;
    },

    /** Takes over what the compiler inserted: `[[line, column, length], ...]`, in transformed positions, sorted. */
    setInsertions(insertions) {
      insertionsByLine = { __proto__: null };
      for (let i = 0; i < insertions.length; i++) {
        const [line, column, length] = insertions[i];
        (insertionsByLine[line] ??= []).push([column, length]);
      }
    },

    begin(level, caller, errors) {
      ticksLeft = iterationsMax;
      ending = null;
      logLevel = level;
      logLines = [];
      logBytesLeft = logBytesMax;
      authType = caller;
      outErrors = isArray(errors) ? errors : [];
    },

    /** Ends the call for good. Nothing that it left behind, such as a promise's continuation, runs past its next tick. */
    finish() {
      ticksLeft = -1;
      ending = { kind: 'finished' };
      logLevel = 0;
      logLines = null;
      outErrors = null;
    },

    /** Goes on after runtime.earlyReturn, with the iterations that were left. */
    resume() {
      ending = null;
      ticksLeft = ticksKept;
    },

    /** How the call was ended, or null while it was not. */
    getEnding: () => ending,
    getLog: () => logLines,
    getOutErrors: () => outErrors,
    getAuthType: () => authType,
  };

  return internal;
})
