// The scenarios of ../amplify.test.mjs, each run in a process of its own:
//   node scenarios.mjs NAME
// with the address of a running gateway in FANFARE_URL. A scenario that fails ends its process with the reason.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as elapsed } from 'node:timers/promises';
import { Gateway, apiKey, wrongKey } from '../gateway.mjs';
import { within } from '../waiting.mjs';
import { startProxy } from './proxy.mjs';

const [name] = process.argv.slice(2);
const url = process.env.FANFARE_URL;

// For `clock-ahead`: how far Date.now runs ahead. Zero while Amplify is being imported.
let clockAhead = 0;
const realNow = Date.now;
Date.now = () => realNow() + clockAhead;

const { configure, events, faults, observe, sockets, states, subscribe } = await import('./client.mjs');

/** A channel below `default` that no other scenario uses. */
const ownChannel = () => `default/${randomUUID()}`;

const theOnlySocket = () => {
  assert.equal(sockets.entries.length, 1, 'Amplify should have opened one socket.');
  return sockets.entries[0];
};

/** Two subscriptions resume, with their ids, when the process of their gateway has ended and another has taken its place. */
async function resumesAfter(end, closeCode) {
  let gateway = await Gateway.start();
  const proxy = await startProxy(gateway.port); // so that both have one address, at no risk of losing the port in between
  configure(proxy.url, apiKey);
  const base = ownChannel();
  const room = await events.connect(`${base}/room`);
  const all = await events.connect(`${base}/*`);
  const exact = await subscribe(room);
  const wildcard = await subscribe(all);
  await room.publish('before');
  assert.equal(await exact.received.next(), 'before');
  assert.equal(await wildcard.received.next(), 'before');

  await end(gateway);
  assert.equal(await within(5_000, 'Amplify sees the end of the connection', theOnlySocket().closed), closeCode);
  await assert.rejects(room.publish('into the void'), { message: 'Subscription has not been initialized' });
  gateway = await Gateway.start();
  proxy.target = gateway.port;

  // If the new process was slow, the sockets of a few attempts lie between: the one that opens is what counts.
  await states.until('connected again', (state) => state === 'Connected', {
    from: states.entries.indexOf('ConnectionDisrupted'),
    deadline: 30_000,
  });
  const socket = sockets.entries.at(-1);
  assert.deepEqual((await socket.subscribedIds(2, 10_000)).toSorted(), [exact.id, wildcard.id].toSorted());
  for (const id of [exact.id, wildcard.id]) {
    await socket.received.until(
      `subscribe_success for ${id}`,
      (frame) => frame.type === 'subscribe_success' && frame.id === id,
    );
  }
  await room.publish('after');
  assert.equal(await exact.received.next(), 'after');
  assert.equal(await wildcard.received.next(), 'after');
  await events.post(`${base}/room`, 'and over HTTP');
  assert.equal(await exact.received.next(), 'and over HTTP');
  assert.equal(await wildcard.received.next(), 'and over HTTP');
  assert.deepEqual(exact.errors.entries.concat(wildcard.errors.entries), []);
  await gateway.stop();
}

