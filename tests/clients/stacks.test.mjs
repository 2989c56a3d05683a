// Stacks as `cdk synth` wrote them, loaded as they are: all that the operator adds is which pool, function and users are meant.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { Cognito } from './cognito.mjs';
import { LambdaFunction } from './functions.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Connection, assertRefused, post, read, withToken } from './protocol.mjs';
import { accessKey, settings } from './settings.mjs';
import { sign } from './signing.mjs';

const stack = (name) => fileURLToPath(new URL(`../Gateway.Tests/TestData/templates/${name}.json`, import.meta.url));
const backend = { accessKeyId: 'AKIAFANFARE000000010', secretAccessKey: 'Zx8/KcVbNm2+QwErTy5UiOpLkJhGfDsAqWeRt1Y3' };
const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));

// A namespace with handlers is refused by this version, once the request is authorized: where that changes, change these two.
const refusedByHandler = { status: 403, errorType: 'HandlerExecutionError' };
const assertReachesHandler = (answer) => assertRefused(answer, `${answer.type.split('_')[0]}_error`, refusedByHandler.errorType);

describe('As the stack says', { timeout: 120_000, concurrency: 3 }, () => {
  // The emulator makes up the ids of clients; the full stack wants one that starts with "web-".
  const fullPool = 'us-east-1_Full00001';
  let cognito;
  let poolId;
  let clientId;
  let ana;
  let tokens;
  before(async () => {
    cognito = await Cognito.start({ 'web-app': fullPool, 'mobile-app': fullPool });
    poolId = await cognito.createPool();
    clientId = await cognito.createClient(poolId);
    ana = await cognito.signUp(poolId, clientId, 'ana@example.com');
    tokens = await cognito.signIn(clientId, ana);
  });
  after(() => cognito?.stop());

  /** A gateway for a stack, with one IAM user who may do everything. */
  const startGateway = (name, more, options) =>
    Gateway.start({
      args: [
        '--template', stack(name),
        ...settings('Fanfare', {
          Cognito: { Endpoint: cognito.endpoint },
          Iam: { Users: [{ Name: 'backend', ...accessKey(backend), Policies: [{ Effect: 'Allow', Action: 'appsync:*', Resource: '*' }] }] },
          ...more,
        }),
      ],
      secrets: [backend.secretAccessKey],
      ...options,
    });

  async function postSigned(url, channel, events) {
    const body = JSON.stringify({ channel, events });
    const { host, ...headers } = await sign(url, backend, body);
    return read(await fetch(`${url}/event`, { method: 'POST', headers, body, signal: AbortSignal.timeout(15_000) }));
  }
  const signMessage = (url, message) => sign(url, backend, JSON.stringify(message));
  const postWith = (url, headers, channel) => post(url, headers, { channel, events: ['1'] });
  const shown = ({ status, errorType }) => ({ status, errorType });

  for (const [name, region] of [['seed-004-cdk-env-agnostic', 'us-east-1'], ['seed-004-cdk-fixed-env', 'eu-central-1']]) {
    describe(`public and private namespaces (${name})`, () => {
      let gateway;
      let url;
      before(async () => {
        // The second stack has its pool in another region than the gateway; with a Cognito of one's own that changes nothing.
        gateway = await startGateway(name, { Resources: { Users0A0EEA89: { Ref: poolId } } }, { hasExample: false });
        url = gateway.url;
      });
      after(() => gateway?.stop());

      test('IAM publishes to the public namespace and Cognito subscribes, neither the other way round', async () => {
        const channel = `/public/${randomUUID()}`;
        const user = withToken(url, tokens.access);

        // 1. The user connects; the API does not let IAM connect, nor an API key, for which it has no provider.
        const connection = await Connection.connect(url, user);
        assert.equal((await Connection.refused(url, await sign(url, backend, '{}'))).errorType, 'UnauthorizedException');
        const key = { 'host': new URL(url).host, 'x-api-key': apiKey };
        assert.equal((await Connection.refused(url, key)).errorType, 'UnauthorizedException');

        // 2. The user subscribes; the backend may not.
        const { type, id } = await connection.subscribe(channel, user);
        assert.equal(type, 'subscribe_success');
        const wildcard = await connection.subscribe('/public/*', user);
        assert.equal(wildcard.type, 'subscribe_success');
        const subscribed = await connection.subscribe(channel, await signMessage(url, { channel }));
        assert.equal(assertRefused(subscribed, 'subscribe_error', 'UnauthorizedException').message, undefined);

        // 3. The backend publishes, over HTTP and even through the user's connection; the user may not, nor may a key.
        assert.deepEqual(shown(await postSigned(url, channel, ['"from the backend"'])), { status: 200, errorType: undefined });
        await connection.received(id, '"from the backend"');
        await connection.received(wildcard.id, '"from the backend"');
        const events = ['"and again"'];
        const published = await connection.publish(channel, events, await signMessage(url, { channel, events }));
        assert.equal(published.type, 'publish_success', JSON.stringify(published));
        assertRefused(await connection.publish(channel, ['"forged"'], user), 'publish_error', 'UnauthorizedException');
        assert.deepEqual(shown(await postWith(url, { authorization: tokens.access }, channel)), { status: 403, errorType: 'UnauthorizedException' });
        assert.deepEqual(shown(await postWith(url, { 'x-api-key': apiKey }, channel)), { status: 401, errorType: 'UnauthorizedException' });

        // 4. Nothing but what the backend published has arrived.
        await postSigned(url, channel, ['"last"']);
        await connection.received(id, '"last"');
        assert.deepEqual(connection.events(id), ['"from the backend"', '"and again"', '"last"']);
        connection.close();
      });

      test('The private namespace decides by its handler, after the modes', async () => {
        const user = withToken(url, tokens.access);
        const connection = await Connection.connect(url, user);
        assertReachesHandler(await connection.subscribe(`/private/${tokens.sub}`, user));
        assertReachesHandler(await connection.subscribe('/private/somebody-else', user));
        const channel = `/private/${tokens.sub}`;
        const wrongMode = await connection.subscribe(channel, await signMessage(url, { channel }));
        assertRefused(wrongMode, 'subscribe_error', 'UnauthorizedException');
        assert.equal((await postSigned(url, channel, ['1'])).status, 200); // its code has no onPublish
        assert.deepEqual(shown(await postWith(url, { authorization: tokens.access }, channel)), { status: 403, errorType: 'UnauthorizedException' });
        connection.close();
      });

      test('Amplify does the same with a signed-in user and with signed publishes', ({ signal }) =>
        runScenario(program, 'iam-publishes-pool-subscribes', {
          signal,
          environment: {
            FANFARE_URL: url,
            FANFARE_SIGN_IN: JSON.stringify({ authMode: 'userPool', token: tokens.access, credentials: backend, channel: `public/${randomUUID()}` }),
          },
        }));

      test(`Its warning about a made-up pool is gone, whatever its region (${region})`, () => {
        assert.deepEqual(gateway.lines.entries.filter((line) => line.includes('made up')), []);
      });
    });
  }

  test('Users and backends connect, and the only namespace decides by its handler (seed-000-cdk-snippet)', async (t) => {
    const resources = { UserPool6BA7E5F2: { Ref: poolId }, UserPoolWebClient4C9370B0: { Ref: clientId } };
    const gateway = await startGateway('seed-000-cdk-snippet', { Resources: resources }, { hasExample: false });
    t.after(() => gateway.stop());
    const { url } = gateway;

    // What the stack's outputs tell a page to configure is what the operator said.
    await gateway.lines.until('the pool', (line) => line.endsWith(`UserPoolId = ${poolId}`));
    await gateway.lines.until('the client', (line) => line.endsWith(`UserPoolClientId = ${clientId}`));

    const user = withToken(url, tokens.id);
    const connection = await Connection.connect(url, user);
    (await Connection.connect(url, await sign(url, backend, '{}'))).close();
    const channel = `/default/${tokens.sub}`;
    assertReachesHandler(await connection.subscribe(channel, user));
    assertReachesHandler(await connection.subscribe(channel, await signMessage(url, { channel })));
    assertRefused(await connection.subscribe(channel, withToken(url, 'nonsense')), 'subscribe_error', 'UnauthorizedException');
    connection.close();
  });

  describe('every mode and kind of namespace (cdk-eventapi-full)', () => {
    let authorizer;
    let gateway;
    let url;
    let web;
    let mobile;
    before(async () => {
      // The handler's code is in the template, which this version does not run; another function takes its place.
      authorizer = await LambdaFunction.start('journaling.mjs');
      gateway = await startGateway('cdk-eventapi-full', {
        Resources: { Users0A0EEA89: { Ref: fullPool }, AuthorizerBD825682: { Arn: 'arn:aws:lambda:us-east-1:000000000000:function:authorizer' } },
        Lambda: { Functions: { authorizer: authorizer.url } },
      });
      url = gateway.url;
      const bob = await cognito.signUp(fullPool, 'web-app', 'bob@example.com');
      web = await cognito.signIn('web-app', bob);
      mobile = await cognito.signIn('mobile-app', bob);
    });
    after(async () => {
      await gateway?.stop();
      await authorizer?.stop();
    });

    test('Every mode connects that the stack lists, and only clients of the pool that it names', async () => {
      const host = { host: new URL(url).host };
      for (const credentials of [{ 'x-api-key': apiKey }, { Authorization: web.id }, { Authorization: web.access }, { Authorization: 'allow' }])
        (await Connection.connect(url, { ...host, ...credentials })).close();
      (await Connection.connect(url, await sign(url, backend, '{}'))).close();
      for (const token of [mobile.id, mobile.access, tokens.access, 'deny', 'allow-300'])
        assert.equal((await Connection.refused(url, { ...host, Authorization: token })).errorType, 'UnauthorizedException', token);
    });

    test('The plain namespace takes the defaults: keys and the function publish, keys and the pool subscribe', async () => {
      const channel = `/plain/${randomUUID()}`;
      const user = withToken(url, web.id);
      const connection = await Connection.connect(url, user);
      const { type, id } = await connection.subscribe(channel, user);
      assert.equal(type, 'subscribe_success');
      assert.equal((await postWith(url, { 'x-api-key': apiKey }, channel)).status, 200);
      await connection.received(id, '1');
      assert.equal((await connection.publish(channel, ['2'], withToken(url, 'allow'))).type, 'publish_success');
      await connection.received(id, '2');
      assertRefused(await connection.publish(channel, ['3'], user), 'publish_error', 'UnauthorizedException');
      assertRefused(await connection.subscribe(channel, withToken(url, 'allow')), 'subscribe_error', 'UnauthorizedException');
      assert.deepEqual(shown(await postSigned(url, channel, ['4'])), { status: 403, errorType: 'UnauthorizedException' });
      assert.deepEqual(connection.events(id), ['1', '2']);
      connection.close();
    });

    test('Where a handler or a data source would run, the modes decide first', async () => {
      const user = withToken(url, web.access);
      const connection = await Connection.connect(url, user);

      // Modes of its own: IAM publishes, the pool and IAM subscribe.
      assert.deepEqual(shown(await postSigned(url, '/inlinecode/a', ['{"odds":1}'])), refusedByHandler);
      assert.deepEqual(shown(await postWith(url, { 'x-api-key': apiKey }, '/inlinecode/a')), { status: 403, errorType: 'UnauthorizedException' });
      assert.equal((await connection.subscribe('/inlinecode/*', user)).type, 'subscribe_success', 'its code has no onSubscribe');

      for (const namespace of ['withds', 'dynamo', 'direct', 'direct-async']) {
        assert.deepEqual(shown(await postWith(url, { 'x-api-key': apiKey }, `/${namespace}/a`)), refusedByHandler, namespace);
        assert.deepEqual(shown(await postSigned(url, `/${namespace}/a`, ['1'])), { status: 403, errorType: 'UnauthorizedException' }, namespace);
      }
      for (const namespace of ['withds', 'direct-async']) assertReachesHandler(await connection.subscribe(`/${namespace}/a`, user));
      for (const namespace of ['dynamo', 'direct']) // whose code and data source are asked of publishes alone
        assert.equal((await connection.subscribe(`/${namespace}/a`, user)).type, 'subscribe_success', namespace);
      connection.close();
    });
  });
});
