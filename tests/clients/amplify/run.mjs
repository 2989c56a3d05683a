import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

/** Runs a scenario in a process of its own; its standard error says why it failed. */
export async function runScenario(program, scenario, { signal, environment }) {
  const child = spawn(process.execPath, [program, scenario], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  assert.equal(code, 0, errors);
}
