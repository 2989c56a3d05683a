// Functions for the gateway to call: handler files behind lambda/server.mjs.

import { fileURLToPath } from 'node:url';
import { Helper } from './processes.mjs';

const server = fileURLToPath(new URL('./lambda/server.mjs', import.meta.url));

/** A handler file of `lambda/`, behind a process that speaks the Lambda Invoke API. */
export class LambdaFunction {
  #process;
  #seen = 0;

  /** Starts one, on any free port or on a given one. */
  static async start(file, port = 0) {
    const started = new LambdaFunction();
    started.#process = new Helper(process.execPath, [server, fileURLToPath(new URL(`./lambda/${file}`, import.meta.url)), `${port}`]);
    const line = await started.#process.printed('listening on');
    started.url = /http:\S+/.exec(line)[0];
    return started;
  }

  /** What the function has printed. */
  get lines() {
    return this.#process.lines;
  }

  /** The events that the function was called with since the last look; of a function that prints them. */
  takeEvents() {
    const lines = this.lines.entries.slice(this.#seen);
    this.#seen = this.lines.entries.length;
    return lines.filter((line) => line.startsWith('event ')).map((line) => JSON.parse(line.slice('event '.length)));
  }

  /** Calls the function as the gateway would; what it printed for earlier calls is there when this returns. */
  async invoke(event) {
    const response = await fetch(`${this.url}/2015-03-31/functions/any/invocations`, { method: 'POST', body: JSON.stringify(event) });
    return response.json();
  }

  stop() {
    return this.#process.stop();
  }
}
