// Stacks as `cdk synth` wrote them, loaded as they are: all that the operator adds is which pool, function and users are meant.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { Cognito } from './cognito.mjs';
import { DynamoDB } from './dynamodb.mjs';
import { LambdaFunction } from './functions.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Connection, assertRefused, post, read, withToken } from './protocol.mjs';
import { accessKey, settings } from './settings.mjs';
import { sign } from './signing.mjs';

const stack = (name) => fileURLToPath(new URL(`../Gateway.Tests/TestData/templates/${name}.json`, import.meta.url));
const backend = { accessKeyId: 'AKIAFANFARE000000010', secretAccessKey: 'Zx8/KcVbNm2+QwErTy5UiOpLkJhGfDsAqWeRt1Y3' };
const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));

/** Asserts that a handler refused a subscribe by `util.unauthorized`. Its type is not the one of a refused mode, `UnauthorizedException`. */
const assertRefusedByHandler = (answer) =>
  assert.equal(assertRefused(answer, 'subscribe_error', 'Unauthorized').message, 'You are not authorized to make this call.');

describe('As the stack says', { timeout: 120_000, concurrency: 3 }, () => {
  // The emulator makes up the ids of clients; the full stack wants one that starts with "web-".
  const fullPool = 'us-east-1_Full00001';
  let cognito;
  let poolId;
  let clientId;
  let tokens;
  let others;
  before(async () => {
    cognito = await Cognito.start({ 'web-app': fullPool, 'mobile-app': fullPool });
    poolId = await cognito.createPool();
    clientId = await cognito.createClient(poolId);
    const signIn = async (username) => cognito.signIn(clientId, await cognito.signUp(poolId, clientId, username));
    tokens = await signIn('ana@example.com');
    others = await signIn('ben@example.com');
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

      test('A private channel opens to its user alone, and a refusal leaves the connection as it was', async () => {
        const user = withToken(url, tokens.access);
        const [own, other] = [tokens.sub, others.sub].map((sub) => `/private/${sub}`);
        const connection = await Connection.connect(url, user);
        const open = await connection.subscribe(`/public/${tokens.sub}`, user);

        // 1. Nobody else's, not by a wildcard, and nothing below one's own, which is another channel.
        for (const channel of [other, '/private/*', `${own}/more`, '/private/somebody'])
          assertRefusedByHandler(await connection.subscribe(channel, user));
        const first = await connection.subscribe(own, user);
        assert.equal(first.type, 'subscribe_success', JSON.stringify(first));

        // 2. The other user gets the other channel, and each hears its own.
        const otherUser = withToken(url, others.access);
        const otherConnection = await Connection.connect(url, otherUser);
        assertRefusedByHandler(await otherConnection.subscribe(own, otherUser));
        const second = await otherConnection.subscribe(other, otherUser);
        assert.equal(second.type, 'subscribe_success');
        for (const [channel, text] of [[own, '"for ana"'], [other, '"for ben"'], [`/public/${tokens.sub}`, '"for all"'], [own, '"last"'], [other, '"last"']])
          assert.equal((await postSigned(url, channel, [text])).status, 200); // its code has no onPublish
        await connection.received(first.id, '"last"');
        await otherConnection.received(second.id, '"last"');
        assert.deepEqual(connection.events(first.id), ['"for ana"', '"last"']);
        assert.deepEqual(otherConnection.events(second.id), ['"for ben"', '"last"']);
        assert.deepEqual(connection.events(open.id), ['"for all"']);

        // 3. The modes decide before the handler does.
        const wrongMode = await connection.subscribe(own, await signMessage(url, { channel: own }));
        assertRefused(wrongMode, 'subscribe_error', 'UnauthorizedException');
        assert.deepEqual(shown(await postWith(url, { authorization: tokens.access }, own)), { status: 403, errorType: 'UnauthorizedException' });
        connection.close();
        otherConnection.close();
      });

      test('Amplify hears its own private channel, and is told that another is not its own', ({ signal }) =>
        runScenario(program, 'private-channel', {
          signal,
          environment: {
            FANFARE_URL: url,
            FANFARE_SIGN_IN: JSON.stringify({
              authMode: 'userPool', token: tokens.access, credentials: backend, channel: `/private/${tokens.sub}`, refused: `/private/${others.sub}`,
            }),
          },
        }));

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

  test('Users and backends connect, and the handler opens to each user the channel of its own (seed-000-cdk-snippet)', async (t) => {
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
    const { type, id } = await connection.subscribe(channel, user);
    assert.equal(type, 'subscribe_success');
    for (const other of [`/default/${others.sub}`, '/default/*']) assertRefusedByHandler(await connection.subscribe(other, user));
    assertRefusedByHandler(await connection.subscribe(channel, await signMessage(url, { channel }))); // a backend has no sub
    assertRefused(await connection.subscribe(channel, withToken(url, 'nonsense')), 'subscribe_error', 'UnauthorizedException');
    assert.equal((await postWith(url, { authorization: others.id }, channel)).status, 200); // who publishes is not the handler's business
    await connection.received(id, '1');
    connection.close();
  });

  describe('every mode and kind of namespace (cdk-eventapi-full)', () => {
    let authorizer;
    let worker;
    let database;
    let gateway;
    let url;
    let web;
    let mobile;
    before(async () => {
      // The functions' code is in the template, which a gateway does not run; others take their places.
      [authorizer, worker, database] = await Promise.all(
        [LambdaFunction.start('journaling.mjs'), LambdaFunction.start('worker.mjs'), DynamoDB.start()]);
      await database.createTable('Messages', 'id');
      const arn = (name) => ({ Arn: `arn:aws:lambda:us-east-1:000000000000:function:${name}` });
      gateway = await startGateway('cdk-eventapi-full', {
        Resources: { Users0A0EEA89: { Ref: fullPool }, AuthorizerBD825682: arn('authorizer'), Worker11F36D0F: arn('worker') },
        Lambda: { Functions: { authorizer: authorizer.url, worker: worker.url } },
        DataSources: { DynamoDBEndpoint: database.url },
      });
      url = gateway.url;
      const bob = await cognito.signUp(fullPool, 'web-app', 'bob@example.com');
      web = await cognito.signIn('web-app', bob);
      mobile = await cognito.signIn('mobile-app', bob);
    });
    after(async () => {
      await gateway?.stop();
      await Promise.all([authorizer?.stop(), worker?.stop(), database?.stop()]);
    });

    /** A user's subscription, once it is confirmed. */
    async function subscribe(t, channel) {
      const user = withToken(url, web.access);
      const connection = await Connection.connect(url, user);
      t.after(() => connection.close());
      const { type, id } = await connection.subscribe(channel, user);
      assert.equal(type, 'subscribe_success', channel);
      return { connection, id, user };
    }
    const byKey = { 'x-api-key': apiKey };
    const failures = ({ body }) => body.failed.map(({ index, code, message }) => ({ index, code, message }));

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

    test('Inline code drops events and adds to the others', async (t) => {
      const { connection, id } = await subscribe(t, '/inlinecode/*');
      const { status, body } = await postSigned(url, '/inlinecode/race', ['{"odds":0,"horse":"a"}', '{"odds":3,"horse":"b"}']);
      assert.equal(status, 200);
      assert.deepEqual([body.successful.map(({ index }) => index), body.failed], [[0, 1], []]);
      const { event } = await connection.frames.until('an event', (frame) => frame.id === id && frame.type === 'data');
      const { seen, ...rest } = JSON.parse(event);
      assert.deepEqual(rest, { odds: 3, horse: 'b' });
      assert.match(seen, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepEqual(shown(await postSigned(url, '/inlinecode/race', ['null'])), { status: 403, errorType: 'HandlerExecutionError' });

      // Modes of its own, which decide first: IAM publishes, the pool and IAM subscribe.
      assert.deepEqual(shown(await postWith(url, byKey, '/inlinecode/race')), { status: 403, errorType: 'UnauthorizedException' });
    });

    test('Code with a function behind it keeps what the function says, and passes its failure on', async (t) => {
      const { connection, id, user } = await subscribe(t, '/withds/race/today');
      worker.takeEvents();
      const events = ['{"odds":0}', '{"odds":2}'];
      assert.equal((await post(url, byKey, { channel: '/withds/race/today', events })).status, 200);
      await connection.received(id, '{"odds":2}');
      assert.deepEqual(connection.events(id), ['{"odds":2}']);
      const failed = await post(url, byKey, { channel: '/withds/race/today', events: ['"crash"'] });
      assert.deepEqual([failed.status, failed.errorType, failed.message], [403, 'Lambda:Unhandled', 'no such odds']);
      await worker.invoke({ events: [] });
      const asked = worker.takeEvents().filter(({ channel }) => channel?.path === '/withds/race/today');
      assert.deepEqual(asked.map(({ events: sent }) => sent.map(({ payload }) => payload)), [[{ odds: 0 }, { odds: 2 }], ['crash']]);
      assertRefusedByHandler(await connection.subscribe('/withds/race/today/late', user));
      assert.deepEqual(shown(await postSigned(url, '/withds/a', ['1'])), { status: 403, errorType: 'UnauthorizedException' });
    });

    test('Code with a table behind it writes what it lets through', async (t) => {
      const { connection, id } = await subscribe(t, '/dynamo/*');
      const { status, body } = await post(url, byKey, { channel: '/dynamo/room', events: ['{"text":"a","n":1.5}', '{"text":"b","tags":["x"]}'] });
      assert.equal(status, 200);
      await connection.received(id, '{"text":"b","tags":["x"]}');
      assert.deepEqual(connection.events(id), ['{"text":"a","n":1.5}', '{"text":"b","tags":["x"]}']);
      const [first, second] = body.successful.map(({ identifier }) => identifier);
      const items = (await database.items('Messages')).filter(({ channel }) => channel.S === '/dynamo/room');
      assert.deepEqual(items.toSorted((one, other) => one.text.S.localeCompare(other.text.S)), [
        { id: { S: first }, channel: { S: '/dynamo/room' }, text: { S: 'a' }, n: { N: '1.5' } },
        { id: { S: second }, channel: { S: '/dynamo/room' }, text: { S: 'b' }, tags: { L: [{ S: 'x' }] } },
      ]);
    });

    test('A function that is the handler changes events, fails single ones, and its own failure is a 502', async (t) => {
      const { connection, id } = await subscribe(t, '/direct/*');
      const answer = await post(url, byKey, { channel: '/direct/race', events: ['{"odds":0}', '{"odds":2}'] });
      assert.equal(answer.status, 200);
      assert.deepEqual(failures(answer), [{ index: 0, code: 'CustomError', message: 'no odds' }]);
      await connection.received(id, '{"odds":2,"checked":true}');
      assert.equal(connection.events(id).length, 1);
      const crashed = await post(url, byKey, { channel: '/direct/race', events: ['"crash"'] });
      assert.deepEqual([crashed.status, crashed.errorType, crashed.message], [502, 'DependencyFailedException', 'Unable to process request']);
    });

    test('A function that nobody waits for is told, and decides about subscribes alone', async (t) => {
      const { connection, id, user } = await subscribe(t, '/direct-async/race');
      assert.equal((await post(url, byKey, { channel: '/direct-async/race', events: ['{"odds":0}', '"crash"'] })).status, 200);
      await connection.received(id, '"crash"');
      assert.deepEqual(connection.events(id), ['{"odds":0}', '"crash"'], 'as they were published');
      await worker.lines.until('the events', (line) => line.includes('"/direct-async/race"') && line.includes('"operation":"PUBLISH"'));
      const refused = await connection.subscribe('/direct-async/closed', user);
      assert.equal(assertRefused(refused, 'subscribe_error', 'HandlerExecutionError').message, 'Unable to process request');
    });
  });
});
