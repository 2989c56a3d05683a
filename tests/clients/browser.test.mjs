// A real browser: Amplify in a page of another origin, two tabs at once, and the hand-written code of AWS's examples.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { makeCertificate } from './certificate.mjs';
import { Gateway, apiKey, wrongKey } from './gateway.mjs';
import { Journal, within } from './waiting.mjs';

const executablePath = '/usr/bin/chromium';
const skip = !existsSync(executablePath) && `${executablePath} is not installed`;
const deadline = 15_000;

let browser;
let certificate;
let gateway;
let pages;

/** Serves the page from an origin of its own: another port, and by name instead of by address. */
async function servePages() {
  const directory = fileURLToPath(new URL('./page', import.meta.url));
  const bundle = await build({ entryPoints: [`${directory}/app.js`], bundle: true, format: 'esm', write: false });
  const files = {
    '/': ['text/html', await readFile(`${directory}/index.html`)],
    '/app.js': ['text/javascript', bundle.outputFiles[0].contents],
    '/empty': ['text/html', '<!doctype html><title>Empty</title>'],
  };
  const server = createServer((request, response) => {
    const [type, content] = files[new URL(request.url, 'http://localhost').pathname] ?? [];
    if (!type) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': type }).end(content);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://localhost:${server.address().port}`, close: () => server.close() };
}

// A skipped suite counts for nothing, a skipped test is counted.
if (skip) test('In a browser', { skip });
else describe('In a browser', { timeout: 120_000 }, () => {
  before(async () => {
    certificate = makeCertificate();
    [gateway, pages, browser] = await Promise.all([
      Gateway.start({ tls: certificate }),
      servePages(),
      chromium.launch({
        executablePath,
        args: [
          ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
          ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
        ],
      }),
    ]);
  });
  after(async () => {
    await browser?.close();
    pages?.close();
    certificate?.remove();
    await gateway?.stop();
  });

  const addresses = { 'TLS': () => gateway.secureUrl, 'plain HTTP': () => gateway.url };

  for (const [transport, address] of Object.entries(addresses)) {
    test(`Two tabs with Amplify see each other's events over ${transport}`, async (t) => {
      const context = await openContext(t);
      const base = `default/${randomUUID()}`;
      const open = async (watch) => {
        const page = await context.newPage();
        const settings = new URLSearchParams({ gateway: address(), key: apiKey, send: `/${base}/list`, watch });
        await page.goto(`${pages.origin}/?${settings}`);
        return page;
      };
      const [exact, wildcard] = await Promise.all([open(`/${base}/list`), open(`/${base}/*`)]);
      for (const page of [exact, wildcard]) await shows(page, '#state', 'subscribed');

      await exact.fill('#text', 'from the first tab');
      await exact.click('#publish');
      await wildcard.fill('#text', 'one|two|three');
      for (const page of [exact, wildcard]) await lists(page, ['from the first tab']);
      await wildcard.click('#publish');
      for (const page of [exact, wildcard]) await lists(page, ['from the first tab', 'one', 'two', 'three']);
      await wildcard.fill('#text', 'posted from the second tab');
      await wildcard.click('#post');
      const all = ['from the first tab', 'one', 'two', 'three', 'posted from the second tab'];
      for (const page of [exact, wildcard]) await lists(page, all);

      // A closed channel gets nothing more, and the other tab does not notice.
      const closing = closingOfSocket(exact);
      await exact.click('#close');
      await within(deadline, 'the socket of the closed tab', closing);
      await wildcard.fill('#text', 'after the first tab has closed');
      await wildcard.click('#post');
      await lists(wildcard, [...all, 'after the first tab has closed']);
      await lists(exact, all);
      for (const page of [exact, wildcard]) assert.equal(await page.textContent('#error'), '');
    });

    test(`Amplify in a page reports refusals over ${transport}`, async (t) => {
      const context = await openContext(t);
      const page = await context.newPage();
      const channel = `/default/${randomUUID()}`;
      const settings = { gateway: address(), key: apiKey, send: channel, watch: channel };
      await page.goto(`${pages.origin}/?${new URLSearchParams({ ...settings, key: wrongKey })}`);
      await shows(page, '#state', 'failed');
      await shows(page, '#error', 'Error: UnauthorizedException');

      await page.goto(`${pages.origin}/?${new URLSearchParams(settings)}`);
      await shows(page, '#state', 'subscribed');
      await page.fill('#text', '1|2|3|4|5|6');
      await page.click('#publish');
      await shows(page, '#error', 'Error: Publish errors: InvalidInputError');
      await page.fill('#text', '1|2|3|4|5|6');
      await page.click('#post');
      // The name comes from a header that another origin's script may read only because the gateway exposes it.
      await page.locator('#error', { hasText: 'BadRequestException: ' }).waitFor({ timeout: deadline });
      await page.fill('#text', 'the first to arrive');
      await page.click('#publish');
      await lists(page, ['the first to arrive']);
    });

    for (const order of [['protocol', 'credential'], ['credential', 'protocol']]) {
      test(`A plain WebSocket works over ${transport} with the ${order[0]} first`, async (t) => {
        const page = await openEmptyPage(t);
        const channel = `/default/${randomUUID()}`;
        const outcome = await page.evaluate(converse, { gateway: address(), apiKey, order, channel });
        assert.equal(outcome.protocol, 'aws-appsync-event-ws');
        const [ack, keepAlive, ...others] = outcome.frames;
        assert.deepEqual(ack, { type: 'connection_ack', connectionTimeoutMs: 300_000 });
        assert.deepEqual(keepAlive, { type: 'ka' });
        const byType = Object.fromEntries(others.map((frame) => [frame.type, frame]));
        assert.deepEqual(byType.subscribe_success, { type: 'subscribe_success', id: 's1' });
        assert.deepEqual(byType.data, { type: 'data', id: 's1', event: '{"by":"hand"}' });
        assert.equal(byType.publish_success.id, 'p1');
        assert.deepEqual(byType.publish_success.successful.map(({ index }) => index), [0]);
        assert.deepEqual(byType.publish_success.failed, []);
        assert.deepEqual(byType.unsubscribe_success, { type: 'unsubscribe_success', id: 's1' });
        assert.deepEqual(outcome.close, { code: 1000, wasClean: true });
      });
    }

    test(`A plain WebSocket with a wrong key is told so over ${transport}, and closed`, async (t) => {
      const page = await openEmptyPage(t);
      const order = ['protocol', 'credential'];
      const outcome = await page.evaluate(converse, { gateway: address(), apiKey: wrongKey, order, channel: '/default/x' });
      const [{ errorType, errorCode }] = outcome.frames[0].errors;
      assert.deepEqual([outcome.frames[0].type, errorType, errorCode], ['connection_error', 'UnauthorizedException', 401]);
      assert.equal(outcome.frames.length, 1);
      assert.deepEqual(outcome.close, { code: 1000, wasClean: true });
    });

    test(`Script of another origin can publish over ${transport} and read the answers`, async (t) => {
      const page = await openEmptyPage(t);
      const requests = await observeNetwork(page);
      const publish = (key, body) => page.evaluate(fetchEvent, { url: `${address()}/event`, key, body });
      const channel = `/default/${randomUUID()}`;

      const good = await publish(apiKey, { channel, events: ['1', '"two"'] });
      assert.equal(good.status, 200);
      assert.match(good.requestId, /^[0-9a-f-]{36}$/);
      assert.deepEqual(good.body.successful.map(({ index }) => index), [0, 1]);
      assert.deepEqual(good.body.failed, []);
      await requests.until('the preflight', ({ method, status }) => method === 'OPTIONS' && [200, 204].includes(status));

      const many = await publish(apiKey, { channel, events: ['1', '2', '3', '4', '5', '6'] });
      assert.deepEqual([many.status, many.errorType], [400, 'BadRequestException']);
      assert.match(many.requestId, /^[0-9a-f-]{36}$/);
      assert.deepEqual(many.body.errors, [{ errorType: 'BadRequestException', message: 'Input exceeded 5 event limit' }]);

      const forged = await publish(wrongKey, { channel, events: ['1'] });
      assert.deepEqual([forged.status, forged.errorType], [401, 'UnauthorizedException']);
      assert.equal(forged.body.errors[0].message, 'You are not authorized to make this call.');

      const unknown = await publish(apiKey, { channel: '/nowhere/room', events: ['1'] });
      assert.deepEqual([unknown.status, unknown.errorType], [403, 'UnauthorizedException']);
      assert.deepEqual(unknown.body.errors, [{ errorType: 'UnauthorizedException' }]);
    });
  }

  test('A WebSocket works as a stream of an HTTP/2 connection, and so does publishing', async (t) => {
    const page = await openEmptyPage(t);
    const requests = await observeNetwork(page);
    const url = gateway.secureUrl;
    // A browser opens a WebSocket inside HTTP/2 when it has such a connection, and one with credentials, already.
    await page.evaluate((address) => fetch(address, { mode: 'no-cors', credentials: 'include' }), `${url}/health`);
    await requests.until('an answer by HTTP/2', ({ method, protocol }) => method === 'GET' && protocol === 'h2');

    const order = ['protocol', 'credential'];
    const channel = `/default/${randomUUID()}`;
    const outcome = await page.evaluate(converse, { gateway: url, apiKey, order, channel });
    assert.ok(outcome.frames.some((frame) => frame.type === 'data' && frame.event === '{"by":"hand"}'));
    assert.deepEqual(outcome.close, { code: 1000, wasClean: true });
    const handshake = await requests.until('the handshake', ({ method }) => method === 'WebSocket');
    assert.equal(handshake.status, 200, 'An upgrade of HTTP/1.1 has 101, extended CONNECT has 200.');

    const body = { channel, events: ['1'] };
    const answer = await page.evaluate(fetchEvent, { url: `${url}/event`, key: apiKey, body });
    assert.equal(answer.status, 200);
    await requests.until('publishing by HTTP/2', ({ method, protocol }) => method === 'POST' && protocol === 'h2');
  });
});

async function openContext(t) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  t.after(() => context.close());
  return context;
}

async function openEmptyPage(t) {
  const page = await (await openContext(t)).newPage();
  await page.goto(`${pages.origin}/empty`);
  return page;
}

const shows = (page, selector, text) =>
  page.waitForFunction(([s, wanted]) => document.querySelector(s).textContent === wanted, [selector, text], { timeout: deadline })
    .catch(async (error) => {
      throw new Error(`${selector} shows "${await page.textContent(selector)}", not "${text}". ${await page.textContent('#error')}`, {
        cause: error,
      });
    });

/** Waits until the page lists as many events as expected, then compares them. */
async function lists(page, texts) {
  const items = page.locator('#events li');
  await items.nth(texts.length - 1).waitFor({ timeout: deadline });
  assert.deepEqual(await items.allTextContents(), texts);
}

/** Resolves when the page's WebSocket, already open, has closed. */
async function closingOfSocket(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  return new Promise((resolve) => session.once('Network.webSocketClosed', resolve));
}

/** A journal of the answers the page gets: method, status and protocol, those of preflights and handshakes included. */
async function observeNetwork(page) {
  const journal = new Journal('the answers that the page got');
  const methods = new Map();
  const session = await page.context().newCDPSession(page);
  session.on('Network.requestWillBeSent', ({ requestId, request }) => methods.set(requestId, request.method));
  session.on('Network.responseReceived', ({ requestId, response: { status, protocol } }) =>
    journal.push({ method: methods.get(requestId), status, protocol }));
  session.on('Network.webSocketHandshakeResponseReceived', ({ response: { status } }) =>
    journal.push({ method: 'WebSocket', status }));
  await session.send('Network.enable');
  return journal;
}

/* The functions below run in the page. */

async function fetchEvent({ url, key, body }) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key },
    body: JSON.stringify(body),
  });
  return {
    status: response.status,
    errorType: response.headers.get('x-amzn-errortype'),
    requestId: response.headers.get('x-amzn-requestid'),
    body: await response.json(),
  };
}

