// Amplify as an application uses it, on a WebSocket that keeps a journal of its frames. Amplify keeps one connection per
// process, so every scenario is a process of its own and imports this module once.

import WebSocket from 'ws';
import { Journal } from '../waiting.mjs';

/** Every socket Amplify opened, in order. */
export const sockets = new Journal('the sockets that Amplify opened');

/** Set by a scenario to lose frames on their way to Amplify: called with each one, loses those it returns true for. */
export const faults = { loses: () => false };

let rewritesToPlain = false;

class JournalingWebSocket extends WebSocket {
  sent = new Journal('the frames that Amplify sent');
  received = new Journal('the frames that reached Amplify');

  constructor(url, protocols) {
    // Amplify makes wss: of http: too, so plain HTTP needs this rewrite. With TLS nothing is touched.
    super(rewritesToPlain ? String(url).replace(/^wss:/, 'ws:') : url, protocols);
    this.closed = new Promise((resolve) => this.once('close', (code) => resolve(code)));
    sockets.push(this);
  }

  // The journal's lines must not hold sockets in error messages.
  toJSON() {
    return { readyState: this.readyState, sent: this.sent.entries.length, received: this.received.entries.length };
  }

  send(data, ...rest) {
    super.send(data, ...rest);
    this.sent.push(JSON.parse(data));
  }

  emit(name, ...values) {
    if (name !== 'message') return super.emit(name, ...values);
    const frame = JSON.parse(values[0]);
    if (faults.loses(frame)) return true;
    const heard = super.emit(name, ...values);
    this.received.push(frame);
    return heard;
  }

  /** The ids of the subscriptions asked for on this socket, once there are `count` of them. */
  async subscribedIds(count, deadline) {
    await this.sent.until(
      `${count} subscribe frames`,
      () => this.sent.entries.filter((frame) => frame.type === 'subscribe').length >= count,
      { deadline },
    );
    return this.sent.entries.filter((frame) => frame.type === 'subscribe').map((frame) => frame.id);
  }
}

globalThis.WebSocket = JournalingWebSocket;

// Only now: the module reads the clock when it is loaded, and scenarios may have moved it before.
const { Amplify } = await import('aws-amplify');
const { Hub } = await import('aws-amplify/utils');
export const { events } = await import('aws-amplify/data');

/** The states of Amplify's connection, in order. */
export const states = new Journal('the states of the connection');
Hub.listen('api', ({ payload }) => {
  if (payload.event === 'ConnectionStateChange') states.push(payload.data.connectionState);
});

/**
 * Points Amplify at a gateway, given the address it listens on.
 * @param {string} url The address.
 * @param {string} [apiKey] The key of the mode `apiKey`.
 * @param {object} [signIn] For another mode: `authMode`, `region`, `Auth` as in Amplify's configuration, and where credentials or
 *   tokens come from elsewhere, `providers`.
 */
export function configure(url, apiKey, { authMode = 'apiKey', region = 'eu-west-1', Auth, providers } = {}) {
  rewritesToPlain = url.startsWith('http:');
  Amplify.configure(
    { API: { Events: { endpoint: `${url}/event`, region, defaultAuthMode: authMode, apiKey } }, ...(Auth && { Auth }) },
    providers && { Auth: providers },
  );
}

/** Subscribes and returns once the gateway has confirmed; `received` has the events, `errors` what the observer was told. */
export async function subscribe(channel, options) {
  const { subscription, received, errors } = observe(channel, options);
  const { subscriptionId: id } = await subscription.ready;
  return { id, subscription, received, errors };
}

/** Subscribes without waiting for the confirmation. */
export function observe(channel, options) {
  const received = new Journal('the events of a subscription');
  const errors = new Journal('the errors of a subscription');
  const subscription = channel.subscribe(
    { next: ({ event }) => received.push(event), error: (error) => errors.push(error) },
    options,
  );
  return { subscription, received, errors };
}
