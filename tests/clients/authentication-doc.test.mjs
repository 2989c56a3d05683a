// docs/authentication.md: every template, every setting, every program on it, put where the page says and run.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cognito } from './cognito.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { OpenIdProvider } from './oidc.mjs';
import { Helper, findFreePort } from './processes.mjs';

const page = readFileSync(new URL('../../docs/authentication.md', import.meta.url), 'utf8');
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The code blocks of a section, or with no title of what precedes all sections. */
function blocksOf(title) {
  const sections = page.split(/^## /m);
  const section = title ? sections.filter((text) => text.startsWith(`${title}\n`)) : [sections[0]];
  assert.equal(section.length, 1, `one section ${title}`);
  return [...section[0].matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({ language, text }));
}

/** The only block of a language, or the only one of it that holds a text. */
function block(blocks, language, holding = '') {
  const found = blocks.filter((one) => one.language === language && one.text.includes(holding));
  assert.equal(found.length, 1, `one ${language} block ${holding && `with ${holding}`}`);
  return found[0].text;
}

const python = '/usr/bin/python3';
function withoutBotocore() {
  try {
    execFileSync(python, ['-c', 'import botocore'], { stdio: 'pipe' });
    return false;
  } catch {
    return `${python} with botocore (package python3-botocore) is not installed`;
  }
}

const [plainHttp] = blocksOf().filter(({ text }) => text.startsWith('// plain-http.mjs'));

describe('The page on signing in', { timeout: 120_000, concurrency: 3 }, () => {
  const folders = [];
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

  /**
   * Sets up what a section shows: its template and settings in a folder, a gateway started there with the page's own arguments.
   * @param {object} t The test, at whose end all that is stopped.
   * @param {string} title The section.
   * @param {Record<string, string>} replacements Placeholders of the section, and what they stand for here.
   * @param {boolean} hasExample Whether the gateway prints an example, as it does where a key may do everything.
   */
  async function setUp(t, title, replacements = {}, hasExample = false) {
    const port = await findFreePort('localhost');
    const adapt = (text) =>
      Object.entries({ 'localhost:8080': `localhost:${port}`, 'da2-...': apiKey, '/path/to/fanfare/': root, ...replacements }).reduce(
        (adapted, [placeholder, value]) => adapted.replaceAll(placeholder, value),
        text,
      );
    const blocks = blocksOf(title).map(({ language, text }) => ({ language, text: adapt(text) }));

    const folder = mkdtempSync(join(tmpdir(), 'fanfare-page-'));
    folders.push(folder);
    writeFileSync(join(folder, 'events.yaml'), block(blocks, 'yaml'));
    const json = blocks.filter(({ language }) => language === 'json');
    if (json.length > 0) writeFileSync(join(folder, 'appsettings.json'), block(json, 'json'));

    // The shell splits the arguments, as it would for a reader.
    const [, command] = /^dotnet run --project \S+ -- (.*)$/m.exec(block(blocksOf(), 'sh'));
    const args = execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' }).trim().split('\n');
    const gateway = await Gateway.start({ host: 'localhost', port, args, cwd: folder, hasExample });
    t.after(() => gateway.stop());
    return { blocks, gateway, folder };
  }

  /** Runs a section's program, named by its first line, until it has shown the event that it publishes itself. */
  async function showsHello(t, blocks, name) {
    // Beside the packages, where its imports resolve.
    const folder = fileURLToPath(new URL(`page-${process.pid}-${name}`, import.meta.url));
    folders.push(folder);
    mkdirSync(folder);
    writeFileSync(join(folder, 'plain-http.mjs'), plainHttp.text);
    writeFileSync(join(folder, name), block(blocks, 'js', `// ${name}\n`));
    const program = new Helper(process.execPath, [join(folder, name)]);
    t.after(() => program.stop());
    assert.equal(await program.printed('Hello'), 'Hello');
  }

  /** Runs a section's command line, and asserts that the gateway took the one event that it publishes. */
  function publishes(commandLine, env) {
    const options = { encoding: 'utf8', env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] };
    const answer = execFileSync('sh', ['-c', commandLine], options);
    const { successful, failed } = JSON.parse(answer.replaceAll("'", '"')); // Python prints its own notation
    assert.deepEqual(failed, []);
    assert.equal(successful.length, 1);
  }

  test('API keys', async (t) => {
    const { blocks } = await setUp(t, 'API keys', {}, true);
    publishes(block(blocks, 'sh'));
    await showsHello(t, blocks, 'keys.mjs');
  });

  test('IAM', async (t) => {
    const { blocks } = await setUp(t, 'IAM');
    publishes(block(blocks, 'sh'));
    publishes(block(blocks, 'sh')); // pasted twice
    await showsHello(t, blocks, 'signed.mjs');

    // The statement that denies is not there for show.
    const denied = execFileSync('sh', ['-c', block(blocks, 'sh').replace('/default/room', '/news/room')], { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(JSON.parse(denied).errors[0].errorType, 'AccessDeniedException');
  });

  test('IAM, from Python', { skip: withoutBotocore() }, async (t) => {
    const { blocks, folder } = await setUp(t, 'IAM');
    writeFileSync(join(folder, 'signed.py'), block(blocks, 'python'));
    publishes(`${python} ${join(folder, 'signed.py')}`);
  });

  test('Cognito user pools', async (t) => {
    const cognito = await Cognito.start({ '1h57kf5cpq17m0eml12example': 'us-east-1_EXAMPLE01' });
    t.after(() => cognito.stop());
    await cognito.signUp('us-east-1_EXAMPLE01', '1h57kf5cpq17m0eml12example', 'ana@example.com');
    const { blocks } = await setUp(t, 'Cognito user pools', { 'http://127.0.0.1:9229': cognito.endpoint });
    await showsHello(t, blocks, 'users.mjs');
  });

  test('OpenID Connect', async (t) => {
    const provider = await OpenIdProvider.start();
    t.after(() => provider.stop());
    const { blocks } = await setUp(t, 'OpenID Connect', { 'https://id.example.com': provider.url });
    await showsHello(t, blocks, 'tokens.mjs');
    publishes(block(blocks, 'sh'), { TOKEN: await provider.machineToken() });
  });

  test('Authorizer functions', async (t) => {
    const port = await findFreePort();
    const { blocks, folder } = await setUp(t, 'Authorizer functions', { 'localhost:9000': `localhost:${port}`, '.mjs 9000': `.mjs ${port}` });
    writeFileSync(join(folder, 'authorizer.mjs'), block(blocks, 'js', '// authorizer.mjs\n'));
    const authorizer = new Helper('sh', ['-c', `exec ${block(blocks, 'sh')}`], { cwd: folder });
    t.after(() => authorizer.stop());
    await authorizer.printed('listening on');
    await showsHello(t, blocks, 'functions.mjs');
  });

  test('Every program and every setting on it is run by the tests above', () => {
    const count = (pattern) => [...page.matchAll(pattern)].length;
    assert.equal(count(/^```js$/gm), 7);
    assert.equal(count(/^```python$/gm), 1);
    assert.equal(count(/^```sh$/gm), 5);
    assert.equal(count(/^```yaml$/gm), 5);
    assert.equal(count(/^```json$/gm), 3);
  });
});
