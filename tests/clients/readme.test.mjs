// The README's own words: its Amplify program receives what its curl line publishes.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { Gateway, apiKey } from './gateway.mjs';
import { findFreePort } from './processes.mjs';
import { Journal, within } from './waiting.mjs';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The only code block of a language that holds a text, adapted to this gateway's port and key. */
function snippet(language, holding, gateway) {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, name, text]) => name === language && text.includes(holding));
  assert.equal(blocks.length, 1, `one ${language} block with ${holding}`);
  return blocks[0][2].replaceAll('localhost:8080', `localhost:${gateway.port}`).replaceAll('da2-...', apiKey);
}

test('The README\'s Amplify program shows the event that the README\'s curl line publishes', { timeout: 60_000 }, async (t) => {
  const gateway = await Gateway.start({ host: 'localhost', port: await findFreePort('localhost') });
  // Beside the packages, where its imports resolve.
  const program = new URL(`hello-${process.pid}.mjs`, import.meta.url);
  writeFileSync(program, snippet('js', 'hello.mjs', gateway));
  const child = spawn('node', [program.pathname], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill();
    rmSync(program);
    await gateway.stop();
  });
  const printed = new Journal('what the program printed');
  createInterface({ input: child.stdout }).on('line', (line) => printed.push(line));

  // The program says nothing when it is subscribed, so publish until it shows an event, as a person would paste again.
  const curl = snippet('sh', 'curl ', gateway);
  const shown = printed.until('an event', (line) => line.includes('Hello'), { deadline: 30_000 });
  let isShown = false;
  shown.then(() => (isShown = true), () => (isShown = true));
  while (!isShown) {
    const publisher = spawn('sh', ['-c', curl], { stdio: 'ignore' });
    assert.equal(await within(10_000, 'the end of curl', new Promise((resolve) => publisher.once('close', resolve))), 0);
    await Promise.race([shown.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  await shown;
});

test('The README\'s start command keeps its data where it was typed', { timeout: 60_000 }, async (t) => {
  assert.match(readme, /^dotnet run --project Gateway$/m);
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-readme-'));
  const project = fileURLToPath(new URL('../../Gateway', import.meta.url));
  // In a process group of its own, since "dotnet run" is the parent of the gateway.
  const child = spawn('dotnet', ['run', '--project', project, '-c', 'Release', '--no-build', '--', '--urls', 'http://127.0.0.1:0'], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    process.kill(-child.pid, 'SIGTERM');
    await within(20_000, 'the end of the gateway', ended);
    rmSync(folder, { recursive: true });
  });
  const printed = new Journal('what the gateway printed');
  createInterface({ input: child.stdout }).on('line', (line) => printed.push(line));

  await printed.until('its address', (line) => line.startsWith('Fanfare is listening on '), { deadline: 40_000 });
  assert.deepEqual(readdirSync(folder), ['.fanfare']);
});
