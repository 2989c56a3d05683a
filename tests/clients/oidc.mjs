// An OpenID provider: the certified oidc-provider on this machine, with one client for machines and one for people, whose keys can
// be exchanged while it runs.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Journal } from './waiting.mjs';

/** Runs something that would print notes for operators of public providers. */
async function quietly(action) {
  const { info, warn } = console;
  console.info = console.warn = () => {};
  try {
    return await action();
  } finally {
    Object.assign(console, { info, warn });
  }
}

const { Provider } = await quietly(() => import('oidc-provider'));

export const machine = 'backend';
export const web = 'web-app';
const secret = 'a-secret-of-the-backend';
const redirectUri = 'https://app.example.com/callback';

/** What access tokens are asked for: with a resource they are JWTs, otherwise opaque. */
const resource = 'https://events.example.com';

/** A new private key, as a JWK with a key id of its own. */
export function makeKey(alg = 'RS256') {
  const { privateKey } = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
}

export class OpenIdProvider {
  /** The paths that were asked for, in order. */
  requests = new Journal('the requests to the OpenID provider');
  #server;
  #provider;

  /** Starts it, on any free port or on a given one. */
  static async start(keys = [makeKey()], port = 0) {
    const issuer = new OpenIdProvider();
    issuer.#server = createServer((request, response) => issuer.#handle(request, response));
    await new Promise((resolve) => issuer.#server.listen(port, '127.0.0.1', resolve));
    issuer.#server.unref(); // a test that fails before it stops its provider must not keep the process
    issuer.url = `http://127.0.0.1:${issuer.#server.address().port}`;
    await issuer.restart(keys);
    return issuer;
  }

  /** Starts over with other keys, at the same address; the first key of an algorithm signs. */
  async restart(keys) {
    const [{ alg }] = keys;
    this.#provider = await quietly(() => new Provider(this.url, {
      jwks: { keys },
      clientDefaults: { id_token_signed_response_alg: alg },
      clients: [
        {
          client_id: machine,
          client_secret: secret,
          grant_types: ['client_credentials'],
          redirect_uris: [],
          response_types: [],
        },
        {
          client_id: web,
          token_endpoint_auth_method: 'none',
          grant_types: ['authorization_code'],
          redirect_uris: [redirectUri],
          require_auth_time: true,
        },
      ],
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      cookies: { keys: [randomUUID()] },
      conformIdTokenClaims: false,
      ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Session: 600, Grant: 600, Interaction: 600 },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => resource,
          useGrantedResource: () => true,
          getResourceServerInfo: () => ({
            scope: 'events',
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: 600,
            jwt: { sign: { alg } },
          }),
        },
      },
    }));
  }

  async #handle(request, response) {
    this.requests.push(request.url.split('?')[0]);
    if (!request.url.startsWith('/interaction/')) return this.#provider.callback()(request, response);

    // In place of a form: whoever the request hints at is signed in and agrees to everything.
    const { params } = await this.#provider.interactionDetails(request, response);
    const grant = new this.#provider.Grant({ accountId: params.login_hint, clientId: params.client_id });
    grant.addOIDCScope('openid');
    grant.addResourceScope(resource, 'events');
    const result = { login: { accountId: params.login_hint }, consent: { grantId: await grant.save() } };
    return this.#provider.interactionFinished(request, response, result);
  }

  async #token(parameters, headers) {
    const response = await fetch(`${this.url}/token`, {
      method: 'POST',
      headers,
      body: new URLSearchParams(parameters),
      signal: AbortSignal.timeout(15_000),
    });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  /** The access token of a machine, by client credentials. */
  async machineToken() {
    const authorization = `Basic ${Buffer.from(`${machine}:${secret}`).toString('base64')}`;
    const { access_token: token } = await this.#token({ grant_type: 'client_credentials', resource, scope: 'events' }, { authorization });
    return token;
  }

  /** The tokens of a person, by the authorization code flow with PKCE, as a page would sign someone in. */
  async signIn(username) {
    const verifier = randomBytes(32).toString('base64url');
    let address = new URL(`${this.url}/auth?${new URLSearchParams({
      client_id: web,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid events',
      resource,
      login_hint: username,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })}`);
    const cookies = new Map();
    while (address.origin === this.url) {
      const response = await fetch(address, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        signal: AbortSignal.timeout(15_000),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
        cookies.set(name, value);
      }
      assert.ok(response.headers.has('location'), `${address.pathname} answered ${response.status}: ${await response.text()}`);
      address = new URL(response.headers.get('location'), address);
    }
    assert.ok(address.searchParams.has('code'), String(address));
    const { access_token: access, id_token: id } = await this.#token({
      grant_type: 'authorization_code',
      client_id: web,
      code: address.searchParams.get('code'),
      redirect_uri: redirectUri,
      code_verifier: verifier,
      resource,
    });
    return { access, id };
  }

  /** Does something with this process's clock set back, to get what was issued some time ago. Nothing else may go on meanwhile. */
  async ago(seconds, action) {
    const { now } = Date;
    Date.now = () => now() - seconds * 1000;
    try {
      return await action(this);
    } finally {
      Date.now = now;
    }
  }

  /** Stops it; its port is free then. */
  stop() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}
