// OPENID_CONNECT: tokens of a certified provider, by the flows that applications use, and the provider's bad days.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { Gateway } from './gateway.mjs';
import { OpenIdProvider, machine, makeKey, web } from './oidc.mjs';
import { Connection, assertRefused, post, withToken } from './protocol.mjs';
import { settings } from './settings.mjs';

const template = fileURLToPath(new URL('./templates/modes.yaml', import.meta.url));
const notAuthorized = 'You are not authorized to make this call.';

/** A gateway that takes the tokens of an issuer. */
const startGateway = (issuer, parameters, more) =>
  Gateway.start({
    args: ['--template', template, ...settings('Fanfare', { Parameters: { Issuer: issuer, ...parameters }, ...more })],
  });

const ownChannel = (namespace = 'default') => `/${namespace}/${randomUUID()}`;
const postWith = (url, token, channel = ownChannel()) => post(url, { authorization: token }, { channel, events: ['1'] });

async function assertTaken(url, token) {
  const { status, body } = await postWith(url, token);
  assert.equal(status, 200, JSON.stringify(body));
}

async function assertUnauthorized(url, token, message = notAuthorized) {
  const posted = await postWith(url, token);
  assert.deepEqual([posted.status, posted.errorType, posted.message], [401, 'UnauthorizedException', message]);
  assert.deepEqual(await Connection.refused(url, withToken(url, token)), { errorType: 'UnauthorizedException', message, errorCode: 401 });
}

/** How many key sets a gateway has fetched so far, by its log. */
const countFetches = (gateway) => gateway.lines.entries.filter((line) => line.includes('were fetched')).length;

/** Waits until a gateway has other keys of its issuer than before. */
const fetchesKeys = (gateway, before) =>
  gateway.lines.until('other keys are fetched', () => countFetches(gateway) > before, { deadline: 30_000 });

