// Handlers with DynamoDB behind them, written with AWS's helpers, and dynalite for DynamoDB: what is published is kept, what is kept decides.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DynamoDB } from './dynamodb.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Connection, assertRefused, post } from './protocol.mjs';
import { settings } from './settings.mjs';

const template = fileURLToPath(new URL('./templates/dynamodb.yaml', import.meta.url));

describe('With tables behind its handlers', { timeout: 60_000 }, () => {
  let database;
  let gateway;
  let url;
  let connection;
  before(async () => {
    database = await DynamoDB.start();
    await database.createTable('messages', 'room', 'id');
    await database.createTable('members', 'room', 'user');
    await database.createTable('scores', 'player');
    const args = ['--template', template, ...settings('Fanfare', { DataSources: { DynamoDBEndpoint: database.url } })];
    gateway = await Gateway.start({ args });
    url = gateway.url;
    connection = await Connection.connect(url, as());
  });
  after(async () => {
    connection?.close();
    await gateway?.stop();
    await database?.stop();
  });

  const as = (user) => ({ 'host': new URL(url).host, 'x-api-key': apiKey, ...(user && { 'x-user': user }) });
  const publish = (channel, payloads, user = 'ana') =>
    post(url, { 'x-api-key': apiKey, 'x-user': user }, { channel, events: payloads.map((payload) => JSON.stringify(payload)) });
  const identifiers = ({ status, body }) => {
    assert.equal(status, 200, JSON.stringify(body));
    return body.successful.map(({ identifier }) => identifier);
  };

  /** Lets a user into a room. */
  const join = (room, user, more) => database.call('PutItem', { TableName: 'members', Item: { room: { S: room }, user: { S: user }, ...more } });

  async function subscribe(channel, user) {
    const answer = await connection.subscribe(channel, as(user));
    assert.equal(answer.type, 'subscribe_success', JSON.stringify(answer));
    return answer.id;
  }

  /** The next event of a subscription after the first `count`, parsed. */
  async function event(id, count = 0) {
    const isNext = (frame) => frame.id === id && frame.type === 'data' && connection.events(id).indexOf(frame.event) >= count;
    return JSON.parse((await connection.frames.until(`event ${count}`, isNext)).event);
  }

  test('A publish is kept before it goes out, and a subscribe is decided by what is kept', async () => {
    const room = `/chat/${randomUUID()}`;
    await join(room, 'ana');
    await join(room, 'ben', { isBanned: { BOOL: true } });
    const id = await subscribe(room, 'ana');
    for (const stranger of ['ben', 'cleo'])
      assertRefused(await connection.subscribe(room, as(stranger)), 'subscribe_error', 'Unauthorized');
    assertRefused(await connection.subscribe('/chat/*', as('ana')), 'subscribe_error', 'Unauthorized');

    // An empty text is no key: the table's refusal gives no item, and without one nobody gets in.
    assertRefused(await connection.subscribe(room, as()), 'subscribe_error', 'Unauthorized');

    const [first, second] = identifiers(await publish(room, [{ text: 'one', n: 1.5 }, { text: 'two', to: ['ben'] }]));
    const { at, ...event1 } = await event(id);
    assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(event1, { text: 'one', n: 1.5 });
    assert.deepEqual(await event(id, 1), { text: 'two', to: ['ben'], at });
    const kept = (await database.items('messages')).filter((item) => item.room.S === room);
    assert.deepEqual(Object.fromEntries(kept.map(({ id: key, room: _, ...item }) => [key.S, item])), {
      [first]: { text: { S: 'one' }, n: { N: '1.5' }, at: { S: at } },
      [second]: { text: { S: 'two' }, to: { L: [{ S: 'ben' }] }, at: { S: at } },
    });
  });

  test('What the table refuses is not broadcast', async () => {
    const room = `/chat/${randomUUID()}`;
    await join(room, 'ana');
    const id = await subscribe(room, 'ana');
    const refused = await publish(room, [{ text: 'good' }, { id: 7, text: 'a key that is no text' }]);
    assert.deepEqual([refused.status, refused.errorType], [403, 'DynamoDB:ValidationException']);
    assert.equal((await database.items('messages')).some((item) => item.room.S === room), false);
    identifiers(await publish(room, [{ text: 'marker' }]));
    assert.equal((await event(id)).text, 'marker');
  });

  test('A condition lets the first one through, and tells the others who that was', async () => {
    const seat = randomUUID();
    const id = await subscribe(`/seats/${seat}`);
    identifiers(await publish(`/seats/${seat}`, [1], 'ana'));
    const expected = { player: `/seats/${seat}`, owner: 'ana', points: 0, tags: ['new', { n: 1.5 }], nothing: null };
    assert.deepEqual(await event(id), expected);
    const { status, body } = await publish(`/seats/${seat}`, [1, 2], 'ben');
    assert.equal(status, 200);
    assert.deepEqual(body.failed.map(({ index, code, message }) => [index, code, message]), [
      [0, 'CustomError', 'taken by ana'],
      [1, 'CustomError', 'taken by ana'],
    ]);
    assert.equal(connection.events(id).length, 1);
  });

  test('An update counts, and what is broadcast is the new state', async () => {
    const seat = randomUUID();
    const id = await subscribe(`/scores/${seat}`);
    const missing = await publish(`/scores/${seat}`, [{ points: 1 }]);
    assert.deepEqual([missing.status, missing.errorType, missing.message], [403, 'DynamoDB:ConditionalCheckFailedException', 'no such player']);

    identifiers(await publish(`/seats/${seat}`, [1], 'ana'));
    identifiers(await publish(`/scores/${seat}`, [{ points: 4 }]));
    identifiers(await publish(`/scores/${seat}`, [{ points: 7 }]));
    const over = await publish(`/scores/${seat}`, [{ points: 1 }]);
    assert.deepEqual([over.status, over.errorType, over.message], [403, 'DynamoDB:ConditionalCheckFailedException', 'the game is over']);
    const state = { player: `/seats/${seat}`, owner: 'ana' };
    assert.deepEqual(await event(id), { ...state, points: 4, tags: ['new', { n: 1.5 }, 'seen'] });
    assert.deepEqual(await event(id, 1), { ...state, points: 11, tags: ['new', { n: 1.5 }, 'seen', 'seen'] });
    assert.equal(connection.events(id).length, 2);
  });

  test('A query answers page by page', async () => {
    const name = randomUUID();
    identifiers(await publish(`/chat/${name}`, ['one', 'two', 'three', 'four', 'five'].map((text) => ({ text }))));
    const id = await subscribe(`/history/${name}`);

    let nextToken;
    const texts = [];
    for (let page = 0; page < 3; page++) {
      identifiers(await publish(`/history/${name}`, [{ limit: 2, nextToken }]));
      const { items, nextToken: next, scannedCount } = await event(id, page);
      assert.equal(scannedCount, page < 2 ? 2 : 1);
      assert.equal(next === null, page === 2, 'there is a token but on the last page');
      nextToken = next;
      texts.push(...items.map((item) => (assert.deepEqual(Object.keys(item), ['text']), item.text)));
    }
    assert.deepEqual(texts.toSorted(), ['four', 'one', 'two']);
  });

  test('While the database is away, publishes fail with a type, and nobody gets in', async () => {
    const away = await DynamoDB.start();
    const lonely = await Gateway.start({
      args: ['--template', template, ...settings('Fanfare', { DataSources: { DynamoDBEndpoint: away.url } })],
    });
    try {
      await away.stop();
      const failed = await post(lonely.url, { 'x-api-key': apiKey }, { channel: '/chat/room', events: ['{}'] });
      assert.equal(failed.status, 403);
      assert.match(failed.errorType, /^DynamoDB:/);
      const authorization = { 'host': new URL(lonely.url).host, 'x-api-key': apiKey };
      const other = await Connection.connect(lonely.url, authorization);
      assertRefused(await other.subscribe('/chat/room', authorization), 'subscribe_error', 'Unauthorized');
      other.close();
    } finally {
      await lonely.stop();
    }
  });
});
