// AWS_LAMBDA: authorizer functions as their authors write them, called by the Lambda Invoke API.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { LambdaFunction } from './functions.mjs';
import { Gateway } from './gateway.mjs';
import { Connection, assertRefused, post, withToken } from './protocol.mjs';
import { settings } from './settings.mjs';

const template = fileURLToPath(new URL('./templates/modes.yaml', import.meta.url));
const notAuthorized = 'You are not authorized to make this call.';

const startGateway = (authorizer, { parameters, ...more } = {}) =>
  Gateway.start({
    args: [
      '--template', template,
      ...settings('Fanfare', { Lambda: { Functions: { authorizer: authorizer.url }, ...more }, Parameters: { HasFunction: 'yes', ...parameters } }),
    ],
    secrets: ['token-of-acme', 'token-of-nobody', 'token-that-crashes', 'allow-300', 'deny-300'],
  });

const ownChannel = (namespace = 'default') => `/${namespace}/${randomUUID()}`;
const postWith = (url, token, channel = ownChannel()) => post(url, { authorization: token }, { channel, events: ['1'] });

describe('Signed in by an authorizer function', { timeout: 120_000 }, () => {
  describe('that knows tenants', () => {
    let authorizer;
    let gateway;
    let url;
    before(async () => {
      authorizer = await LambdaFunction.start('authorizer.cjs');
      gateway = await startGateway(authorizer);
      url = gateway.url;
    });
    after(async () => {
      await gateway?.stop();
      await authorizer?.stop();
    });

    test('A tenant connects, subscribes and publishes below its own channel and nowhere else', async () => {
      const authorization = withToken(url, 'token-of-acme');
      const connection = await Connection.connect(url, authorization);
      const { type, id } = await connection.subscribe('/default/acme/*', authorization);
      assert.equal(type, 'subscribe_success');
      assert.equal((await connection.publish('/default/acme/room', ['"own"'], authorization)).type, 'publish_success');
      await connection.received(id, '"own"');
      assert.equal((await postWith(url, 'token-of-acme', '/default/acme/room')).status, 200);
      await connection.received(id, '1');

      assertRefused(await connection.subscribe('/default/zeta/*', authorization), 'subscribe_error', 'UnauthorizedException');
      assertRefused(await connection.subscribe('/default/*', authorization), 'subscribe_error', 'UnauthorizedException');
      const published = await connection.publish('/default/zeta', ['"not own"'], authorization);
      assert.equal(assertRefused(published, 'publish_error', 'UnauthorizedException').message, notAuthorized);
      const posted = await postWith(url, 'token-of-acme', '/default/zeta');
      assert.deepEqual([posted.status, posted.errorType, posted.message], [401, 'UnauthorizedException', notAuthorized]);
      connection.close();
    });

    test('A token of nobody is refused at connect', async () => {
      assert.deepEqual(await Connection.refused(url, withToken(url, 'token-of-nobody')), {
        errorType: 'UnauthorizedException',
        message: notAuthorized,
        errorCode: 401,
      });
    });

    test('A function that throws is told apart from one that refuses', async () => {
      const { status, errorType, message } = await postWith(url, 'token-that-crashes');
      assert.deepEqual([status, errorType, message], [500, 'AuthorizerFailureException', 'tenants is not a function']);
      const refused = await Connection.refused(url, withToken(url, 'token-that-crashes'));
      assert.deepEqual([refused.errorType, refused.errorCode], ['AuthorizerFailureException', 500]);
    });

    describe('with Amplify', { concurrency: 2 }, () => {
      const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));
      const amplify = (scenario, authToken, { signal }) =>
        runScenario(program, scenario, {
          signal,
          environment: {
            FANFARE_URL: url,
            FANFARE_SIGN_IN: JSON.stringify({ authMode: 'lambda', authToken, channel: 'default/acme/room' }),
            FANFARE_ERROR: 'UnauthorizedException',
          },
        });

      test('Amplify connects, subscribes, publishes and posts with its authToken', (t) => amplify('all-operations', 'token-of-acme', t));
      test('A token of nobody ends Amplify\'s attempts at once', (t) => amplify('refused-at-connect', 'token-of-nobody', t));
    });
  });

  describe('that prints what it is asked', () => {
    let authorizer;
    let gateway;
    let url;
    before(async () => {
      authorizer = await LambdaFunction.start('journaling.mjs');
      gateway = await startGateway(authorizer, { AuthorizerTimeout: '00:00:02' });
      url = gateway.url;
    });
    after(async () => {
      await gateway?.stop();
      await authorizer?.stop();
    });

    /** The events that the gateway has called the function with since the last look. */
    async function takeEvents(from = authorizer) {
      const marker = randomUUID();
      await from.invoke({ authorizationToken: marker });
      await from.lines.until('the marker', (line) => line.includes(marker));
      return from.takeEvents().filter(({ authorizationToken }) => authorizationToken !== marker);
    }

    test('The function is asked for each operation, with what it needs to decide', async () => {
      await takeEvents();
      const channel = ownChannel();
      const authorization = { ...withToken(url, 'allow'), 'X-Tenant': 'acme' };
      const connection = await Connection.connect(url, authorization);
      await connection.subscribe(`${channel}/*`, authorization);
      await connection.publish(channel, ['1'], authorization);
      await post(url, { 'authorization': 'allow', 'x-tenant': 'acme', 'cookie': 'session=1' }, { channel: channel.slice(1), events: ['1'] });
      connection.close();

      const asked = await takeEvents();
      assert.deepEqual(asked.map(({ requestContext }) => requestContext.operation), [
        'EVENT_CONNECT', 'EVENT_SUBSCRIBE', 'EVENT_PUBLISH', 'EVENT_PUBLISH',
      ]);
      assert.deepEqual(asked.map(({ requestContext }) => requestContext.channel), [undefined, `${channel}/*`, channel, channel]);
      assert.deepEqual(asked.map(({ requestContext }) => requestContext.channelNamespaceName), [undefined, 'default', 'default', 'default']);
      for (const { authorizationToken, requestContext, requestHeaders } of asked) {
        assert.equal(authorizationToken, 'allow');
        assert.match(requestContext.apiId, /^[a-z0-9]{26}$/);
        assert.equal(requestContext.accountId, '000000000000');
        assert.match(requestContext.requestId, /^[0-9a-f-]{36}$/);
        const headers = Object.fromEntries(Object.entries(requestHeaders).map(([name, value]) => [name.toLowerCase(), value]));
        assert.equal(headers.host, new URL(url).host);
        assert.equal(headers['x-tenant'], 'acme');
        assert.equal(headers.cookie, undefined);
      }
    });

    test('Without a time to keep answers for, the function is asked every time', async () => {
      await takeEvents();
      const channel = ownChannel();
      for (let i = 0; i < 3; i++) assert.equal((await postWith(url, 'allow', channel)).status, 200);
      assert.equal((await takeEvents()).length, 3);
    });

    test('An answer with ttlOverride is kept for its operation, channel and token', async () => {
      await takeEvents();
      const channel = ownChannel();
      for (let i = 0; i < 5; i++) assert.equal((await postWith(url, 'allow-300', channel)).status, 200);
      assert.equal((await takeEvents()).length, 1);
      await postWith(url, 'allow-301', channel);
      await postWith(url, 'allow-300', ownChannel());
      assert.equal((await takeEvents()).length, 2, 'another token, another channel');

      const authorization = withToken(url, 'allow-300');
      for (let i = 0; i < 2; i++) {
        const connection = await Connection.connect(url, authorization);
        await connection.publish(channel, ['1'], authorization);
        await connection.subscribe(channel, authorization);
        connection.close();
      }
      assert.deepEqual(
        (await takeEvents()).map(({ requestContext }) => requestContext.operation),
        ['EVENT_CONNECT', 'EVENT_SUBSCRIBE'],
        'once each, and for the publish not at all',
      );
    });

    test('A denial is not kept, so that what it lacked can be granted', async () => {
      await takeEvents();
      const channel = ownChannel();
      for (let i = 0; i < 2; i++) assert.equal((await postWith(url, 'deny-300', channel)).status, 401);
      assert.equal((await takeEvents()).length, 2);
    });

    test('The template\'s time to keep answers counts where the function gives none', async () => {
      const keeping = await startGateway(authorizer, { parameters: { LambdaTtl: 300 } });
      try {
        await takeEvents();
        const channel = ownChannel();
        for (let i = 0; i < 3; i++) assert.equal((await postWith(keeping.url, 'allow', channel)).status, 200);
        assert.equal((await takeEvents()).length, 1);
        for (let i = 0; i < 3; i++) assert.equal((await postWith(keeping.url, 'allow-0', channel)).status, 200);
        assert.equal((await takeEvents()).length, 3, 'ttlOverride 0 asks for each');

        // Those who ask at the same time share one call.
        const together = ownChannel();
        const answers = await Promise.all(Array.from({ length: 8 }, () => postWith(keeping.url, 'allow', together)));
        assert.deepEqual(answers.map(({ status }) => status), Array(8).fill(200));
        assert.equal((await takeEvents()).length, 1);
      } finally {
        await keeping.stop();
      }
    });

    test('Tokens that the template\'s expression does not match are refused without a call', async () => {
      const picky = await startGateway(authorizer, { parameters: { LambdaTokens: '^allow' } });
      try {
        await takeEvents();
        assert.equal((await postWith(picky.url, 'allow')).status, 200);
        assert.equal((await postWith(picky.url, 'please-allow')).status, 401);
        assert.deepEqual((await takeEvents()).map(({ authorizationToken }) => authorizationToken), ['allow']);
      } finally {
        await picky.stop();
      }
    });

    test('A function that answers nonsense or not in time fails, as one that throws', async () => {
      for (const token of ['shrug', 'nothing', 'sleep', 'crash']) {
        const { status, errorType, message } = await postWith(url, token);
        if (token === 'shrug') assert.deepEqual([status, errorType], [401, 'UnauthorizedException'], 'only true is a yes');
        else assert.deepEqual([token, status, errorType], [token, 500, 'AuthorizerFailureException']);
        if (token === 'crash') assert.equal(message, 'the table of tenants is missing');
      }
      const connection = await Connection.connect(url, withToken(url, 'allow'));
      assertRefused(await connection.subscribe(ownChannel(), withToken(url, 'crash')), 'subscribe_error', 'SubscriptionProcessingError');
      assertRefused(await connection.publish(ownChannel(), ['1'], withToken(url, 'crash')), 'publish_error', 'AuthorizerFailureException');
      const usable = await connection.subscribe(ownChannel(), withToken(url, 'allow'));
      assert.equal(usable.type, 'subscribe_success', 'the socket stays usable');
      connection.close();
    });

    test('A token that another mode could read but nobody here issued is the function\'s business, as it is', async () => {
      await takeEvents();
      const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const foreign = `${part({ alg: 'RS256' })}.${part({ iss: 'https://elsewhere.example.com' })}.c2lnbmF0dXJl`;
      for (const token of [foreign, `Bearer ${foreign}`]) assert.equal((await postWith(url, token)).status, 500); // it has no answer
      assert.deepEqual(
        (await takeEvents()).map(({ authorizationToken }) => authorizationToken),
        [foreign, `Bearer ${foreign}`],
      );
    });

    test('Where a namespace does not take the mode, the function is not asked', async () => {
      await takeEvents();
      const { status, errorType, message } = await postWith(url, 'allow', ownChannel('keys'));
      assert.deepEqual([status, errorType, message], [403, 'UnauthorizedException', undefined]);
      assert.deepEqual(await takeEvents(), []);
    });
  });

  test('A function that cannot be reached fails, and works once it is there', async (t) => {
    let authorizer = await LambdaFunction.start('journaling.mjs');
    const gateway = await startGateway(authorizer, { AuthorizerTimeout: '00:00:03' });
    t.after(async () => {
      await gateway.stop();
      await authorizer.stop();
    });
    assert.equal((await postWith(gateway.url, 'allow')).status, 200);
    await authorizer.stop();
    const { status, errorType } = await postWith(gateway.url, 'allow');
    assert.deepEqual([status, errorType], [500, 'AuthorizerFailureException']);
    authorizer = await LambdaFunction.start('journaling.mjs', new URL(authorizer.url).port);
    assert.equal((await postWith(gateway.url, 'allow')).status, 200);
  });
});