/** Connects, subscribes, publishes, receives, unsubscribes and closes, as AWS's examples for browsers do. */
function converse({ gateway, apiKey, order, channel }) {
  const authorization = { 'host': new URL(gateway).host, 'x-api-key': apiKey };
  const base64Url = btoa(JSON.stringify(authorization)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const subprotocols = { protocol: 'aws-appsync-event-ws', credential: `header-${base64Url}` };
  const socket = new WebSocket(
    `${gateway.replace(/^http/, 'ws')}/event/realtime`,
    order.map((which) => subprotocols[which]),
  );
  const frames = [];
  const send = (frame) => socket.send(JSON.stringify(frame));
  const seen = (type) => frames.some((frame) => frame.type === type);
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`The conversation stopped after ${JSON.stringify(frames)}.`)), 15_000);
    socket.onopen = () => send({ type: 'connection_init' });
    socket.onerror = () => reject(new Error(`The socket failed after ${JSON.stringify(frames)}.`));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      frames.push(frame);
      if (frame.type === 'ka' && !seen('subscribe_success')) {
        send({ type: 'subscribe', id: 's1', channel, authorization });
      } else if (frame.type === 'subscribe_success') {
        send({ type: 'publish', id: 'p1', channel, events: ['{"by":"hand"}'], authorization });
      } else if (frame.type === 'unsubscribe_success') {
        socket.close(1000);
      } else if (seen('data') && seen('publish_success')) {
        send({ type: 'unsubscribe', id: 's1' });
      }
    };
    socket.onclose = ({ code, wasClean }) => resolve({ protocol: socket.protocol, frames, close: { code, wasClean } });
  });
}
