// The command line: the example of the start banner, the documented errors as curl shows them, and wscat.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFile, spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Gateway, apiKey, wrongKey } from './gateway.mjs';
import { Journal, within } from './waiting.mjs';

const run = promisify(execFile);

describe('On the command line', { timeout: 60_000 }, () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start();
  });
  after(() => gateway?.stop());

  /** Publishes with curl and returns what a user would see of the answer; without a body it is a GET. */
  async function curl(body, { key = apiKey, path = '/event', options = [] } = {}) {
    const running = run('curl', [
      ...['--silent', '--show-error', '--max-time', '10', '--include'],
      ...(key ? ['--header', `x-api-key: ${key}`] : []),
      ...(body === undefined ? [] : ['--header', 'content-type: application/json', '--data-binary', '@-']),
      ...options,
      `${gateway.url}${path}`,
    ]);
    running.child.stdin.end(typeof body === 'object' ? JSON.stringify(body) : body);
    const [head, text] = (await running).stdout.split(/\r\n\r\n(.*)/s);
    const [status, ...headers] = head.split('\r\n');
    return {
      status: Number(status.split(' ')[1]),
      headers: Object.fromEntries(headers.map((line) => line.split(/: (.*)/)).map(([name, value]) => [name.toLowerCase(), value])),
      text,
    };
  }

  test('The curl command that the gateway prints at its start publishes as it stands', async () => {
    const { stdout } = await run('sh', ['-c', gateway.command('curl')], { timeout: 15_000 });
    const answer = JSON.parse(stdout);
    assert.deepEqual(answer.failed, []);
    assert.deepEqual(answer.successful.map(({ index }) => index), [0]);
    assert.match(answer.successful[0].identifier, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  /** Runs a command line with wscat in it until the test ends, and returns a journal of the frames it prints. */
  function listen(t, commandLine) {
    const child = spawn('sh', ['-c', commandLine], { cwd: import.meta.dirname, stdio: ['pipe', 'pipe', 'pipe'] });
    const frames = new Journal('the frames that wscat printed');
    createInterface({ input: child.stdout }).on('line', (line) => frames.push(JSON.parse(line)));
    child.stderr.setEncoding('utf8').on('data', (text) => t.diagnostic(text));
    const ended = new Promise((resolve) => child.once('close', resolve));
    t.after(async () => {
      child.stdin.end(); // which ends wscat
      await within(10_000, 'the end of wscat', ended);
    });
    return frames;
  }

  /** Publishes with the banner's curl command and asserts that it is the next thing the listener hears. */
  async function assertHears(frames, id) {
    await run('sh', ['-c', gateway.command('curl')], { timeout: 15_000 });
    const published = JSON.parse(/\{.*\}/s.exec(gateway.command('curl'))[0]);
    assert.deepEqual(await frames.next('the event'), { type: 'data', id, event: published.events[0] });
  }

  test('The wscat command that the gateway prints at its start receives what the curl command publishes', async (t) => {
    const frames = listen(t, gateway.command('npx'));
    const { type, id } = await frames.next('the confirmation', { deadline: 20_000 });
    assert.equal(type, 'subscribe_success');
    await assertHears(frames, id);
  });

  test('wscat with both subprotocols is acknowledged, kept alive and subscribed', async (t) => {
    const authorization = { 'host': new URL(gateway.url).host, 'x-api-key': apiKey };
    const credential = `header-${Buffer.from(JSON.stringify(authorization)).toString('base64url')}`;
    const frames = listen(t, [
      `exec node_modules/.bin/wscat --connect ${gateway.url.replace('http', 'ws')}/event/realtime`,
      `-s ${credential} -s aws-appsync-event-ws --wait -1 -x '${JSON.stringify({ type: 'connection_init' })}'`,
      `-x '${JSON.stringify({ type: 'subscribe', id: 'cat', channel: '/default/*', authorization })}'`,
    ].join(' '));
    assert.deepEqual(await frames.next('the ack'), { type: 'connection_ack', connectionTimeoutMs: 300_000 });
    assert.deepEqual(await frames.next('the keep-alive'), { type: 'ka' });
    assert.deepEqual(await frames.next('the confirmation'), { type: 'subscribe_success', id: 'cat' });
    await assertHears(frames, 'cat');
  });

  const channel = `/default/${randomUUID()}`;
  const notAuthorized = 'You are not authorized to make this call.';
  const refusals = [
    ['a wrong key', { channel, events: ['1'] }, { key: wrongKey }, 401, 'UnauthorizedException', notAuthorized],
    ['no credentials', { channel, events: ['1'] }, { key: null }, 401, 'UnauthorizedException', notAuthorized],
    ['an unknown namespace', { channel: '/nowhere/x', events: ['1'] }, {}, 403, 'UnauthorizedException', undefined],
    ['six events', { channel, events: ['1', '2', '3', '4', '5', '6'] }, {}, 400, 'BadRequestException', 'Input exceeded 5 event limit'],
    ['a wildcard', { channel: '/default/*', events: ['1'] }, {}, 400, 'BadRequestException', 'Invalid Channel Format'],
    ['a malformed channel', { channel: '/default//x', events: ['1'] }, {}, 400, 'BadRequestException', 'Invalid Channel Format'],
    ['no events', { channel, events: [] }, {}, 400, 'BadRequestException', /./],
    ['an event that is not JSON', { channel, events: ['{'] }, {}, 400, 'BadRequestException', /./],
    ['an event that is not a string', { channel, events: [{ n: 1 }] }, {}, 400, 'BadRequestException', /./],
    ['no channel', { events: ['1'] }, {}, 400, 'BadRequestException', /./],
    ['a body that is not JSON', '{"channel":', {}, 400, 'BadRequestException', /./],
    ['an empty body', '', {}, 400, 'MalformedHttpRequestException', 'Request body is empty.'],
  ];
  for (const [what, body, how, status, errorType, message] of refusals) {
    test(`Publishing with ${what} is refused with ${status} ${errorType}`, async () => {
      const answer = await curl(body, how);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.headers['x-amzn-errortype'], errorType);
      assert.match(answer.headers['content-type'], /^application\/json\b/);
      assert.match(answer.headers['x-amzn-requestid'], /^[0-9a-f-]{36}$/);
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      const { errors } = JSON.parse(answer.text);
      assert.equal(errors.length, 1);
      assert.equal(errors[0].errorType, errorType);
      if (message instanceof RegExp) assert.match(errors[0].message, message);
      else assert.equal(errors[0].message, message);
    });
  }

  test('An event that is too large fails alone within its batch', async () => {
    const large = JSON.stringify('x'.repeat(300 * 1024));
    const { status, text } = await curl({ channel, events: ['"before"', large, '"after"'] });
    assert.equal(status, 200, text);
    const { successful, failed } = JSON.parse(text);
    assert.deepEqual(successful.map(({ index }) => index), [0, 2]);
    assert.deepEqual(failed.map(({ index, code }) => [index, code]), [[1, 'EventTooLargeException']]);
  });

  test('The form content type that plain curl -d sends is accepted', async () => {
    const { status, text } = await curl(undefined, {
      options: ['-d', JSON.stringify({ channel, events: ['{"a":"b=c&d+e"}'] })],
    });
    assert.equal(status, 200, text);
    assert.deepEqual(JSON.parse(text).failed, []);
  });

  test('Publishing is all there is: another method is refused with 405, another path with 404', async () => {
    assert.equal((await curl(undefined)).status, 405);
    assert.equal((await curl({ channel, events: ['1'] }, { path: '/elsewhere' })).status, 404);
  });
});
