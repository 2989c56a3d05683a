// Powertools for AWS Lambda, unmodified: a function with its AppSync Events resolver is the handler of a namespace.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LambdaFunction } from './functions.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Connection, assertRefused, post } from './protocol.mjs';
import { settings } from './settings.mjs';

const template = fileURLToPath(new URL('./templates/powertools.yaml', import.meta.url));
const notProcessed = 'Unable to process request';

describe('A resolver of Powertools', { timeout: 60_000 }, () => {
  let events;
  let gateway;
  let url;
  let connection;
  before(async () => {
    events = await LambdaFunction.start('powertools.mjs');
    const args = ['--template', template, ...settings('Fanfare', { Lambda: { Functions: { events: events.url } } })];
    gateway = await Gateway.start({ args });
    url = gateway.url;
    connection = await Connection.connect(url, key());
  });
  after(async () => {
    connection?.close();
    await gateway?.stop();
    await events?.stop();
  });

  const key = () => ({ 'host': new URL(url).host, 'x-api-key': apiKey });
  const subscribe = (channel) => connection.subscribe(channel, key());
  const publish = (channel, texts, headers) => post(url, { 'x-api-key': apiKey, ...headers }, { channel, events: texts });

  /** What a publish shows: which events were taken, which failed and why. */
  const shown = ({ status, body }) => ({
    status,
    successful: body.successful?.map(({ index }) => index),
    failed: body.failed?.map(({ index, code, message }) => [index, code, message]),
  });
  const taken = (...successful) => ({ status: 200, successful, failed: [] });

  /** The events that a subscription got up to a marker, which the caller publishes last. */
  async function eventsUpTo(id, marker) {
    await connection.received(id, marker);
    return connection.events(id);
  }

  test('Its routes change events one by one, and what they throw fails one event', async () => {
    const { id } = await subscribe('/chat/one');
    const answer = await publish('/chat/one', ['{"text":" a "}', '{"n":1}', '{"text":"b","more":[1]}', '7']);
    assert.deepEqual(shown(answer), {
      status: 200,
      successful: [0, 2],
      failed: [[1, 'CustomError', 'TypeError - text is missing'], [3, 'CustomError', 'TypeError - text is missing']],
    });
    assert.deepEqual(await eventsUpTo(id, '{"text":"b","more":[1]}'), ['{"text":"a"}', '{"text":"b","more":[1]}']);
  });

  test('The most specific route runs, with headers and segments of the request', async () => {
    const { id } = await subscribe('/chat/*');
    assert.deepEqual(shown(await publish('/chat/rooms/seven', ['{"n":1}'], { 'X-User': 'ana' })), taken(0));
    await connection.received(id, '{"n":1,"room":"seven","by":"ana"}');

    // On a WebSocket, the members of the message's authorization are headers.
    const published = await connection.publish('/chat/rooms/eight', ['{"n":2}'], { ...key(), 'x-user': 'ben' });
    assert.equal(published.type, 'publish_success');
    await connection.received(id, '{"n":2,"room":"eight","by":"ben"}');
  });

  test('A route for all events together says what is broadcast', async () => {
    const { id } = await subscribe('/chat/batches');
    assert.deepEqual(shown(await publish('/chat/batches', ['1', '2', '3', '4'])), taken(0, 1, 2, 3));
    assert.deepEqual(shown(await publish('/chat/batches', ['1'])), taken(0));
    assert.deepEqual(shown(await publish('/chat/batches', ['6'])), taken(0));
    assert.deepEqual(await eventsUpTo(id, '60'), ['20', '40', '60']);
  });

  for (const [what, text, logged] of [
    ['An error in it', '"broken"', 'Error - the batch is broken'],
    ['UnauthorizedException in it', '"forbidden"', 'UnauthorizedException'],
  ]) {
    test(`${what} fails the whole publish, and its text stays in the log`, async () => {
      const { id } = await subscribe('/chat/batches');
      const posted = await publish('/chat/batches', ['2', text]);
      assert.deepEqual([posted.status, posted.errorType, posted.message], [502, 'DependencyFailedException', notProcessed]);
      const answer = await connection.publish('/chat/batches', ['2', text], key());
      assert.equal(assertRefused(answer, 'publish_error', 'HandlerExecutionError').message, notProcessed);
      await gateway.lines.until('the reason', (line) => line.includes(logged));
      await publish('/chat/batches', ['100']);
      assert.deepEqual(await eventsUpTo(id, '1000'), ['1000']);
    });
  }

  test('Subscribes are accepted, also by wildcard, and refused by what its routes throw', async () => {
    assert.equal((await subscribe('/chat/lobby')).type, 'subscribe_success');
    await events.lines.until('the call', (line) => line === 'subscribed /chat/lobby null');
    assert.equal((await subscribe('/chat/*')).type, 'subscribe_success');
    await events.lines.until('the call', (line) => line === 'subscribed /chat/* null');
    for (const channel of ['/chat/secret', '/chat/broken'])
      assert.equal(assertRefused(await subscribe(channel), 'subscribe_error', 'HandlerExecutionError').message, notProcessed);
    await gateway.lines.until('the reason', (line) => line.includes('Error - broken'));
    assert.equal((await subscribe('/chat/again')).type, 'subscribe_success', 'the connection goes on');
  });

  test('Invoked as EVENT it has no say, and events go out as they were published', async () => {
    const { type, id } = await subscribe('/audit/log');
    assert.equal(type, 'subscribe_success');
    assert.deepEqual(shown(await publish('/audit/log', ['{"a": 1.0}', '2'])), taken(0, 1));
    assert.deepEqual(await eventsUpTo(id, '2'), ['{"a": 1.0}', '2']);
    for (const operation of ['PUBLISH', 'SUBSCRIBE'])
      await events.lines.until(operation, (line) => line.includes('/audit/log') && line.includes(`"operation":"${operation}"`));
  });

  test('Every event it was called with is one that it understands', async () => {
    await events.invoke({}); // it says so of this one, after all earlier calls
    await events.lines.until('its complaint', (line) => line.includes('not compatible'));
    assert.equal(events.lines.entries.filter((line) => line.includes('not compatible')).length, 1);
    const calls = events.takeEvents().slice(0, -1);
    assert.ok(calls.length > 10);
    for (const { identity, request, info, events: items, ...rest } of calls) {
      assert.deepEqual(rest, { result: null, error: null, prev: null, stash: {}, outErrors: [] });
      assert.deepEqual([identity, request.domainName, info.channelNamespace.name], [null, null, info.channel.segments[0]]);
      assert.equal(items === null, info.operation === 'SUBSCRIBE');
    }
  });
});
