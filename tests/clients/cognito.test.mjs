// AMAZON_COGNITO_USER_POOLS: users of an emulated pool, who sign in as they would at the real one.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { Cognito } from './cognito.mjs';
import { Gateway } from './gateway.mjs';
import { Connection, assertRefused, post, withToken } from './protocol.mjs';
import { settings } from './settings.mjs';

const template = fileURLToPath(new URL('./templates/modes.yaml', import.meta.url));

describe('Signed in by a user pool', { timeout: 120_000 }, () => {
  let cognito;
  let gateway;
  let url;
  let poolId;
  let clientId;
  let user;
  let tokens;

  before(async () => {
    cognito = await Cognito.start();
    poolId = await cognito.createPool();
    clientId = await cognito.createClient(poolId);
    user = await cognito.signUp(poolId, clientId, 'ana@example.com');
    tokens = await cognito.signIn(clientId, user);
    gateway = await startGateway({});
    url = gateway.url;
  });
  after(async () => {
    await cognito?.stop();
    await gateway?.stop();
  });

  /** A gateway for the pool, as its template says after the operator has told which pool the template's stands for. */
  const startGateway = (more) =>
    Gateway.start({
      args: [
        '--template', template,
        ...settings('Fanfare', { Cognito: { Endpoint: cognito.endpoint }, Resources: { Users: { Ref: poolId } }, ...more }),
      ],
    });

  const ownChannel = (namespace = 'default') => `/${namespace}/${randomUUID()}`;
  const postWith = (token, channel = ownChannel(), at = url) => post(at, { authorization: token }, { channel, events: ['1'] });

  for (const use of ['access', 'id']) {
    test(`With its ${use} token a user connects, subscribes and publishes`, async () => {
      const channel = ownChannel();
      const authorization = withToken(url, tokens[use]);
      const connection = await Connection.connect(url, authorization);
      const { type, id } = await connection.subscribe(channel, authorization);
      assert.equal(type, 'subscribe_success');
      assert.equal((await connection.publish(channel, ['"over the WebSocket"'], authorization)).type, 'publish_success');
      await connection.received(id, '"over the WebSocket"');
      const { status, body } = await postWith(tokens[use], channel);
      assert.equal(status, 200, JSON.stringify(body));
      await connection.received(id, '1');
      connection.close();
    });
  }

  test('A token may follow the word Bearer, over HTTP and in an authorization object', async () => {
    assert.equal((await postWith(`Bearer ${tokens.access}`)).status, 200);
    (await Connection.connect(url, withToken(url, `Bearer ${tokens.id}`))).close();
  });

  test('At connect a token may come in a header of the upgrade, as from Android and Swift', async () => {
    const connection = await Connection.openWithHeaders(url, { Authorization: tokens.access });
    assert.equal((await connection.frames.next()).type, 'connection_ack');
    connection.close();
    const refused = await Connection.openWithHeaders(url, { Authorization: `${tokens.access.slice(0, -8)}AAAAAAAA` });
    assertRefused(await refused.frames.next(), 'connection_error', 'UnauthorizedException');
  });

  async function assertUnauthorized(token, message, at = url) {
    const posted = await postWith(token, ownChannel(), at);
    assert.deepEqual([posted.status, posted.errorType, posted.message], [401, 'UnauthorizedException', message]);
    assert.deepEqual(await Connection.refused(at, withToken(at, token)), { errorType: 'UnauthorizedException', message, errorCode: 401 });

    // In a message it is refused alike, whatever the connection's own credentials are.
    const connection = await Connection.connect(at, withToken(at, tokens.access));
    assert.equal(
      assertRefused(await connection.subscribe(ownChannel(), withToken(at, token)), 'subscribe_error', 'UnauthorizedException').message,
      message,
    );
    assertRefused(await connection.publish(ownChannel(), ['1'], withToken(at, token)), 'publish_error', 'UnauthorizedException');
    connection.close();
  }
  const notAuthorized = 'You are not authorized to make this call.';

  test('A token of another pool is refused, although the same server issued it', async () => {
    const otherPool = await cognito.createPool();
    const otherClient = await cognito.createClient(otherPool);
    const stranger = await cognito.signUp(otherPool, otherClient, 'eve@example.com');
    const { access, id } = await cognito.signIn(otherClient, stranger);
    for (const token of [access, id]) await assertUnauthorized(token, notAuthorized);
  });

  test('A token that was changed is refused', async () => {
    const [header, payload, signature] = tokens.access.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    const forged = Buffer.from(JSON.stringify({ ...claims, username: 'admin' })).toString('base64url');
    await assertUnauthorized(`${header}.${forged}.${signature}`, notAuthorized);
    const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    await assertUnauthorized(`${none}.${payload}.`, notAuthorized);
  });

  test('An expired token is refused, and the client is told that it has expired', async () => {
    const expiredFromTheStart = await cognito.createClient(poolId, -1);
    const { access, id } = await cognito.signIn(expiredFromTheStart, user);
    for (const token of [access, id]) await assertUnauthorized(token, 'Token has expired.');
  });

  test('Where the provider names clients, tokens of others are refused', async () => {
    const other = await cognito.signIn(await cognito.createClient(poolId), user);
    assert.equal((await postWith(other.access)).status, 200, 'without a pattern every client of the pool may call');
    const strict = await startGateway({ Parameters: { CognitoClients: `^${clientId}$` } });
    try {
      for (const token of [tokens.access, tokens.id]) assert.equal((await postWith(token, ownChannel(), strict.url)).status, 200);
      for (const token of [other.access, other.id]) await assertUnauthorized(token, notAuthorized, strict.url);
    } finally {
      await strict.stop();
    }
  });

  test('Where a namespace does not take the mode, a good token does not help', async () => {
    const { status, errorType, message } = await postWith(tokens.access, ownChannel('keys'));
    assert.deepEqual([status, errorType, message], [403, 'UnauthorizedException', undefined]);
  });

  describe('with Amplify', { concurrency: 3 }, () => {
    const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));
    const amplify = (scenario, signIn, { signal }, error) =>
      runScenario(program, scenario, {
        signal,
        environment: { FANFARE_URL: url, FANFARE_SIGN_IN: JSON.stringify({ authMode: 'userPool', ...signIn }), FANFARE_ERROR: error },
      });

    test('Amplify signs the user in by itself, connects, subscribes, publishes and posts', (t) =>
      amplify('all-operations', { userPool: { userPoolId: poolId, userPoolClientId: clientId, userPoolEndpoint: cognito.endpoint, ...user } }, t));
    test('Amplify does all that with a token from elsewhere', (t) => amplify('all-operations', { token: tokens.access }, t));
    test('A token of another pool ends Amplify\'s attempts at once', async (t) => {
      const otherPool = await cognito.createPool();
      const otherClient = await cognito.createClient(otherPool);
      const { access } = await cognito.signIn(otherClient, await cognito.signUp(otherPool, otherClient, 'mallory@example.com'));
      await amplify('refused-at-connect', { token: access }, t, 'UnauthorizedException');
    });
  });
});
