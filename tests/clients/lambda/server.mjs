// A server that speaks the Lambda Invoke API for one handler file, written as users write them (exports.handler or export const handler).
//   node server.mjs HANDLER_FILE [PORT]
// Prints "listening on http://127.0.0.1:PORT". Any function name is answered. Ends when its standard input does.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const INVOKE_PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;
const BYTES_MAX = 6 * 1024 * 1024;

const [file, port = '0'] = process.argv.slice(2);
if (!file) {
  console.error('usage: node server.mjs HANDLER_FILE [PORT]');
  process.exit(2);
}

const loaded = await import(pathToFileURL(resolve(file)));
const handler = loaded.handler ?? loaded.default?.handler;

const server = createServer(async (request, response) => {
  const requestId = randomUUID();
  response.setHeader('x-amzn-RequestId', requestId);
  const name = INVOKE_PATH.exec(new URL(request.url, 'http://localhost').pathname)?.[1];
  if (request.method !== 'POST' || !name) return refuse(response, 404, 'ResourceNotFoundException', 'Not an invoke address');

  let event;
  try {
    event = JSON.parse((await read(request)) || 'null');
  } catch (error) {
    return error instanceof RangeError
      ? refuse(response, 413, 'RequestTooLargeException', error.message)
      : refuse(response, 400, 'InvalidRequestContentException', 'Could not parse request body into json');
  }

  const invocation = invoke(event, context(decodeURIComponent(name), requestId));
  if (request.headers['x-amz-invocation-type'] === 'Event') {
    invocation.catch(() => {});
    return response.writeHead(202).end();
  }

  try {
    send(response, 200, (await invocation) ?? null);
  } catch (error) {
    response.setHeader('X-Amz-Function-Error', 'Unhandled');
    send(response, 200, {
      errorType: error?.name ?? 'Error',
      errorMessage: String(error?.message ?? error),
      trace: String(error?.stack ?? '').split('\n'),
    });
  }
});

// A handler returns a promise, or takes a callback as older ones do.
function invoke(event, context) {
  return new Promise((resolve, reject) => {
    const result = handler(event, context, (error, value) => (error ? reject(error) : resolve(value)));
    if (handler.length < 3 || typeof result?.then === 'function') resolve(result);
  });
}

function context(name, awsRequestId) {
  return { functionName: name.split(':').at(-1), invokedFunctionArn: name, awsRequestId, getRemainingTimeInMillis: () => 3000 };
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > BYTES_MAX) throw new RangeError(`Request must be smaller than ${BYTES_MAX} bytes`);
    chunks.push(chunk);
  }

  return Buffer.concat(chunks).toString();
}

function send(response, status, value) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response, status, type, message) {
  response.setHeader('x-amzn-ErrorType', type);
  send(response, status, { Type: 'User', Message: message });
}

server.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on('end', () => process.exit(0));