const scenarios = {
  async 'round-trip'() {
    configure(url, apiKey);
    const base = ownChannel();
    const room = await events.connect(`${base}/room`);
    const all = await events.connect(`/${base}/*`);
    const exact = await subscribe(room);
    const wildcard = await subscribe(all);

    assert.equal(await room.publish({ text: 'over the WebSocket' }), undefined);
    assert.deepEqual(await exact.received.next(), { text: 'over the WebSocket' });
    assert.deepEqual(await wildcard.received.next(), { text: 'over the WebSocket' });

    assert.equal(await events.post(`${base}/room`, { text: 'over HTTP' }), undefined);
    assert.deepEqual(await exact.received.next(), { text: 'over HTTP' });
    assert.deepEqual(await wildcard.received.next(), { text: 'over HTTP' });

    // The wildcard reaches deeper and sideways; the exact subscription does not, as the batch after it shows.
    await events.post(`/${base}/hall/left`, 'deeper');
    assert.equal(await wildcard.received.next(), 'deeper');

    await room.publish([{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual(await exact.received.take(3), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.deepEqual(await wildcard.received.take(3), [{ n: 1 }, { n: 2 }, { n: 3 }]);

    assert.equal(await events.post(`${base}/room`, [{ n: 4 }, { n: 5 }, { n: 6 }]), undefined);
    assert.deepEqual(await exact.received.take(3), [{ n: 4 }, { n: 5 }, { n: 6 }]);
    assert.deepEqual(await wildcard.received.take(3), [{ n: 4 }, { n: 5 }, { n: 6 }]);

    const socket = theOnlySocket();
    assert.equal(socket.protocol, 'aws-appsync-event-ws');
    await room.close();
    await all.close();
    for (const id of [exact.id, wildcard.id]) {
      await socket.received.until(
        'the answer to unsubscribe',
        (frame) => frame.type === 'unsubscribe_success' && frame.id === id,
      );
    }
    assert.equal(await within(5_000, 'the socket is closed after the last channel', socket.closed), 1000);
    assert.deepEqual(exact.errors.entries.concat(wildcard.errors.entries), []);
  },

  async 'value-kinds'() {
    configure(url, apiKey);
    const values = [
      { nested: { list: [1, [2, { three: null }]], empty: {} } },
      [],
      [[], {}, 'text', 0],
      'text',
      '',
      'é 漢字 🎺 \u2028 \u0000 <b>&amp;</b> / \\ " \' \n\t',
      0,
      -1.5e-7,
      9007199254740991,
      1e300,
      true,
      false,
      null,
    ];
    const name = ownChannel();
    const channel = await events.connect(name);
    const { received } = await subscribe(channel);
    for (const value of values) {
      await channel.publish([value]); // in a batch of one, since an array alone would be a batch itself
      assert.deepEqual(await received.next(`${JSON.stringify(value)} over the WebSocket`), value);
      assert.equal(await events.post(name, [value]), undefined);
      assert.deepEqual(await received.next(`${JSON.stringify(value)} over HTTP`), value);
    }
  },

  async 'wrong-key-at-connect'() {
    configure(url, apiKey);
    const started = performance.now();
    await assert.rejects(events.connect(ownChannel(), { apiKey: wrongKey }), { message: 'UnauthorizedException' });
    const milliseconds = performance.now() - started;
    assert.ok(milliseconds < 1_000, `It took ${milliseconds} ms to reject.`);

    // Either end may be first to close: the gateway normally, or Amplify with 3001.
    const code = await within(5_000, 'the socket is closed', theOnlySocket().closed);
    assert.ok([1000, 1005, 3001].includes(code), `closed with ${code}`);
    const [error, ...others] = theOnlySocket().received.entries;
    assert.equal(error.type, 'connection_error');
    assert.equal(error.errors[0].errorType, 'UnauthorizedException');
    assert.equal(error.errors[0].errorCode, 401);
    assert.deepEqual(others, []);

    // The process can still connect with the right key.
    const channel = await events.connect(ownChannel());
    const { received } = await subscribe(channel);
    await channel.publish('now with the right key');
    assert.equal(await received.next(), 'now with the right key');
  },

  async 'wrong-key-at-subscribe'() {
    configure(url, apiKey);
    const channel = await events.connect(ownChannel());
    const refused = observe(channel, { apiKey: wrongKey });
    await assert.rejects(refused.subscription.ready, /UnauthorizedException/);
    const { errors } = await refused.errors.next();
    assert.match(errors[0].message, /^Connection failed: UnauthorizedException: /);

    const { received } = await subscribe(channel);
    await channel.publish('still usable');
    assert.equal(await received.next(), 'still usable');

    await assert.rejects(channel.publish('forged', { apiKey: wrongKey }), { message: /UnauthorizedException/ });
    await assert.rejects(events.post('default/any', 'forged', { apiKey: wrongKey }), { name: 'UnauthorizedException' });
    await channel.publish('and still');
    assert.equal(await received.next(), 'and still');
    assert.deepEqual(refused.received.entries, []);
    assert.equal(theOnlySocket().readyState, WebSocket.OPEN);
  },

  async 'unknown-namespace'() {
    configure(url, apiKey);
    const channel = await events.connect('nowhere/room'); // connecting asks for nothing of the channel yet
    await assert.rejects(observe(channel).subscription.ready, /UnauthorizedException/);
    await assert.rejects(channel.publish(1), { message: 'Publish errors: UnauthorizedException' });
    await assert.rejects(events.post('nowhere/room', 1), { name: 'UnauthorizedException' });

    const misspelt = await events.connect('default/a_b');
    await assert.rejects(observe(misspelt).subscription.ready, /BadRequestException: Invalid Channel Format/);
    await assert.rejects(misspelt.publish(1), { message: 'Publish errors: BadRequestException' });
    await assert.rejects(events.post('default/a_b', 1), { name: 'BadRequestException' });
    await assert.rejects(events.post('default/*', 1), { name: 'BadRequestException' });

    const good = await events.connect(ownChannel());
    const { received } = await subscribe(good);
    await good.publish('all that on one socket');
    assert.equal(await received.next(), 'all that on one socket');
    assert.equal(theOnlySocket().readyState, WebSocket.OPEN);
  },

  async 'six-events'() {
    configure(url, apiKey);
    const name = ownChannel();
    const channel = await events.connect(name);
    const { received } = await subscribe(channel);
    const six = [1, 2, 3, 4, 5, 6];
    await assert.rejects(channel.publish(six), { message: 'Publish errors: InvalidInputError' });
    await assert.rejects(events.post(name, six), { name: 'BadRequestException' });

    // None of the twelve arrives: the five that follow are the first.
    await channel.publish(['five', 'are', 'a', 'full', 'batch']);
    assert.deepEqual(await received.take(5), ['five', 'are', 'a', 'full', 'batch']);
  },

  async 'two-subscriptions'() {
    configure(url, apiKey);
    const channel = await events.connect(ownChannel());
    const first = await subscribe(channel);
    const second = await subscribe(channel);
    assert.notEqual(first.id, second.id);
    await channel.publish('for both');
    assert.equal(await first.received.next(), 'for both');
    assert.equal(await second.received.next(), 'for both');

    first.subscription.unsubscribe();
    const socket = theOnlySocket();
    await socket.received.until(
      'the answer to unsubscribe',
      (frame) => frame.type === 'unsubscribe_success' && frame.id === first.id,
    );
    await channel.publish('for the second');
    assert.equal(await second.received.next(), 'for the second');
    const framesOfFirst = socket.received.entries.filter((frame) => frame.type === 'data' && frame.id === first.id);
    assert.equal(framesOfFirst.length, 1, 'No data may follow unsubscribe_success.');
  },

  // 1006: no close frame, the process is just gone. 1001: "going away", as it should say when it is stopped.
  'gateway-crash': () => resumesAfter((gateway) => gateway.kill().then(() => gateway.stop()), 1006),
  'gateway-stop': () => resumesAfter((gateway) => gateway.stop(), 1001),

  async 'network-cut'() {
    const proxy = await startProxy(Number(new URL(url).port));
    configure(proxy.url, apiKey);
    const name = ownChannel();
    const channel = await events.connect(name);
    const { id, received, errors } = await subscribe(channel);
    await channel.publish('before');
    assert.equal(await received.next(), 'before');

    proxy.cut();
    await within(5_000, 'Amplify sees the cut', theOnlySocket().closed);
    await assert.rejects(channel.publish('into the void'), { message: 'Subscription has not been initialized' });
    assert.equal(await events.post(name, 'missed'), undefined); // accepted, but nobody is there to hear it

    const socket = await sockets.until('a second socket', (other) => other !== sockets.entries[0], { deadline: 20_000 });
    assert.deepEqual(await socket.subscribedIds(1), [id]);
    await socket.received.until('subscribe_success', (frame) => frame.type === 'subscribe_success' && frame.id === id);
    await channel.publish('after');
    assert.equal(await received.next(), 'after');
    assert.deepEqual(errors.entries, []);
  },

  async 'lost-confirmation'() {
    configure(url, apiKey);
    const base = ownChannel();
    const channels = await Promise.all(['a', 'b', 'c'].map((segment) => events.connect(`${base}/${segment}`)));
    const before = await subscribe(channels[0]);

    // The first subscribe_success from here on is lost, and with it what Amplify waits 15 s for.
    let lost;
    faults.loses = (frame) => {
      if (lost || frame.type !== 'subscribe_success') return false;
      lost = frame.id;
      return true;
    };
    const during = observe(channels[1]);
    during.subscription.ready.catch(() => {}); // it gives up on this promise, not on the subscription
    const [, duringId] = await theOnlySocket().subscribedIds(2);
    const after = await subscribe(channels[2]);
    assert.equal(lost, duringId);

    const socket = theOnlySocket();
    const ids = [before.id, duringId, after.id];
    assert.deepEqual((await socket.subscribedIds(6, 40_000)).slice(3).toSorted(), ids.toSorted(), 'the same ids again');
    const isConfirmation = (frame) => frame.type === 'subscribe_success';
    await socket.received.until(
      'every repeated subscribe is confirmed',
      () => socket.received.entries.filter(isConfirmation).length === 2 + 3,
    );
    const refusals = socket.received.entries.filter((frame) => frame.type.endsWith('error'));
    assert.deepEqual(refusals, [], 'A repeated subscribe with a live id must not be refused.');

    const subscriptions = [before, during, after];
    for (const round of ['first', 'second']) {
      for (const [index, channel] of channels.entries()) {
        await channel.publish(`${round} ${index}`);
        // Exactly once: a subscription that had become two would have its first event again here, in the second round.
        assert.equal(await subscriptions[index].received.next(), `${round} ${index}`);
      }
    }
    assert.equal(theOnlySocket().readyState, WebSocket.OPEN);
    for (const { errors } of subscriptions) assert.deepEqual(errors.entries, []);
  },

  async 'idle'() {
    configure(url, apiKey);
    const channel = await events.connect(ownChannel());
    const { received } = await subscribe(channel);
    await elapsed(70_000); // the silence is what is tested: Amplify complains about 65 s of it
    assert.ok(!states.entries.includes('ConnectedPendingKeepAlive'), states.entries.join(', '));
    const keepAlives = theOnlySocket().received.entries.filter((frame) => frame.type === 'ka');
    assert.equal(keepAlives.length, 2, 'one right after the ack, one a minute later');
    await channel.publish('still here');
    assert.equal(await received.next(), 'still here');
    assert.equal(states.entries.at(-1), 'Connected');
  },

  async 'clock-ahead'() {
    // A page that was open, or asleep, for longer than the time-out of the connection before it connects.
    clockAhead = 400_000;
    configure(url, apiKey);
    const channel = await events.connect(ownChannel());
    const { received } = await subscribe(channel);
    await elapsed(30_000); // Amplify checks every 5 s, and would be back after 5 s more if it had given up
    assert.ok(!states.entries.includes('ConnectionDisrupted'), states.entries.join(', '));
    assert.equal(theOnlySocket().readyState, WebSocket.OPEN);
    await channel.publish('still the same connection');
    assert.equal(await received.next(), 'still the same connection');
  },
};

try {
  assert.ok(scenarios[name], `There is no scenario ${name}.`);
  await scenarios[name]();
  process.exit(0); // Amplify's timers would keep the process alive
} catch (error) {
  console.error(error);
  process.exit(1);
}