describe('Signed in by an OpenID provider', { timeout: 120_000, concurrency: 4 }, () => {
  let provider;
  let gateway;
  let url;
  let expired; // tokens of an hour ago
  let aged; // and tokens that are good still, of someone who signed in some minutes ago
  before(async () => {
    provider = await OpenIdProvider.start();
    expired = await provider.ago(3600, (then) => then.signIn('ana'));
    aged = await provider.ago(400, (then) => then.signIn('ana'));
    gateway = await startGateway(provider.url);
    url = gateway.url;
  });
  after(async () => {
    await gateway?.stop();
    await provider?.stop();
  });

  const kinds = {
    'The access token of a machine': () => provider.machineToken(),
    'The access token of a person': async () => (await provider.signIn('ana')).access,
    'The ID token of a person': async () => (await provider.signIn('ana')).id,
  };
  for (const [kind, getToken] of Object.entries(kinds)) {
    test(`${kind} connects, subscribes and publishes`, async () => {
      const token = await getToken();
      const channel = ownChannel();
      const authorization = withToken(url, token);
      const connection = await Connection.connect(url, authorization);
      const { type, id } = await connection.subscribe(channel, authorization);
      assert.equal(type, 'subscribe_success');
      assert.equal((await connection.publish(channel, ['"over the WebSocket"'], authorization)).type, 'publish_success');
      await connection.received(id, '"over the WebSocket"');
      assert.equal((await postWith(url, `Bearer ${token}`, channel)).status, 200);
      await connection.received(id, '1');

      const changed = withToken(url, `${token.slice(0, -8)}AAAAAAAA`);
      assertRefused(await connection.publish(channel, ['2'], changed), 'publish_error', 'UnauthorizedException');
      assertRefused(await connection.subscribe(channel, changed), 'subscribe_error', 'UnauthorizedException');
      connection.close();
    });
  }

  test('An expired token is refused, and the client is told that it has expired', async () => {
    for (const token of [expired.access, expired.id]) await assertUnauthorized(url, token, 'Token has expired.');
  });

  test('A token of another provider is refused', async () => {
    const other = await OpenIdProvider.start();
    try {
      await assertUnauthorized(url, await other.machineToken());
    } finally {
      await other.stop();
    }
    assert.deepEqual(other.requests.entries, ['/token'], 'The gateway must not ask a provider that its API does not name.');
  });

  test('Where a namespace does not take the mode, a good token does not help', async () => {
    const { status, errorType, message } = await postWith(url, await provider.machineToken(), ownChannel('keys'));
    assert.deepEqual([status, errorType, message], [403, 'UnauthorizedException', undefined]);
  });

  test('The template\'s clients and its limit on the age of a sign-in are kept', async () => {
    const strict = await startGateway(provider.url, { OidcClients: `^(${web}|mobile)$`, AuthTtl: 300_000 });
    try {
      await assertTaken(strict.url, (await provider.signIn('ana')).id);
      await assertTaken(url, aged.id);
      await assertUnauthorized(strict.url, aged.id);
      await assertUnauthorized(strict.url, (await provider.signIn('ana')).access); // it does not say when the user signed in
      await assertUnauthorized(strict.url, await provider.machineToken());
    } finally {
      await strict.stop();
    }
    const machines = await startGateway(provider.url, { OidcClients: machine });
    try {
      await assertTaken(machines.url, await provider.machineToken());
      await assertUnauthorized(machines.url, (await provider.signIn('ana')).access);
    } finally {
      await machines.stop();
    }
  });

  test('When the provider exchanges its keys, new tokens work at once and old ones until the keys are fetched again', async (t) => {
    const [first, second, third] = [makeKey(), makeKey(), makeKey('ES256')];
    const rotating = await OpenIdProvider.start([first]);
    const refreshing = await startGateway(rotating.url, {}, { Jwt: { KeysRefreshInterval: '00:00:10' } });
    t.after(async () => {
      await refreshing.stop();
      await rotating.stop();
    });
    const oldToken = await rotating.machineToken();
    await assertTaken(refreshing.url, oldToken);
    const authorization = withToken(refreshing.url, oldToken);
    const connection = await Connection.connect(refreshing.url, authorization);
    const channel = ownChannel();
    const { id } = await connection.subscribe(channel, authorization);

    // As providers do it: for a while both keys are there, and the new one signs.
    await rotating.restart([second, first]);
    const newToken = await rotating.machineToken();
    await assertTaken(refreshing.url, newToken);
    await assertTaken(refreshing.url, oldToken);

    // Then the old one goes. What was verified with it before is not remembered any longer than the key.
    const fetches = countFetches(refreshing);
    await rotating.restart([second]);
    await fetchesKeys(refreshing, fetches);
    await assertUnauthorized(refreshing.url, oldToken);
    await assertTaken(refreshing.url, newToken);

    // In an emergency all keys go at once, to another algorithm even; clients come with tokens of the new one before any refresh,
    // or right after it.
    await rotating.restart([third]);
    const emergency = countFetches(refreshing);
    const lastToken = await rotating.machineToken();
    const { status } = await postWith(refreshing.url, lastToken);
    if (status !== 200) await fetchesKeys(refreshing, emergency);
    await assertTaken(refreshing.url, lastToken);
    await assertUnauthorized(refreshing.url, newToken);

    // The connection has outlived all that; what it sends now needs a token that is good now.
    assertRefused(await connection.publish(channel, ['2'], authorization), 'publish_error', 'UnauthorizedException');
    assert.equal((await connection.publish(channel, ['3'], withToken(refreshing.url, lastToken))).type, 'publish_success');
    await connection.received(id, '3');
    assert.deepEqual(connection.events(id), ['3']);
    connection.close();
  });

  test('A provider that is down when the gateway starts is asked again until it answers', async (t) => {
    const key = makeKey();
    let late = await OpenIdProvider.start([key]);
    const { url: issuer } = late;
    const token = await late.machineToken();
    await late.stop();
    const waiting = await startGateway(issuer);
    t.after(async () => {
      await waiting.stop();
      await late.stop();
    });
    await assertUnauthorized(waiting.url, token);
    late = await OpenIdProvider.start([key], Number(new URL(issuer).port));
    await fetchesKeys(waiting, 0);
    await assertTaken(waiting.url, token);
  });

  test('A provider that goes down later is not missed', async (t) => {
    const leaving = await OpenIdProvider.start();
    const remembering = await startGateway(leaving.url);
    t.after(() => remembering.stop());
    const [known, unknown] = [await leaving.machineToken(), await leaving.machineToken()];
    await assertTaken(remembering.url, known);
    await leaving.stop();
    await assertTaken(remembering.url, known);
    await assertTaken(remembering.url, unknown);
  });

  describe('with Amplify', { concurrency: 2 }, () => {
    const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));
    const amplify = (scenario, token, { signal }) =>
      runScenario(program, scenario, {
        signal,
        environment: {
          FANFARE_URL: url,
          FANFARE_SIGN_IN: JSON.stringify({ authMode: 'oidc', token }),
          FANFARE_ERROR: 'UnauthorizedException',
        },
      });

    test('Amplify connects, subscribes, publishes and posts with the provider\'s token', async (t) =>
      amplify('all-operations', (await provider.signIn('ana')).access, t));
    test('An expired token ends Amplify\'s attempts at once', (t) =>
      amplify('refused-at-connect', expired.access, t));
  });
});
