// One gateway process per `Gateway`: started as a user would start it, watched through what it prints, killed by its pid.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Journal, within } from './waiting.mjs';

const program = process.env.FANFARE_GATEWAY_DLL
  ?? fileURLToPath(new URL('../../Gateway/bin/Release/net10.0/Fanfare.Gateway.dll', import.meta.url));

/** The key every gateway of this suite is started with, and one that none of them knows. */
export const apiKey = 'da2-0123456789abcdefghijklmnop';
export const wrongKey = 'da2-wrongwrongwrongwrongwrong1';

const listeningLine = /^Fanfare is listening on (\S+)$/;

// What a line must never hold: a key, a credential in a subprotocol, a token, a signature.
const credential = /da2-[a-z0-9]{26}|header-[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{12,}|AWS4-HMAC-SHA256 Credential=/;
const stackTrace = /^\s+at \S.*\(.*\)|Unhandled exception|--- End of (inner exception )?stack trace/;

// The start banner shows the gateway's own key, and examples that hold it.
const withoutKey = (key, line) =>
  line
    .replace(/header-([A-Za-z0-9_-]+)/g, (whole, encoded) =>
      Buffer.from(encoded, 'base64url').includes(`"x-api-key":"${key}"`) ? '' : whole)
    .replaceAll(key, '');

const running = new Set();
process.on('exit', () => {
  for (const gateway of running) gateway.remove();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

export class Gateway {
  /** What the process has printed, both streams together, line by line. */
  lines = new Journal('the output of the gateway');
  #process;
  #exited;
  #dataDirectory;
  #key;
  #secrets = [];
  #bannerLength = Infinity;

  /**
   * Starts a gateway and returns once it has said where it listens, shown its example, and answers `/health`.
   * @param {object} options
   * @param {{cert: string, key: string}} [options.tls] Files of a certificate; the gateway then listens with TLS as well.
   * @param {string} [options.host] Where it listens.
   * @param {number} [options.port] The port; 0 takes any free one, which `localhost` can't, since it means two addresses.
   * @param {string[]} [options.args] More arguments.
   * @param {string[]} [options.secrets] Texts that it must never print, besides keys, tokens and signatures.
   * @param {string} [options.cwd] The folder to start it in, where it finds an `appsettings.json`.
   * @param {object} [options.identity] What its data folder holds already; the gateway then keeps the key in it.
   * @param {boolean} [options.hasExample] Whether a namespace is open to API keys, so that it prints an example for one.
   */
  static async start({ tls, host = '127.0.0.1', port = 0, args = [], secrets = [], cwd, identity, hasExample = true } = {}) {
    const gateway = new Gateway();
    gateway.#secrets = secrets;
    try {
      await gateway.#start(tls, `http://${host}:${port}`, args, { cwd, identity, hasExample });
      return gateway;
    } catch (error) {
      gateway.remove();
      error.message += `\nThe gateway printed:\n${gateway.lines.entries.join('\n')}`;
      throw error;
    }
  }

  async #start(tls, address, args, { cwd, identity, hasExample }) {
    assert.ok(existsSync(program), `There is no ${program}: build the gateway first (dotnet build Gateway -c Release).`);
    this.#dataDirectory = mkdtempSync(join(tmpdir(), 'fanfare-clients-'));
    if (identity) writeFileSync(join(this.#dataDirectory, 'identity.json'), JSON.stringify(identity));
    this.#key = identity?.apiKey ?? apiKey;
    const addresses = tls
      ? [
          `--Kestrel:Endpoints:Http:Url=${address}`,
          '--Kestrel:Endpoints:Https:Url=https://127.0.0.1:0',
          `--Kestrel:Endpoints:Https:Certificate:Path=${tls.cert}`,
          `--Kestrel:Endpoints:Https:Certificate:KeyPath=${tls.key}`,
        ]
      : ['--urls', address];
    this.#process = spawn(
      'dotnet',
      [program, ...addresses, ...(identity ? [] : ['--api-key', apiKey]), '--data', this.#dataDirectory, ...args],
      { cwd, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    running.add(this);
    this.#exited = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => resolve(signal ?? code));
      this.#process.once('error', (error) => resolve(error.message));
    });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));

    await this.#unlessItExits(this.#untilReady(tls ? ['http:', 'https:'] : ['http:'], hasExample));
    this.#bannerLength = this.lines.entries.length;
  }

  async #untilReady(schemes, hasExample) {
    for (const scheme of schemes) {
      await this.lines.until(`an address with ${scheme}`, (line) => listeningLine.exec(line)?.[1].startsWith(scheme), {
        deadline: 30_000,
      });
    }
    const addresses = this.lines.entries.flatMap((line) => listeningLine.exec(line)?.[1] ?? []);
    this.url = addresses.find((address) => address.startsWith('http:'));
    this.secureUrl = addresses.find((address) => address.startsWith('https:'));
    this.port = Number(new URL(this.url).port);
    await (hasExample
      ? this.lines.until('the example with curl', () => this.command('curl')?.includes(this.#key), { deadline: 10_000 })
      : this.lines.until('the key', (line) => line.includes('API key') && line.includes(this.#key), { deadline: 10_000 }));
    const health = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(10_000) });
    assert.equal(health.status, 200, 'The gateway says that it listens, but is not healthy.');
  }

  async #unlessItExits(ready) {
    const exited = this.#exited.then((how) => {
      throw new Error(`The gateway ended (${how}) before it was ready.`);
    });
    exited.catch(() => {});
    await Promise.race([ready, exited]);
  }

  /** A command of the start banner, such as its line with `curl`, exactly as printed and with its continuation lines. */
  command(name) {
    const lines = this.lines.entries;
    const first = lines.findIndex((line) => line.trimStart().startsWith(`${name} `));
    if (first < 0) return undefined;
    let last = first;
    while (lines[last].endsWith('\\') && last + 1 < lines.length) last++;
    return lines.slice(first, last + 1).join('\n');
  }

  /** Ends the process at once, as a crash would, and waits until it is gone. */
  async kill() {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  /** Asks the process to end, as a service manager would, and fails if it did not, or ever printed what it must not. */
  async stop() {
    try {
      this.#process.kill('SIGTERM');
      const how = await within(15_000, 'the end of the gateway after SIGTERM', this.#exited);
      if (how !== 'SIGKILL') assert.equal(how, 0, 'how the gateway ended');
    } finally {
      this.remove();
    }
    this.#assertCleanOutput();
  }

  #assertCleanOutput() {
    const lines = this.lines.entries;
    const leaks = lines.filter(
      (line, index) =>
        credential.test(index < this.#bannerLength ? withoutKey(this.#key, line) : line) || this.#secrets.some((secret) => line.includes(secret)),
    );
    assert.deepEqual(leaks, [], 'The gateway printed credentials.');
    const first = lines.findIndex((line) => stackTrace.test(line));
    assert.equal(first, -1, `The gateway printed a stack trace:\n${lines.slice(Math.max(0, first - 5), first + 20).join('\n')}`);
  }

  /** Leaves nothing behind; safe to call twice, and from an exit handler. */
  remove() {
    running.delete(this);
    this.#process?.kill('SIGKILL');
    if (this.#dataDirectory) rmSync(this.#dataDirectory, { recursive: true, force: true });
  }
}
