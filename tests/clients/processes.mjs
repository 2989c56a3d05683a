// Helper processes of a test: started, watched through what they print, and gone when the test process is.

import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Journal, within } from './waiting.mjs';

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One process, whose lines of both streams are in `lines`. */
export class Helper {
  #child;
  #ended;

  /**
   * Starts a process.
   * @param {string} command The program.
   * @param {string[]} args Its arguments.
   * @param {{cwd?: string, env?: object}} options As of `spawn`; `env` is added to this process's own.
   */
  constructor(command, args, { env, ...options } = {}) {
    this.lines = new Journal(`the output of ${args[0] ?? command}`);
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options, env: { ...process.env, ...env } });
    running.add(this.#child);
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('close', (code, signal) => {
        running.delete(this.#child);
        resolve(signal ?? code);
      });
      this.#child.once('error', reject);
    });
    this.#ended.catch(() => {});
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
  }

  get pid() {
    return this.#child.pid;
  }

  /** How the process ended: its exit code, or the signal that ended it. */
  ended(deadline = 30_000) {
    return within(deadline, `the end of ${this.lines.name}`, this.#ended);
  }

  /** The first line that holds a text; fails at once where the process ends before it printed that. */
  async printed(text, deadline = 30_000) {
    const ended = this.#ended.then((how) => {
      throw new Error(`${this.lines.name}: ended (${how}) before it printed ${text}:\n${this.lines.entries.join('\n')}`);
    });
    ended.catch(() => {});
    return Promise.race([this.lines.until(text, (line) => line.includes(text), { deadline }), ended]);
  }

  /** Asks the process to end, as a service manager would; returns how it ended. */
  terminate(deadline) {
    this.#child.kill('SIGTERM');
    return this.ended(deadline);
  }

  async stop() {
    this.#child.kill('SIGKILL');
    await this.ended();
  }
}

/** A port that is free now, for programs that cannot say which one they took. */
export function findFreePort(host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The first of several ports in a row that are free now. */
export async function findFreePorts(count) {
  for (;;) {
    const first = await findFreePort();
    if (first + count < 65536 && (await Promise.all(range(first, count).map(isFree))).every(Boolean)) return first;
  }
}

const range = (first, count) => Array.from({ length: count }, (_, index) => first + index);

/** Whether nothing listens on a port of this machine. */
export function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Whether a command is there to be run. */
export const isInstalled = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
