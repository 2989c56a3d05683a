// A Cognito of one's own: the emulator cognito-local, driven by the AWS SDK as an application would drive the real one.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  AdminConfirmSignUpCommand,
  CognitoIdentityProviderClient,
  CreateUserPoolClientCommand,
  CreateUserPoolCommand,
  InitiateAuthCommand,
  SignUpCommand,
} from '@aws-sdk/client-cognito-identity-provider';
import { Helper, findFreePort } from './processes.mjs';

// It says on every run that the Node of this run will not be supported some day.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

const program = join(dirname(createRequire(import.meta.url).resolve('cognito-local')), 'bin', 'start.js');
const password = 'Correct-Horse-7';

export class Cognito {
  #directory;
  #process;
  #client;

  /**
   * Starts the emulator, with its data in a folder of its own.
   * @param {object} [clients] Clients that are there from the start, by their ids, each with the id of a pool; `createClient` makes
   *   up ids that no pattern can be written for.
   */
  static async start(clients = {}) {
    const cognito = new Cognito();
    cognito.#directory = mkdtempSync(join(tmpdir(), 'fanfare-cognito-'));
    const database = join(cognito.#directory, '.cognito', 'db');
    mkdirSync(database, { recursive: true });
    const entries = Object.entries(clients).map(([id, poolId]) => [id, { ClientId: id, ClientName: id, UserPoolId: poolId }]);
    writeFileSync(join(database, 'clients.json'), JSON.stringify({ Clients: Object.fromEntries(entries) }));
    for (const poolId of new Set(Object.values(clients)))
      writeFileSync(join(database, `${poolId}.json`), JSON.stringify({ Users: {}, Options: { Id: poolId, Name: poolId, UsernameAttributes: [] } }));

    const port = await findFreePort();
    cognito.endpoint = `http://127.0.0.1:${port}`;
    cognito.#process = new Helper(process.execPath, [program], {
      cwd: cognito.#directory,
      env: { HOST: '127.0.0.1', PORT: `${port}`, NODE_NO_WARNINGS: '1' },
    });
    try {
      await cognito.#process.printed('Cognito Local running on');
    } catch (error) {
      await cognito.stop();
      throw error;
    }
    cognito.#client = new CognitoIdentityProviderClient({
      endpoint: cognito.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
    return cognito;
  }

  /** Makes a pool, and returns its id. */
  async createPool() {
    const { UserPool } = await this.#client.send(new CreateUserPoolCommand({ PoolName: 'users' }));
    return UserPool.Id;
  }

  /** Makes a client of a pool, and returns its id; the validity of its tokens may be given in hours. */
  async createClient(poolId, tokenHours) {
    const { UserPoolClient } = await this.#client.send(
      new CreateUserPoolClientCommand({
        UserPoolId: poolId,
        ClientName: 'web',
        AccessTokenValidity: tokenHours,
        IdTokenValidity: tokenHours,
        TokenValidityUnits: { AccessToken: 'hours', IdToken: 'hours' },
      }),
    );
    return UserPoolClient.ClientId;
  }

  /** Signs a user up by an e-mail address; the user can sign in then, with any client of the pool. */
  async signUp(poolId, clientId, username) {
    await this.#client.send(new SignUpCommand({ ClientId: clientId, Username: username, Password: password }));
    await this.#client.send(new AdminConfirmSignUpCommand({ UserPoolId: poolId, Username: username }));
    return { username, password };
  }

  /** Signs a user in, and returns the tokens and the user's `sub`. */
  async signIn(clientId, { username, password }) {
    const { AuthenticationResult: result } = await this.#client.send(
      new InitiateAuthCommand({
        ClientId: clientId,
        AuthFlow: 'USER_PASSWORD_AUTH',
        AuthParameters: { USERNAME: username, PASSWORD: password },
      }),
    );
    assert.ok(result, 'The emulator should have answered with tokens.');
    const { sub } = JSON.parse(Buffer.from(result.AccessToken.split('.')[1], 'base64url'));
    return { access: result.AccessToken, id: result.IdToken, sub };
  }

  async stop() {
    this.#client?.destroy();
    await this.#process.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
