// The protocol by hand, for what Amplify cannot show: frames as they are, and every kind of credentials.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import WebSocket from 'ws';
import { Journal, within } from './waiting.mjs';

/** The authorization object of a token, for a subprotocol or a message. */
export const withToken = (url, token) => ({ host: new URL(url).host, Authorization: token });

/** Publishes over HTTP, and returns what there is to see of the answer. */
export async function post(url, headers, { channel, events }) {
  const response = await fetch(`${url}/event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ channel, events }),
    signal: AbortSignal.timeout(15_000),
  });
  return read(response);
}

/** The status, the error's type as the header has it, and the body of an answer. */
export async function read(response) {
  const body = await response.json();
  const errorType = response.headers.get('x-amzn-errortype') ?? undefined;
  assert.equal(errorType, body.errors?.[0].errorType, 'header and body name the same error');
  return { status: response.status, errorType, message: body.errors?.[0].message, body };
}

/** A WebSocket of the protocol, with the frames that arrived. */
export class Connection {
  frames = new Journal('the frames of a connection');
  #socket;

  /** Opens a WebSocket, whether or not its credentials are good: the gateway says so in a frame. */
  static open(url, authorization) {
    const encoded = Buffer.from(JSON.stringify(authorization)).toString('base64url');
    return Connection.#open(url, ['aws-appsync-event-ws', `header-${encoded}`]);
  }

  /** Opens one with its credentials in headers of the upgrade, as the libraries for Android and Swift do. */
  static openWithHeaders(url, headers) {
    return Connection.#open(url, ['aws-appsync-event-ws'], headers);
  }

  static async #open(url, subprotocols, headers) {
    const connection = new Connection();
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/event/realtime`, subprotocols, { headers });
    connection.#socket = socket;
    connection.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('message', (data) => connection.frames.push(JSON.parse(data)));
    await within(15_000, 'a WebSocket', new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)));
    connection.send({ type: 'connection_init' });
    return connection;
  }

  /** Opens a WebSocket and asserts that it is acknowledged. */
  static async connect(url, authorization) {
    const connection = await Connection.open(url, authorization);
    assert.equal((await connection.frames.next('the ack')).type, 'connection_ack');
    return connection;
  }

  /** Opens a WebSocket, asserts that it is refused and closed, and returns the error. */
  static async refused(url, authorization) {
    const connection = await Connection.open(url, authorization);
    const { type, errors } = await connection.frames.next('the refusal');
    assert.equal(type, 'connection_error');
    assert.equal(await within(5_000, 'the close after the refusal', connection.closed), 1000);
    return errors[0];
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Sends a frame with an id of its own, and returns the answer to it. */
  async ask(frame) {
    const id = frame.id ?? randomUUID();
    this.send({ id, ...frame });
    return this.frames.until(`the answer to ${frame.type}`, (answer) => answer.id === id && answer.type !== 'data', {
      deadline: 15_000,
    });
  }

  /** Subscribes; the answer has the id. */
  subscribe(channel, authorization) {
    return this.ask({ type: 'subscribe', channel, authorization });
  }

  publish(channel, events, authorization) {
    return this.ask({ type: 'publish', channel, events, authorization });
  }

  /** The events of a subscription, as texts, in the order they came. */
  events(id) {
    return this.frames.entries.filter((frame) => frame.type === 'data' && frame.id === id).map((frame) => frame.event);
  }

  /** Waits for an event of a subscription. */
  received(id, event) {
    return this.frames.until(`the event ${event}`, (frame) => frame.type === 'data' && frame.id === id && frame.event === event);
  }

  close() {
    this.#socket.terminate();
  }
}

/** Asserts the type of an error frame and of its first error, and returns that error. */
export function assertRefused(frame, type, errorType) {
  assert.equal(frame.type, type, JSON.stringify(frame));
  assert.equal(frame.errors[0].errorType, errorType);
  return frame.errors[0];
}
