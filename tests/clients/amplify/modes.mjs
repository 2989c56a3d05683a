// Amplify signed in by another mode than a key: the scenarios of ../iam.test.mjs and its neighbours, each in a process of its own:
//   node modes.mjs NAME
// with the address of a running gateway in FANFARE_URL and, as JSON in FANFARE_SIGN_IN, what `SignIn` below describes.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { configure, events, observe, sockets, subscribe } from './client.mjs';

/**
 * @typedef {object} SignIn
 * @property {string} authMode The mode, by Amplify's name for it.
 * @property {object} [credentials] For `iam`: accessKeyId, secretAccessKey, and sessionToken where they are temporary.
 * @property {string} [token] For `userPool` and `oidc`: the access token.
 * @property {string} [authToken] For `lambda`.
 * @property {object} [userPool] To sign in with Amplify's own `signIn`: userPoolId, userPoolClientId, userPoolEndpoint, username, password.
 * @property {string} [channel] A channel other than a new one below `default`.
 * @property {string} [refused] A channel that is not this user's, for `private-channel`.
 */

const [name] = process.argv.slice(2);
const url = process.env.FANFARE_URL;
const { authMode, credentials, token, authToken, userPool, channel = `default/${randomUUID()}`, refused } = JSON.parse(process.env.FANFARE_SIGN_IN);

// The token of a Lambda authorizer goes with every call; everything else is found by Amplify itself.
const options = authToken ? { authToken } : undefined;

async function signIn() {
  const { username, password, ...Cognito } = userPool ?? {};
  configure(url, undefined, {
    authMode,
    region: 'us-east-1',
    Auth: userPool && { Cognito },
    providers: (credentials || token) && {
      credentialsProvider: credentials && {
        getCredentialsAndIdentityId: async () => ({ credentials }),
        clearCredentialsAndIdentityId: () => {},
      },
      tokenProvider: token && { getTokens: async () => ({ accessToken: { toString: () => token, payload: {} } }) },
    },
  });
  if (userPool) {
    const auth = await import('aws-amplify/auth');
    const { isSignedIn } = await auth.signIn({ username, password, options: { authFlowType: 'USER_PASSWORD_AUTH' } });
    assert.ok(isSignedIn);
  }
}

// Texts that JSON writers escape differently, and with which signatures of other servers have failed.
const awkward = { text: 'é <b>&amp;</b> / \\ " 🎺 \u2028 \u007f', nested: ['<é&/"\\', { 'a/b&c': '\n\t' }] };

const scenarios = {
  async 'all-operations'() {
    const opened = await events.connect(channel, options);
    const { received, errors } = await subscribe(opened, options);
    await opened.publish(awkward, options);
    assert.deepEqual(await received.next('the event published'), awkward);
    await opened.publish([awkward, 2, null], options);
    assert.deepEqual(await received.take(3), [awkward, 2, null]);
    assert.equal(await events.post(channel, awkward, options), undefined);
    assert.deepEqual(await received.next('the event posted'), awkward);
    assert.equal(await events.post(`/${channel}`, [awkward, 'é'], options), undefined);
    assert.deepEqual(await received.take(2), [awkward, 'é']);
    assert.equal(sockets.entries.length, 1, 'Amplify should have opened one socket.');
    assert.deepEqual(errors.entries, []);
  },

  async 'refused-at-connect'() {
    const started = performance.now();
    await assert.rejects(events.connect(channel, options), { message: process.env.FANFARE_ERROR });
    const milliseconds = performance.now() - started;
    assert.ok(milliseconds < 2_000, `It took ${milliseconds} ms to reject.`);
    assert.equal(sockets.entries.length, 1, 'Amplify should not have tried again.');
    await assert.rejects(events.post(channel, 1, options), { name: process.env.FANFARE_ERROR });
  },

  async 'reads-but-cannot-publish'() {
    const opened = await events.connect(channel, options);
    const { received } = await subscribe(opened, options);
    await assert.rejects(opened.publish('refused', options), { message: 'Publish errors: UnauthorizedException' });
    await assert.rejects(events.post(channel, 'refused', options), { name: process.env.FANFARE_ERROR });

    // Elsewhere the same user may publish, on the same socket; and nothing of the above has arrived.
    const other = await events.connect(`default/${randomUUID()}`, options);
    const others = await subscribe(other, options);
    await other.publish('allowed', options);
    assert.equal(await others.received.next(), 'allowed');
    assert.deepEqual(received.entries, []);
    assert.equal(sockets.entries.length, 1);
  },

  // One page with two identities: the server's publisher by IAM, the user who listens by the pool.
  async 'iam-publishes-pool-subscribes'() {
    const opened = await events.connect(channel, { authMode: 'userPool' });
    const { received, errors } = await subscribe(opened, { authMode: 'userPool' });
    await opened.publish(awkward, { authMode: 'iam' });
    assert.deepEqual(await received.next('the event published'), awkward);
    assert.equal(await events.post(channel, [awkward, 2], { authMode: 'iam' }), undefined);
    assert.deepEqual(await received.take(2), [awkward, 2]);

    // Each mode may do its own part and not the other's, and the socket stays usable.
    await assert.rejects(opened.publish('refused', { authMode: 'userPool' }), { message: 'Publish errors: UnauthorizedException' });
    await assert.rejects(events.post(channel, 'refused', { authMode: 'userPool' }), { name: 'UnauthorizedException' });
    await assert.rejects(observe(opened, { authMode: 'iam' }).subscription.ready, /UnauthorizedException/);
    await opened.publish('the next event', { authMode: 'iam' });
    assert.equal(await received.next(), 'the next event');
    assert.deepEqual(errors.entries, []);
  },

  // A channel of one's own, and another's, which a handler refuses: on the same socket, which stays open.
  async 'private-channel'() {
    const own = await events.connect(channel);
    const { received, errors } = await subscribe(own);
    const other = observe(await events.connect(refused));
    await assert.rejects(other.subscription.ready, /Unauthorized/);
    assert.match((await other.errors.next('the error')).errors[0].message, /Unauthorized/);
    await own.publish('from the backend', { authMode: 'iam' });
    assert.equal(await received.next(), 'from the backend');
    assert.equal(sockets.entries.length, 1, 'Amplify should have opened one socket.');
    assert.equal(sockets.entries[0].readyState, 1, 'The socket should still be open.');
    assert.deepEqual(errors.entries, []);
    assert.deepEqual(other.received.entries, []);
  },
};

try {
  assert.ok(scenarios[name], `There is no scenario ${name}.`);
  await signIn();
  await scenarios[name]();
  process.exit(0); // Amplify's timers would keep the process alive
} catch (error) {
  console.error(error);
  process.exit(1);
}
