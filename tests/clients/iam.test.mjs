// AWS_IAM: requests signed by everything that signs for AppSync in practice, and what policies allow.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFile, execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runScenario } from './amplify/run.mjs';
import { Gateway } from './gateway.mjs';
import { Connection, assertRefused, read } from './protocol.mjs';
import { accessKey, settings } from './settings.mjs';
import { sign } from './signing.mjs';

const run = promisify(execFile);
const template = fileURLToPath(new URL('./templates/modes.yaml', import.meta.url));

// The first as AWS makes them, with the slash that has broken signers; the second temporary, with a token as long as those of STS.
const publisher = { accessKeyId: 'AKIAFANFARE000000001', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const temporary = {
  accessKeyId: 'ASIAFANFARE000000002',
  secretAccessKey: '8Wn2kQx/0sV5yTb+7hJmR3cLpZfUdGaE1oXiNtYq',
  sessionToken: `IQoJb3JpZ2luX2VjE${'Fw0+Zm/9aB'.repeat(80)}==`,
};
const reader = { accessKeyId: 'AKIAFANFARE000000003', secretAccessKey: 'pT4vKz9+qLs2WdXr/6YbHn0JcMgEfUaVtRi8oQ1x' };
const nobody = { accessKeyId: 'AKIAFANFARE000000004', secretAccessKey: 'cH7gBn3Jk/5LmQwErTyUiOpAsDfGhZxCvBnM0987' };

const users = [
  { Name: 'publisher', ...accessKey(publisher), Policies: [{ Effect: 'Allow', Action: 'appsync:*', Resource: '*' }] },
  {
    Name: 'session',
    ...accessKey(temporary),
    Policies: [
      { Effect: 'Allow', Action: 'appsync:EventConnect', Resource: 'arn:aws:appsync:us-east-1:000000000000:apis/??????????????????????????' },
      {
        Effect: 'Allow',
        Action: ['appsync:EventPublish', 'appsync:EventSubscribe'],
        Resource: ['arn:aws:appsync:us-east-1:000000000000:apis/*/channelNamespace/default'],
      },
    ],
  },
  {
    Name: 'reader',
    ...accessKey(reader),
    Policies: [
      { Effect: 'Allow', Action: 'appsync:*', Resource: 'arn:aws:appsync:us-east-1:000000000000:apis/*' },
      { Effect: 'Deny', Action: 'appsync:EventPublish', Resource: 'arn:aws:appsync:*:*:apis/*/channelNamespace/readonly' },
    ],
  },
  { Name: 'nobody', ...accessKey(nobody) },
];

describe('Signed in by IAM', { timeout: 120_000 }, () => {
  let gateway;
  let url;
  before(async () => {
    gateway = await Gateway.start({
      args: ['--template', template, ...settings('Fanfare:Iam:Users', users)],
      secrets: users.flatMap(({ SecretAccessKey, SessionToken }) => [SecretAccessKey, ...(SessionToken ? [SessionToken] : [])]),
    });
    url = gateway.url;
  });
  after(() => gateway?.stop());

  const ownChannel = (namespace = 'default') => `/${namespace}/${randomUUID()}`;

  /** Publishes over HTTP, signed with the SDK's signer. */
  async function post(credentials, channel, events, options) {
    const body = JSON.stringify({ channel, events });
    const headers = await sign(url, credentials, body, options);
    return read(await fetch(`${url}/event`, { method: 'POST', headers, body, signal: AbortSignal.timeout(15_000) }));
  }

  /** The credentials of a message. */
  const forMessage = (credentials, message) => sign(url, credentials, JSON.stringify(message));
  const connect = async (credentials) => Connection.connect(url, await sign(url, credentials, '{}'));

  describe('with curl', () => {
    async function curl({ accessKeyId, secretAccessKey, sessionToken }, body, contentType = 'application/json') {
      const { stdout } = await run('curl', [
        ...['--silent', '--show-error', '--max-time', '10', '--write-out', '\n%{http_code} %header{x-amzn-errortype}'],
        ...['--aws-sigv4', 'aws:amz:us-east-1:appsync', '--user', `${accessKeyId}:${secretAccessKey}`],
        ...(sessionToken ? ['--header', `x-amz-security-token: ${sessionToken}`] : []),
        ...(contentType ? ['--header', `content-type: ${contentType}`] : []),
        ...['--data', JSON.stringify(body), `${url}/event`],
      ]);
      const [, text, status, errorType] = /^(.*)\n(\d+) (\S*)$/s.exec(stdout);
      return { status: Number(status), errorType: errorType || undefined, body: JSON.parse(text) };
    }

    test('curl --aws-sigv4 publishes', async () => {
      const { status, body } = await curl(publisher, { channel: ownChannel(), events: ['{"text":"é <b>&amp;</b> / \\\\ \\" 🎺"}', '2'] });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(body.failed, []);
      assert.deepEqual(body.successful.map(({ index }) => index), [0, 1]);
    });

    test('curl --aws-sigv4 publishes with the form content type of a plain -d', async () => {
      const { status, body } = await curl(publisher, { channel: ownChannel(), events: ['1'] }, null);
      assert.equal(status, 200, JSON.stringify(body));
    });

    test('curl --aws-sigv4 publishes with temporary credentials', async () => {
      const { status, body } = await curl(temporary, { channel: ownChannel(), events: ['1'] });
      assert.equal(status, 200, JSON.stringify(body));
    });

    test('A wrong secret is refused with 400 BadRequestException', async () => {
      const { status, errorType, body } = await curl({ ...publisher, secretAccessKey: 'wrong' }, { channel: ownChannel(), events: ['1'] });
      assert.deepEqual([status, errorType], [400, 'BadRequestException']);
      assert.equal(body.errors[0].message, 'signature mismatch');
    });

    test('An unknown access key is refused with 401 UnauthorizedException', async () => {
      const { status, errorType, body } = await curl({ ...publisher, accessKeyId: 'AKIAUNKNOWN' }, { channel: ownChannel(), events: ['1'] });
      assert.deepEqual([status, errorType], [401, 'UnauthorizedException']);
      assert.equal(body.errors[0].message, 'You are not authorized to make this call.');
    });
  });

  describe('with the signer of the AWS SDK for JavaScript', () => {
    test('Each operation is signed for itself and works', async () => {
      const channel = ownChannel();
      const connection = await connect(publisher);
      const subscribed = await connection.subscribe(channel, await forMessage(publisher, { channel }));
      assert.equal(subscribed.type, 'subscribe_success', JSON.stringify(subscribed));
      const events = ['{"text":"é <b>&amp;</b> / \\\\ \\" 🎺"}', '"\\u00e9"'];
      const published = await connection.publish(channel, events, await forMessage(publisher, { channel, events }));
      assert.equal(published.type, 'publish_success', JSON.stringify(published));
      await connection.received(subscribed.id, events[1]);
      assert.equal((await post(publisher, channel, ['"over HTTP"'])).status, 200);
      await connection.received(subscribed.id, '"over HTTP"');
      assert.deepEqual(connection.events(subscribed.id), [...events, '"over HTTP"']);
      connection.close();
    });

    test('Temporary credentials work with their session token, and with no other', async () => {
      assert.equal((await post(temporary, ownChannel(), ['1'])).status, 200);
      (await connect(temporary)).close();
      for (const sessionToken of [undefined, `${temporary.sessionToken.slice(0, -3)}x==`]) {
        const { status, errorType } = await post({ ...temporary, sessionToken }, ownChannel(), ['1']);
        assert.deepEqual([status, errorType], [401, 'UnauthorizedException']);
      }
      const { status, errorType } = await post({ ...publisher, sessionToken: temporary.sessionToken }, ownChannel(), ['1']);
      assert.deepEqual([status, errorType], [401, 'UnauthorizedException'], 'a long-term key has no token');
    });

    test('A signature for another body, region or hour is refused with 400 BadRequestException', async () => {
      const headers = await sign(url, publisher, JSON.stringify({ channel: '/default/a', events: ['1'] }));
      const forged = await read(
        await fetch(`${url}/event`, { method: 'POST', headers, body: JSON.stringify({ channel: '/default/a', events: ['2'] }) }),
      );
      assert.deepEqual([forged.status, forged.errorType, forged.message], [400, 'BadRequestException', 'signature mismatch']);

      const elsewhere = await post(publisher, ownChannel(), ['1'], { region: 'eu-west-1' });
      assert.deepEqual([elsewhere.status, elsewhere.errorType], [400, 'BadRequestException']);
      assert.match(elsewhere.message, /us-east-1\/appsync/);

      for (const [minutes, message] of [[-6, 'Signature expired'], [6, 'Signature not yet current']]) {
        const signingDate = new Date(Date.now() + minutes * 60_000);
        const late = await post(publisher, ownChannel(), ['1'], { signingDate });
        assert.deepEqual([late.status, late.errorType, late.message], [400, 'BadRequestException', message]);
      }
      assert.equal((await post(publisher, ownChannel(), ['1'], { signingDate: new Date(Date.now() - 4 * 60_000) })).status, 200);
    });

    test('The signature of a connect may come in headers of the upgrade, as from Android and Swift', async () => {
      for (const credentials of [publisher, temporary]) {
        const connection = await Connection.openWithHeaders(url, await sign(url, credentials, '{}'));
        assert.equal((await connection.frames.next()).type, 'connection_ack');
        connection.close();
      }
      const refused = await Connection.openWithHeaders(url, await sign(url, { ...publisher, secretAccessKey: 'wrong' }, '{}'));
      assert.equal(assertRefused(await refused.frames.next(), 'connection_error', 'BadRequestException').message, 'signature mismatch');
    });

    test('A publish that is sent again soon is taken, one that is played back later is not', async () => {
      const body = JSON.stringify({ channel: ownChannel(), events: ['1'] });
      const sendTwice = async (to) => {
        const request = { method: 'POST', headers: await sign(to, publisher, body), body };
        return [await read(await fetch(`${to}/event`, request)), await read(await fetch(`${to}/event`, request))];
      };
      assert.deepEqual((await sendTwice(url)).map(({ status }) => status), [200, 200]);

      // The time is set to nothing here, so as not to wait for it.
      const strict = await Gateway.start({
        args: ['--template', template, ...settings('Fanfare:Iam', { Users: users, RepeatTime: '00:00:00' })],
      });
      try {
        const [first, { status, errorType, message }] = await sendTwice(strict.url);
        assert.equal(first.status, 200);
        assert.deepEqual([status, errorType, message], [400, 'BadRequestException', 'The signature was used before']);
      } finally {
        await strict.stop();
      }
    });

    test('On a WebSocket a signature is good for its message alone', async () => {
      const channel = ownChannel();
      const connection = await connect(publisher);
      const forChannel = await forMessage(publisher, { channel });
      const elsewhere = await connection.subscribe(ownChannel(), forChannel);
      assert.equal(assertRefused(elsewhere, 'subscribe_error', 'BadRequestException').message, 'signature mismatch');
      const published = await connection.publish(channel, ['1'], forChannel);
      assert.equal(assertRefused(published, 'publish_error', 'BadRequestException').message, 'signature mismatch');
      assert.equal((await connection.subscribe(channel, forChannel)).type, 'subscribe_success', 'the socket stays usable');
      connection.close();
    });

    test('A wrong secret and an unknown key are refused at connect with connection_error', async () => {
      const wrong = await Connection.refused(url, await sign(url, { ...publisher, secretAccessKey: 'wrong' }, '{}'));
      assert.deepEqual(wrong, { errorType: 'BadRequestException', message: 'signature mismatch', errorCode: 400 });
      const unknown = await Connection.refused(url, await sign(url, { ...publisher, accessKeyId: 'AKIAUNKNOWN' }, '{}'));
      assert.deepEqual([unknown.errorType, unknown.errorCode], ['UnauthorizedException', 401]);
    });
  });

  describe('by policy', () => {
    test('A denied publish names user, action and resource over HTTP, and nothing on a WebSocket', async () => {
      const channel = ownChannel('readonly');
      const { status, errorType, message } = await post(reader, channel, ['1']);
      assert.deepEqual([status, errorType], [403, 'AccessDeniedException']);
      assert.match(
        message,
        /^User: arn:aws:iam::000000000000:user\/reader is not authorized to perform: appsync:EventPublish on resource: arn:aws:appsync:us-east-1:000000000000:apis\/[a-z0-9]{26}\/channelNamespace\/readonly$/,
      );
      const connection = await connect(reader);
      const events = ['1'];
      const refused = await connection.publish(channel, events, await forMessage(reader, { channel, events }));
      assert.equal(assertRefused(refused, 'publish_error', 'UnauthorizedException').message, undefined);
      const subscribed = await connection.subscribe(channel, await forMessage(reader, { channel }));
      assert.equal(subscribed.type, 'subscribe_success');
      assert.equal((await post(reader, ownChannel(), ['1'])).status, 200, 'other namespaces are not denied');
      connection.close();
    });

    test('A user without policies may sign but do nothing', async () => {
      const { status, errorType } = await post(nobody, ownChannel(), ['1']);
      assert.deepEqual([status, errorType], [403, 'AccessDeniedException']);
      const refused = await Connection.refused(url, await sign(url, nobody, '{}'));
      assert.deepEqual([refused.errorType, refused.errorCode], ['UnauthorizedException', 403]);
    });

    test('A policy for one namespace does not open another', async () => {
      const { status, errorType } = await post(temporary, ownChannel('readonly'), ['1']);
      assert.deepEqual([status, errorType], [403, 'AccessDeniedException']);
    });

    test('Where a namespace does not take the mode, a policy that allows everything does not help', async () => {
      const { status, errorType, message } = await post(publisher, ownChannel('keys'), ['1']);
      assert.deepEqual([status, errorType, message], [403, 'UnauthorizedException', undefined]);
    });
  });

  describe('with Amplify', { concurrency: 3 }, () => {
    const program = fileURLToPath(new URL('./amplify/modes.mjs', import.meta.url));
    const amplify = (scenario, credentials, { signal }, { error, channel } = {}) =>
      runScenario(program, scenario, {
        signal,
        environment: {
          FANFARE_URL: url,
          FANFARE_SIGN_IN: JSON.stringify({ authMode: 'iam', credentials, channel }),
          FANFARE_ERROR: error,
        },
      });

    test('Amplify connects, subscribes, publishes and posts, with texts that JSON writers escape differently', (t) =>
      amplify('all-operations', publisher, t));
    test('Amplify does all that with temporary credentials', (t) => amplify('all-operations', temporary, t));
    test('A wrong secret ends Amplify\'s attempts at once', (t) =>
      amplify('refused-at-connect', { ...publisher, secretAccessKey: 'wrong' }, t, { error: 'BadRequestException' }));
    test('Where a policy denies publishing, Amplify is told and its socket stays usable', (t) =>
      amplify('reads-but-cannot-publish', reader, t, { channel: `readonly/${randomUUID()}`, error: 'AccessDeniedException' }));
  });

  const python = '/usr/bin/python3';
  function missing() {
    try {
      execFileSync(python, ['-c', 'import botocore, websocket'], { stdio: 'pipe' });
      return false;
    } catch {
      return `${python} with botocore and websocket-client (packages python3-botocore, python3-websocket) is not installed`;
    }
  }

  for (const [who, credentials] of [['long-term', publisher], ['temporary', temporary]]) {
    test(`A Python script signs with botocore, with ${who} credentials`, { skip: missing() }, async () => {
      const channel = ownChannel();
      const program = fileURLToPath(new URL('./python/iam.py', import.meta.url));
      const { stdout } = await run(python, [program, url, 'us-east-1', channel], {
        timeout: 50_000,
        env: {
          ...process.env,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_SESSION_TOKEN: credentials.sessionToken ?? '',
        },
      });
      const steps = stdout.trim().split('\n').map((line) => JSON.parse(line));
      const next = (step) => {
        const entry = steps.shift();
        assert.equal(entry?.step, step, `unexpected ${JSON.stringify(entry)}`);
        return entry;
      };
      const nextFrame = () => next('frame').frame;

      assert.equal(nextFrame().type, 'connection_ack');
      assert.equal(nextFrame().type, 'ka');
      assert.deepEqual(nextFrame(), { type: 'subscribe_success', id: 's' });
      // The confirmation of a publish and its events come in any order, the events in theirs.
      const frames = [nextFrame(), nextFrame(), nextFrame()];
      assert.equal(frames.find(({ id }) => id === 'p')?.type, 'publish_success', JSON.stringify(frames));
      assert.deepEqual(
        frames.filter(({ type }) => type === 'data').map(({ event }) => JSON.parse(event)),
        [1, 2].map((n) => ({ text: 'é <b>&amp;</b> / \\ "', n })),
      );
      assert.equal(assertRefused(nextFrame(), 'publish_error', 'BadRequestException').message, 'signature mismatch');
      assert.equal(next('http').status, 200);
      assert.equal(nextFrame().event, '"escaped é"');
      assert.equal(next('http').status, 200);
      assert.equal(nextFrame().event, '"plain é 🎺"');

      const refused = next('http');
      assert.deepEqual([refused.status, refused.type], [400, 'BadRequestException']);
      assert.deepEqual(nextFrame().errors, [{ errorType: 'BadRequestException', message: 'signature mismatch', errorCode: 400 }]);
      assert.deepEqual(steps, []);
    });
  }
});
