// A client in another language and of another WebSocket library: python/client.py, on Debian's websocket-client.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFile, execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Gateway, apiKey } from './gateway.mjs';

const python = '/usr/bin/python3';
const program = fileURLToPath(new URL('./python/client.py', import.meta.url));

function missing() {
  try {
    execFileSync(python, ['-c', 'import websocket; websocket.create_connection'], { stdio: 'pipe' });
    return false;
  } catch {
    return `${python} with websocket-client (package python3-websocket) is not installed`;
  }
}

const skip = missing();

// A skipped suite counts for nothing, a skipped test is counted.
if (skip) test('In Python', { skip });
else describe('In Python', { timeout: 60_000 }, () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start();
  });
  after(() => gateway?.stop());

  test('websocket-client connects, subscribes, publishes and receives, and urllib publishes', async () => {
    const channel = `/default/${randomUUID()}/room`;
    const run = promisify(execFile)(python, [program, gateway.url, apiKey, channel], { timeout: 50_000 });
    const { stdout } = await run;
    const steps = stdout.trim().split('\n').map((line) => JSON.parse(line));
    const next = (step) => {
      const entry = steps.shift();
      assert.equal(entry?.step, step, `unexpected ${JSON.stringify(entry)}`);
      return entry;
    };
    const nextFrame = () => next('frame').frame;
    // Which of two subscriptions gets an event first is not promised; the order within each is.
    const nextEvents = () => {
      const texts = {};
      for (const { type, id, event } of next('events').frames) {
        assert.equal(type, 'data');
        (texts[id] ??= []).push(event);
      }
      return texts;
    };

    assert.equal(next('connected').subprotocol, 'aws-appsync-event-ws');
    assert.deepEqual(nextFrame(), { type: 'connection_ack', connectionTimeoutMs: 300_000 });
    assert.deepEqual(nextFrame(), { type: 'ka' });
    assert.deepEqual(nextFrame(), { type: 'subscribe_success', id: 'exact' });
    assert.deepEqual(nextFrame(), { type: 'subscribe_success', id: 'wildcard' });

    const published = nextFrame();
    assert.equal(published.type, 'publish_success');
    assert.equal(published.id, 'batch');
    assert.deepEqual(published.successful.map(({ index }) => index), [0, 1]);
    // Byte for byte what Python wrote, spaces and escapes included.
    const batch = ['{"n": 1, "text": "\\u00e9"}', '{"n": 2, "text": "\\u00e9"}'];
    assert.deepEqual(nextEvents(), { exact: batch, wildcard: batch });

    const posted = next('http');
    assert.equal(posted.status, 200);
    assert.deepEqual(posted.body.failed, []);
    assert.equal(posted.body.successful.length, 1);
    assert.deepEqual(nextEvents(), { exact: ['42'], wildcard: ['42'] });

    const refused = next('http');
    assert.deepEqual([refused.status, refused.type], [401, 'UnauthorizedException']);
    assert.equal(refused.body.errors[0].errorType, 'UnauthorizedException');
    assert.deepEqual(nextFrame(), {
      type: 'unsubscribe_error',
      id: 'nope',
      errors: [{ errorType: 'UnknownOperationError', message: 'Unknown operation id nope' }],
    });
    const duplicate = nextFrame();
    assert.deepEqual([duplicate.type, duplicate.id], ['subscribe_error', 'exact']);
    assert.equal(duplicate.errors[0].errorType, 'DuplicatedOperationError');
    assert.deepEqual(nextFrame(), {
      type: 'error',
      id: 'song',
      errors: [{ errorType: 'UnsupportedOperation', message: 'Operation not supported through the realtime channel' }],
    });

    assert.deepEqual(nextFrame(), { type: 'unsubscribe_success', id: 'exact' });
    assert.deepEqual(nextEvents(), { wildcard: ['"last"'] });

    const rejection = nextFrame();
    assert.equal(rejection.type, 'connection_error');
    assert.equal(rejection.errors[0].errorType, 'UnauthorizedException');
    assert.equal(rejection.errors[0].errorCode, 401);
    assert.equal(next('closed').code, 1000);
    assert.deepEqual(steps, []);
  });
});
