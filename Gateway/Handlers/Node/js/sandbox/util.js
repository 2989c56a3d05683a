// util, runtime, extensions, console and the modules that handlers import (handlers.md §3.2 and §4).

(function (internal) {
  'use strict';

  const { Math, jsonOf, keysOf, isRecord, numberOf, parseJson, stringify, text, textOf } = internal;
  const { call, dynamodb, dynamodbModule, patterns, random, rds, rdsModule, time, transform } = internal;

  // Lowest log levels that keep a line (§7.3).
  const LEVEL_ERROR = 1;
  const LEVEL_INFO = 2;
  const LEVEL_DEBUG = 3;

  /** A text as it is, nothing as null, everything else as its JSON text (§7.1). */
  const textOrJson = (value) => (typeof value === 'string' ? value : value === undefined || value === null ? null : jsonOf(value));

  /** A copy that the handler cannot change afterwards, or null where a value has no JSON. */
  function jsonCopy(value) {
    if (value === undefined) return null;
    try {
      const json = stringify(value);
      return json === undefined ? null : parseJson(json);
    } catch (error) {
      if (error === call.signal) throw error;
      return null;
    }
  }

  const errorOf = (message, type, data, info) =>
    ({ message: textOrJson(message), type: textOrJson(type), data: jsonCopy(data), info: jsonCopy(info) });

  const control = {
    error: (message, type, data, info) => call.end({ kind: 'error', ...errorOf(message, type, data, info) }),
    unauthorized: () => call.end({ kind: 'unauthorized' }),
    appendError(message, type, data, info) {
      const error = errorOf(message, type, data, info);
      // By their length: they are kept until the call ends, and must not fill the worker's memory.
      call.charge(1 + jsonOf(error).length);
      call.getOutErrors().push(error);
      call.log('ERROR', LEVEL_ERROR, [error.message ?? 'null'], control.appendError);
    },
  };

  const util = {
    error: control.error,
    unauthorized: control.unauthorized,
    appendError: control.appendError,
    urlEncode: text.urlEncode,
    urlDecode: text.urlDecode,
    base64Encode: text.base64Encode,
    base64Decode: text.base64Decode,
    escapeJavaScript: text.escapeJavaScript,
    autoId: random.autoId,
    autoUlid: random.autoUlid,
    autoKsuid: random.autoKsuid,
    matches: (pattern, value) => patterns.matches(textOf(pattern, 'util.matches'), textOf(value, 'util.matches')),
    authType: () => call.getAuthType(),
    time,
    dynamodb,
    rds,
    http: {
      copyHeaders: text.copyHeaders,
      // They belong to GraphQL's responses; events have none (§4.5).
      addResponseHeader: () => undefined,
      addResponseHeaders: () => undefined,
    },
    xml: text.xml,
    transform,
    math: {
      // Adding 0 makes -0 a 0, as Java's integers have no other.
      roundNum: (value) => Math.round(numberOf(value, 'util.math.roundNum')) + 0,
      minVal: (a, b) => Math.min(numberOf(a, 'util.math.minVal'), numberOf(b, 'util.math.minVal')),
      maxVal: (a, b) => Math.max(numberOf(a, 'util.math.maxVal'), numberOf(b, 'util.math.maxVal')),
      randomDouble: random.randomDouble,
      randomWithinRange(from, to) {
        const low = Math.ceil(numberOf(from, 'util.math.randomWithinRange'));
        const high = Math.ceil(numberOf(to, 'util.math.randomWithinRange'));
        if (high < low) throw call.fault('util.math.randomWithinRange: the end of the range is below its start');
        return high === low ? low : low + Math.floor(random.randomDouble() * (high - low));
      },
    },
    str: { normalize: text.normalizeText },
  };

  const runtime = {
    // skipTo belongs to pipelines, of which event handlers have none.
    earlyReturn: (value) => call.end({ kind: 'return', value }),
  };

  const extensions = {};
  for (const name of ['evictFromApiCache', 'setSubscriptionFilter', 'setSubscriptionInvalidationFilter', 'invalidateSubscriptions']) {
    extensions[name] = () => {
      call.log('WARN', LEVEL_INFO, [`extensions.${name} has no effect in event handlers`], extensions[name]);
    };
  }

  const console = {
    log: (...values) => call.log('INFO', LEVEL_INFO, values, console.log),
    info: (...values) => call.log('INFO', LEVEL_INFO, values, console.info),
    warn: (...values) => call.log('WARN', LEVEL_INFO, values, console.warn),
    error: (...values) => call.log('ERROR', LEVEL_ERROR, values, console.error),
    debug: (...values) => call.log('DEBUG', LEVEL_DEBUG, values, console.debug),
  };

  // §5.8. Members that AWS adds to Bedrock's requests pass through.
  const bedrock = (operation, name) => (payload) => {
    if (!isRecord(payload)) throw call.fault(`${name} expects an object`);
    call.charge(keysOf(payload).length);
    return { operation, ...payload };
  };

  internal.globals = { util, runtime, extensions, console };
  internal.modules = {
    '@aws-appsync/utils': { util, runtime, extensions },
    '@aws-appsync/utils/dynamodb': dynamodbModule,
    '@aws-appsync/utils/rds': rdsModule,
    '@aws-appsync/utils/ai': { invokeModel: bedrock('InvokeModel', 'invokeModel'), converse: bedrock('Converse', 'converse') },
  };
  return internal;
})
