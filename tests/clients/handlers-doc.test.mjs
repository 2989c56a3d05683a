// docs/handlers.md: every template, setting, handler, program and command on it, put where the page says and run; and its tables.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cognito } from './cognito.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Helper, findFreePort, findFreePorts } from './processes.mjs';
import { Connection, assertRefused, post, withToken } from './protocol.mjs';
import { within } from './waiting.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/handlers.md'), 'utf8');
const modules = fileURLToPath(new URL('./node_modules', import.meta.url));

const sections = page.split(/^###? /m).map((text) => {
  const title = text.slice(0, text.indexOf('\n'));
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, text: code, isUsed: false }));
  const rows = text.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.slice(2, -2).split(' | ').map((cell) => cell.trim()));
  return { title, text, blocks, rows: rows.filter(([first]) => first !== '---') };
});

function sectionOf(title) {
  const found = sections.filter((section) => section.title === title);
  assert.equal(found.length, 1, `one section ${title}`);
  return found[0];
}

/** The blocks of a section in a language, or those of them that hold a text. */
function blocks(title, language, holding = '') {
  const found = sectionOf(title).blocks.filter((block) => block.language === language && block.text.includes(holding));
  for (const block of found) block.isUsed = true;
  return found.map(({ text }) => text);
}

function block(title, language, holding) {
  const found = blocks(title, language, holding);
  assert.equal(found.length, 1, `one ${language} block ${holding ?? ''} in ${title}`);
  return found[0];
}

/** The rows of a section's table whose first heading is given, without the headings. */
function table(title, heading) {
  const { rows } = sectionOf(title);
  const first = rows.findIndex(([cell]) => cell === heading);
  assert.notEqual(first, -1, `a table of ${heading} in ${title}`);
  const { length } = rows[first];
  const last = rows.findIndex((row, index) => index > first && row.length !== length);
  return rows.slice(first + 1, last < 0 ? undefined : last);
}

/** The texts in a cell that are set as code. */
const codesOf = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);

/** What the page shows of an output, as a pattern: an ellipsis stands for anything. */
const patternOf = (shown) => new RegExp(`^${shown.trim().split('…').map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`);

/** Waits for a line that the page shows. */
const shows = (lines, shown, from = 0) => lines.until(`the line ${shown.trim()}`, (line) => patternOf(shown).test(line), { from });

const key = { 'x-api-key': apiKey };
const first = 'The first handler';
const asJson = (value) => JSON.stringify(value);

describe('The page on handlers', { timeout: 240_000, concurrency: 2 }, () => {
  const folders = [];
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

  /** A folder in which programs of the page find their packages. */
  function makeFolder(files) {
    const folder = mkdtempSync(join(tmpdir(), 'fanfare-handlers-page-'));
    folders.push(folder);
    symlinkSync(modules, join(folder, 'node_modules'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return folder;
  }

  /** The page's template, with more resources below. */
  const templateWith = (...resources) => block(first, 'yaml', 'template.yaml') + resources.join('');

  /** A namespace for a file of code, as the page has them. */
  const namespace = (name, more = '') => `
  ${name[0].toUpperCase()}${name.slice(1)}:
    Type: AWS::AppSync::ChannelNamespace
    Properties: {ApiId: !GetAtt Api.ApiId, Name: ${name}, CodeS3Location: ./${name}.js${more}}
`;

  /** A gateway in a folder, started with the page's own arguments. */
  async function start(t, folder, { args = [], port, ...options } = {}) {
    port ??= await findFreePort('localhost');
    const [, command] = /^dotnet run --project \S+ -- (.*)$/m.exec(block(first, 'sh', 'dotnet run'));
    const gateway = await Gateway.start({ host: 'localhost', port, args: [...command.split(' '), ...args], cwd: folder, ...options });
    t?.after(() => gateway.stop());
    return gateway;
  }

  const publish = (gateway, channel, ...events) => post(gateway.url, key, { channel, events: events.map(asJson) });

  /** Subscribes with the key, on a connection of its own; `events` has what arrived, parsed. */
  async function subscribe(t, gateway, channel) {
    const authorization = { host: new URL(gateway.url).host, ...key };
    const connection = await Connection.connect(gateway.url, authorization);
    t.after(() => connection.close());
    const answer = await connection.subscribe(channel, authorization);
    return {
      answer,
      next: async () => JSON.parse((await connection.frames.until('an event', ({ type }) => type === 'data')).event),
      until: async (event, text = asJson(event)) => {
        await connection.received(answer.id, text);
        return connection.events(answer.id).map((received) => JSON.parse(received));
      },
    };
  }

  test('The first handler, changed while it runs', async (t) => {
    const port = await findFreePort('localhost');
    const adapt = (text) => text.replaceAll('localhost:8080', `localhost:${port}`).replaceAll('da2-...', apiKey);
    const [code] = blocks(first, 'js', '// chat.js');
    const folder = makeFolder({
      'template.yaml': templateWith(), 'chat.js': code, 'listen.mjs': adapt(block(first, 'js', '// listen.mjs')),
    });
    const gateway = await start(t, folder, { port });
    const listen = (command) => {
      const listener = new Helper('sh', ['-c', `exec ${command}`], { cwd: folder });
      t.after(() => listener.stop());
      return listener;
    };
    const listener = listen(block(first, 'sh', 'listen.mjs'));
    await listener.printed('subscribe_success');

    const [answered, heard, logged] = blocks(first, 'console');
    const curl = adapt(block(first, 'sh', 'curl '));
    assert.match(execFileSync('sh', ['-c', curl], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), patternOf(answered));
    await shows(listener.lines, heard);
    await shows(gateway.lines, logged);

    // What it prints to be pasted works too.
    const pasted = JSON.parse(execFileSync('sh', ['-c', gateway.command('curl')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    assert.deepEqual([pasted.successful.length, pasted.failed], [1, []]);
    assert.match(gateway.command('npx wscat'), /"channel":"\/chat\/\*"/);

    // 1. Changed.
    const [loaded, refused, kept] = blocks('Change it', 'console');
    const changed = block('Change it', 'js', '// chat.js');
    writeFileSync(join(folder, 'chat.js'), changed);
    await shows(gateway.lines, loaded);
    const other = listen(/`(node listen\.mjs [^`]+)`/.exec(sectionOf('Change it').text)[1]);
    await shows(other.lines, refused);
    await publish(gateway, '/chat/hello', { text: ' trimmed ' });
    await listener.printed('\\"trimmed\\"');

    // 2. Broken, and at work all the same.
    const broken = changed.replace('payload.text.trim()', 'payload.text.trim(');
    assert.notEqual(broken, changed);
    writeFileSync(join(folder, 'chat.js'), broken);
    await shows(gateway.lines, kept);
    await publish(gateway, '/chat/hello', { text: ' still here ' });
    await listener.printed('\\"still here\\"');

    // 3. A fault, and what mends it.
    const fault = await publish(gateway, '/chat/hello', null);
    assert.deepEqual([fault.status, fault.message], [403, 'Unable to process request']);
    await shows(gateway.lines, block('Logs', 'console'));
    const count = gateway.lines.entries.length;
    assert.match(sectionOf('Logs').text, /`payload\?\.text` mends it/);
    writeFileSync(join(folder, 'chat.js'), changed.replace('!payload.text)', '!payload?.text)'));
    await shows(gateway.lines, loaded, count);
    assert.equal((await publish(gateway, '/chat/hello', null)).status, 200);

    // 4. A data source that is new, and a handler of another kind: a function, which is nowhere.
    const [source] = blocks('Functions', 'yaml');
    const later = gateway.lines.entries.length;
    const direct = ', HandlerConfigs: {OnPublish: {Behavior: DIRECT, Integration: {DataSourceName: moderation}}}}';
    writeFileSync(join(folder, 'template.yaml'), templateWith(source.slice(0, source.indexOf('  Forum:'))).replace('./chat.js}', `./chat.js${direct}`));
    await shows(gateway.lines, loaded, later);
    assert.equal((await publish(gateway, '/chat/hello', { text: 'x' })).errorType, 'DependencyFailedException');
    assert.equal(gateway.lines.entries.some((line) => line.includes('takes effect at the next start')), false);

    // 5. What a change of more than handlers says.
    writeFileSync(join(folder, 'template.yaml'), templateWith(namespace('chat').replace('Chat:', 'More:').replace('Name: chat', 'Name: more')));
    await gateway.lines.until('a line about the rest', (line) => line.includes('takes effect at the next start'));
  });

  test('Code inline, code that AppSync would refuse, and a start that it ends', async (t) => {
    const title = 'Where code comes from';
    const folder = makeFolder({
      'template.yaml': templateWith(block(title, 'yaml'), namespace('sums')),
      'chat.js': 'export const onSubscribe = () => {}',
      'sums.js': block(title, 'js', '// sums.js'),
    });
    const gateway = await start(t, folder);
    await shows(gateway.lines, block(title, 'console'));
    const inline = await subscribe(t, gateway, '/inline/a');
    await publish(gateway, '/inline/a', null, 1, null, 2);
    assert.deepEqual(await inline.until(2), [1, 2]);
    const sums = await subscribe(t, gateway, '/sums/a');
    await publish(gateway, '/sums/a', 'x', 'y');
    assert.deepEqual(await sums.next(), { count: 2 });

    const [strict] = codesOf(/with (`\S+=true`)/.exec(sectionOf(title).text)[1]);
    await assert.rejects(start(undefined, folder, { args: [`--${strict}`] }), /ended \(1\) before it was ready.*code\.js:4:30: '\+\+' is not supported/s);
    for (const [text, reason] of [['export const x = 1', 'onPublish'], ['export function onPublish( {', 'Unexpected token']]) {
      writeFileSync(join(folder, 'sums.js'), text);
      await assert.rejects(start(undefined, folder), new RegExp(`ended \\(1\\) before it was ready.*namespace 'sums'.*${reason}`, 's'));
    }
  });

  test('What a handler returns', async (t) => {
    const title = 'What a handler returns';
    const results = {
      'nothing': '() => {}', 'empty': '() => []', 'unknown': "(ctx) => [{ id: 'x' }]", 'twice': '({ events: [one] }) => [one, one]', 'text': "() => 'x'",
      'reversed': '(ctx) => ctx.events.reverse()',
    };
    const folder = makeFolder({
      'template.yaml': templateWith(...['moods', ...Object.keys(results)].map((name) => namespace(name))),
      'chat.js': 'export const onSubscribe = () => {}',
      'moods.js': block(title, 'js', '// moods.js'),
      ...Object.fromEntries(Object.entries(results).map(([name, code]) => [`${name}.js`, `export const onPublish = ${code}`])),
    });
    const gateway = await start(t, folder);
    const moods = await subscribe(t, gateway, '/moods/a');
    const events = [{ mood: 'quiet' }, { mood: 'rude' }, { mood: 'loud', text: 'hey' }].map(asJson);
    const { body } = await post(gateway.url, key, { channel: '/moods/a', events: [...events, '{"n":  1.0}'] });
    assert.deepEqual(body.successful.map(({ index }) => index), [0, 2, 3]);
    assert.deepEqual(body.failed.map(({ index, code, message }) => [index, code, message]), [[1, 'CustomError', 'be polite']]);
    assert.deepEqual(await moods.until({ n: 1 }, '{"n":  1.0}'), [{ mood: 'loud', text: 'HEY' }, { n: 1 }]);

    for (const name of ['nothing', 'empty'])
      assert.deepEqual((await publish(gateway, `/${name}/a`, 1, 2)).body.successful.map(({ index }) => index), [0, 1], name);
    for (const name of ['unknown', 'twice', 'text']) {
      const { status, errorType } = await publish(gateway, `/${name}/a`, 1, 2);
      assert.deepEqual([status, errorType], [403, 'HandlerExecutionError'], name);
    }
    const reversed = await subscribe(t, gateway, '/reversed/a');
    await publish(gateway, '/reversed/a', 1, 2, 3);
    assert.deepEqual(await reversed.until(1), [3, 2, 1]);
  });

  test('A private channel for each user, and the context of one', async (t) => {
    const pool = 'us-east-1_Handlers1';
    const cognito = await Cognito.start({ web: pool });
    t.after(() => cognito.stop());
    const { sub, access, id: idToken } = await cognito.signIn('web', await cognito.signUp(pool, 'web', 'ana@example.com'));
    const folder = makeFolder({
      'template.yaml': templateWith(namespace('private'), namespace('show'))
        .replaceAll('{AuthType: API_KEY}', '{AuthType: AMAZON_COGNITO_USER_POOLS}')
        .replace('AuthProviders: [{AuthType: AMAZON_COGNITO_USER_POOLS}]',
          `AuthProviders: [{AuthType: AMAZON_COGNITO_USER_POOLS, CognitoConfig: {UserPoolId: ${pool}, AwsRegion: us-east-1}}, {AuthType: API_KEY}]`),
      'chat.js': 'export const onPublish = (ctx) => ctx.events.map(({ id }) => ({ id, payload: ctx }))',
      'private.js': block('What a handler returns', 'js', '// private.js'),
      'show.js': 'export const onSubscribe = (ctx) => util.error(JSON.stringify([ctx.events, ctx.info]))',
    });
    const gateway = await start(t, folder, { args: [`--Fanfare:Cognito:Endpoint=${cognito.endpoint}`], hasExample: false });
    const user = withToken(gateway.url, access);
    const connection = await Connection.connect(gateway.url, user);
    t.after(() => connection.close());
    assert.equal((await connection.subscribe(`/private/${sub}`, user)).type, 'subscribe_success');
    assertRefused(await connection.subscribe('/private/3f1c', user), 'subscribe_error', 'Unauthorized');
    const { errors } = await connection.subscribe('/show/*', user);
    const channel = { path: '/show/*', segments: ['show', '*'] };
    assert.deepEqual(JSON.parse(errors[0].message), [null, { channel, channelNamespace: { name: 'show' }, operation: 'SUBSCRIBE' }]);

    // The page's context against one that a handler sent: the same members everywhere, and the same values where the page has them in full.
    const shown = JSON.parse(block('The context', 'json'));
    const { id } = await connection.subscribe('/chat/hello', user);
    const sent = request(`${gateway.url}/event`, { method: 'POST', headers: { 'authorization': idToken, 'x-tag': ['a', 'b'], 'cookie': 'a=b', 'user-agent': 'x' } });
    sent.end(asJson({ channel: '/chat/hello', events: shown.events.map(({ payload }) => asJson(payload)) }));
    sent.on('response', (response) => response.resume());
    const { event } = await connection.frames.until('the context', (frame) => frame.type === 'data' && frame.id === id);
    const context = JSON.parse(event);
    assert.deepEqual(Object.keys(context).toSorted(), Object.keys(shown).toSorted());
    assert.deepEqual(Object.keys(context.identity).toSorted(), Object.keys(shown.identity).toSorted());
    assert.deepEqual([context.identity.sub, context.identity.claims.sub, context.identity.groups], [sub, sub, shown.identity.groups]);
    assert.equal(context.identity.defaultAuthStrategy, shown.identity.defaultAuthStrategy);
    for (const [name, value] of Object.entries(context.identity)) assert.equal(typeof value, typeof shown.identity[name], name);
    assert.deepEqual(context.request.headers['x-tag'], shown.request.headers['x-tag']);
    for (const name of Object.keys(shown.request.headers)) assert.ok(name in context.request.headers, name);
    assert.equal('cookie' in context.request.headers, false);
    assert.deepEqual(context.info, shown.info);
    assert.deepEqual(context.events.map(({ payload }) => payload), shown.events.map(({ payload }) => payload));
    for (const name of ['stash', 'result', 'error', 'prev', 'outErrors', 'env']) assert.deepEqual(context[name], shown[name], name);
    assert.equal(context.request.domainName, shown.request.domainName);
    const row = table('The context', 'signed in by').find(([cell]) => cell === 'Cognito');
    assert.deepEqual(codesOf(row[1]).toSorted(), Object.keys(context.identity).toSorted());
  });

  test('The library, as its table has it', async (t) => {
    const rows = table('Language and library', 'call').map(([calls, results]) => ({ calls: codesOf(calls), results: codesOf(results) }));
    const known = rows.filter(({ calls }) => !/^util\.(unauthorized|error|appendError)|earlyReturn/.test(calls[0]));
    const all = known.flatMap(({ calls }) => calls);
    assert.ok(all.length > 15);
    const folder = makeFolder({
      'template.yaml': templateWith(namespace('early')),
      'chat.js': `export const onPublish = (ctx) => [{ id: ctx.events[0].id, payload: [${all.map((call) => `[${call}]`).join(', ')}] }]`,
      'early.js': `export function onPublish(ctx) {
        util.appendError('odd', 'Doubt')
        if (ctx.outErrors[0].message !== 'odd') util.error('not appended')
        runtime.earlyReturn(ctx.events)
        util.error('not reached')
      }`,
    });
    const gateway = await start(t, folder);
    const { next } = await subscribe(t, gateway, '/chat/a');
    assert.equal((await publish(gateway, '/chat/a', 1)).status, 200, gateway.lines.entries.at(-1));
    const values = (await next()).map(([value]) => value);
    for (const { calls, results } of known) {
      const got = values.splice(0, calls.length);
      if (results.length > 0 && !/time\.now/.test(calls[0])) {
        assert.deepEqual(got, results.slice(0, calls.length).map((text) => JSON.parse(text)), calls.join());
      } else {
        assert.ok(got[0], calls[0]);
      }
    }
    assert.equal((await publish(gateway, '/early/a', 1)).status, 200);
  });

  describe('Data sources and functions, all in one template', () => {
    let gateway;
    let folder;
    let server;
    const helpers = [];
    before(async () => {
      const port = await findFreePorts(4);
      const adapt = (text) => text
        .replace(/\b(8000|9000|9001|7000)\b/g, (shown) => `${port + ['8000', '9000', '9001', '7000'].indexOf(shown)}`)
        .replaceAll('/path/to/fanfare/', root).replace(/^npx (\S+)/, `${modules}/.bin/$1`);
      const merged = {};
      for (const title of ['DynamoDB', 'Functions', 'HTTP', 'Functions as handlers']) {
        const { Fanfare } = JSON.parse(adapt(block(title, 'json')));
        for (const [section, values] of Object.entries(Fanfare)) {
          for (const [name, value] of Object.entries(values))
            (merged[section] ??= {})[name] = typeof value === 'object' ? { ...merged[section][name], ...value } : value;
        }
      }
      const bus = `
  Bus:
    Type: AWS::AppSync::DataSource
    Properties: {ApiId: !GetAtt Api.ApiId, Name: bus, Type: AMAZON_EVENTBRIDGE, EventBridgeConfig: {EventBusArn: 'arn:aws:events:us-east-1:000000000000:event-bus/b'}}
`;
      const asking = (source) => `, HandlerConfigs: {OnPublish: {Behavior: CODE, Integration: {DataSourceName: ${source}}}}`;
      const answering = 'response(ctx) { if (ctx.error) util.error(ctx.error.message, ctx.error.type); return [{ id: ctx.events[0].id, payload: ctx.result }] }';
      folder = makeFolder({
        'template.yaml': templateWith(
          ...['DynamoDB', 'Functions', 'HTTP', 'Functions as handlers'].map((title) => block(title, 'yaml')),
          bus, namespace('lost', asking('bus')), namespace('wrong', asking('guests')), namespace('none'),
        ),
        'appsettings.json': asJson({ Fanfare: merged }),
        'chat.js': 'export const onSubscribe = () => {}',
        'parties.js': block('DynamoDB', 'js', '// parties.js'),
        'moderate.mjs': block('Functions', 'js', '// moderate.mjs'),
        'forum.js': block('Functions', 'js', '// forum.js'),
        'trips.js': block('HTTP', 'js', '// trips.js'),
        'quiz.mjs': block('Functions as handlers', 'js', '// quiz.mjs'),
        'lost.js': `export const onPublish = { request: () => ({ operation: 'PutEvents', events: [{ source: 'a', detailType: 'b', detail: {} }] }), ${answering} }`,
        'wrong.js': `export const onPublish = { request: () => ({ operation: 'PutItem' }), ${answering} }`,
        'none.js': `export const onPublish = { request: () => ({ payload: 'from request' }), ${answering} }`,
      });
      for (const [command, ready] of [
        [block('DynamoDB', 'sh', 'npx dynalite'), 'istening'],
        [block('Functions', 'sh', 'moderate.mjs'), 'listening on'],
        [block('Functions as handlers', 'sh', 'quiz.mjs'), 'listening on'],
      ]) {
        const helper = new Helper('sh', ['-c', `exec ${adapt(command)}`], { cwd: folder });
        helpers.push(helper);
        await helper.printed(ready);
      }
      execFileSync('sh', ['-c', adapt(block('DynamoDB', 'sh', 'curl ')).replace('curl ', 'curl -sSf ')], { stdio: ['ignore', 'ignore', 'inherit'] });
      server = createServer((incoming, response) => {
        const { pathname, searchParams } = new URL(incoming.url, 'http://localhost');
        response.writeHead(searchParams.get('place') === 'nowhere' ? 404 : 200, { 'content-type': 'application/json' });
        response.end(asJson({ path: pathname, place: searchParams.get('place') }));
      });
      await new Promise((resolve) => server.listen(port + 3, 'localhost', resolve));
      gateway = await start(undefined, folder);
    });
    after(async () => {
      await gateway?.stop();
      server?.close();
      await Promise.all(helpers.map((helper) => helper.stop()));
    });

    test('DynamoDB', async (t) => {
      assert.equal((await subscribe(t, gateway, '/parties/new-year')).answer.errors[0].errorType, 'EmptyParty');
      assert.equal((await publish(gateway, '/parties/new-year', {})).message, 'Who are you?');
      assert.equal((await publish(gateway, '/parties/new-year', { name: 'Ana' })).status, 200);
      const { answer, until } = await subscribe(t, gateway, '/parties/new-year');
      assert.equal(answer.type, 'subscribe_success');
      const { failed } = (await publish(gateway, '/parties/new-year', { name: 'Ana' })).body;
      assert.match(failed[0].message, /^Ana is here since \d+$/);
      await publish(gateway, '/parties/new-year', { name: 'Ben', brings: ['cake'] });
      assert.deepEqual(await until({ name: 'Ben', brings: ['cake'] }), [{ name: 'Ben', brings: ['cake'] }]);
    });

    test('Functions', async (t) => {
      const { until } = await subscribe(t, gateway, '/forum/a');
      const { failed } = (await publish(gateway, '/forum/a', { text: 'Heck!' }, { text: 'Hello' })).body;
      assert.deepEqual(failed.map(({ index, message }) => [index, message]), [[0, 'be polite']]);
      assert.deepEqual(await until({ text: 'Hello' }), [{ text: 'Hello' }]);
    });

    test('HTTP', async (t) => {
      const { next } = await subscribe(t, gateway, '/trips/lisbon');
      await publish(gateway, '/trips/lisbon', { day: 1 });
      assert.deepEqual(await next(), { day: 1, weather: { path: '/forecast', place: 'lisbon' } });
      assert.equal((await publish(gateway, '/trips/nowhere', {})).message, 'No forecast (404)');
    });

    test('Functions as handlers', async (t) => {
      const { until } = await subscribe(t, gateway, '/quiz/one');
      const { failed } = (await publish(gateway, '/quiz/one', { answer: 42 }, { answer: '42' })).body;
      assert.ok(page.includes(`(\`${failed[0].message}\`)`), failed[0].message);
      assert.deepEqual(await until({ answer: '42', isRight: true }), [{ answer: '42', isRight: true }]);
      assertRefused((await subscribe(t, gateway, '/quiz/solutions')).answer, 'subscribe_error', 'HandlerExecutionError');
    });

    test('All kinds', async (t) => {
      const { next } = await subscribe(t, gateway, '/none/a');
      await publish(gateway, '/none/a', 1);
      assert.equal(await next(), 'from request', 'without a data source, the payload of request');
      assert.equal((await publish(gateway, '/lost/a', 1)).errorType, 'UnsupportedDataSource');
      assert.equal((await publish(gateway, '/wrong/a', 1)).errorType, 'HandlerExecutionError');

      // Settings and types are those that there are.
      const read = (name) => readFileSync(join(root, 'Gateway', name), 'utf8');
      const options = { 'Fanfare:DataSources': read('Handlers/DataSources/DataSourceOptions.cs'), 'Fanfare:Lambda': read('Lambda/LambdaOptions.cs') };
      const reader = read('Apis/Templates/DataSourceReader.cs');
      for (const [type, , where] of table('All kinds', 'type')) {
        assert.ok(reader.includes(`"${codesOf(type)[0]}"`), type);
        for (const setting of codesOf(where)) {
          const [, section, name] = /^(\w+:\w+):(\w+)$/.exec(setting);
          assert.match(options[section], new RegExp(`public \\S+(<.*>)? ${name} \\{`), setting);
        }
      }
    });

    test('Metrics', async () => {
      const scraped = await (await fetch(`${gateway.url}/metrics`)).text();
      for (const [metric, labels] of table('Metrics', 'metric')) {
        const [name] = codesOf(metric);
        const line = scraped.split('\n').find((text) => text.startsWith(name));
        assert.ok(line, name);
        for (const label of codesOf(labels)) assert.ok(line.includes(`${label}="`), `${name} ${label}`);
      }
    });
  });

  test('What clients see, row by row', async (t) => {
    const rows = table('What clients see', 'what happened');
    const big = "ctx.events.map(({ id }) => ({ id, payload: ctx.events[0].payload + 'x' }))";
    const cases = {
      'util.unauthorized()': 'util.unauthorized()',
      "util.error('closed', 'Maintenance')": "util.error('closed', 'Maintenance')",
      "util.error('closed')": "util.error('closed')",
      'the code failed': 'ctx.nothing.here',
      'a function that is the handler failed': undefined,
      'an item with': "ctx.events.map(({ id }) => ({ id, error: 'the item’s' }))",
      'an event over 240 KB': big,
    };
    const names = Object.keys(cases);
    assert.equal(rows.length, names.length);
    const direct = `
  Nobody:
    Type: AWS::AppSync::DataSource
    Properties:
      ApiId: !GetAtt Api.ApiId
      Name: nobody
      Type: AWS_LAMBDA
      LambdaConfig: {LambdaFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:nobody'}
  Direct:
    Type: AWS::AppSync::ChannelNamespace
    Properties:
      ApiId: !GetAtt Api.ApiId
      Name: n4
      HandlerConfigs:
        OnPublish: {Behavior: DIRECT, Integration: {DataSourceName: nobody}}
        OnSubscribe: {Behavior: DIRECT, Integration: {DataSourceName: nobody}}
`;
    const written = names.flatMap((name, index) => (cases[name] ? [[`n${index}`, cases[name]]] : []));
    const folder = makeFolder({
      'template.yaml': templateWith(direct, ...written.map(([name]) => namespace(name))),
      'chat.js': 'export const onSubscribe = () => {}',
      ...Object.fromEntries(written.map(([name, code]) => [`${name}.js`, `export const onPublish = (ctx) => ${code};\nexport const onSubscribe = (ctx) => ${code};`])),
    });
    const gateway = await start(t, folder);
    const authorization = { host: new URL(gateway.url).host, ...key };
    const connection = await Connection.connect(gateway.url, authorization);
    t.after(() => connection.close());

    const event = asJson('x'.repeat(245_758));
    for (const [index, [what, http, socket, subscribed, text]] of rows.entries()) {
      const channel = `/n${index}/a`;
      assert.ok(what.replaceAll('`', '').startsWith(names[index]), what);
      const [status, [type]] = [Number(/^\d+/.exec(http)[0]), codesOf(http).slice(-1)];
      const message = codesOf(text)[0] ?? 'the item’s';
      const posted = await post(gateway.url, key, { channel, events: [event] });
      assert.equal(posted.status, status, what);
      const published = await connection.publish(channel, [event], authorization);
      if (status === 200) {
        for (const { failed } of [posted.body, published]) assert.deepEqual([failed[0].code, failed[0].message], [type, message], what);
        assert.equal(published.type, codesOf(socket)[0]);
        continue;
      }
      assert.deepEqual([posted.errorType, posted.message], [type, message], what);
      assert.equal(assertRefused(published, 'publish_error', codesOf(socket)[0]).message, message);
      assert.equal(assertRefused(await connection.subscribe(channel, authorization), 'subscribe_error', codesOf(subscribed)[0]).message, message);
    }
  });

  test('What each log level keeps', async (t) => {
    const kept = {};
    let soFar = [];
    for (const [levels, what] of table('Logs', '`LogLevel`')) {
      const calls = codesOf(what).map((call) => call.replace('console.', ''));
      if (calls.length > 0) soFar = [...soFar, ...calls];
      for (const level of codesOf(levels)) kept[level] = soFar;
    }
    assert.deepEqual(Object.keys(kept), ['NONE', 'ERROR', 'INFO', 'DEBUG', 'ALL']);
    assert.deepEqual(kept.ALL.toSorted(), ['debug', 'error', 'info', 'log', 'warn']);
    for (const level of ['NONE', 'ERROR', 'INFO', 'DEBUG']) {
      const calls = ['debug', 'error', 'info', 'log', 'warn'].map((call) => `console.${call}('${call}', 'was', { called: 1 })`).join('; ');
      const folder = makeFolder({
        'template.yaml': templateWith().replace('      EventConfig:\n', `      EventConfig:\n        LogConfig: {LogLevel: ${level}, CloudWatchLogsRoleArn: none}\n`),
        'chat.js': `export function onPublish(ctx) { ${calls}; util.error('refused') }`,
      });
      const gateway = await Gateway.start({ args: ['--template', 'template.yaml'], cwd: folder });
      await publish(gateway, '/chat/a', 1);
      await gateway.stop();
      const lines = gateway.lines.entries.filter((line) => line.includes('Fanfare.Api['));
      const found = lines.flatMap((line) => /: (\w+) was \{"called":1\}$/.exec(line)?.[1] ?? []);
      assert.deepEqual(found.toSorted(), kept[level].toSorted(), level);
      assert.equal(lines.some((line) => line.includes("refused by util.error: '' 'refused'")), level !== 'NONE', level);
    }
  });

  test('Testing a handler', async () => {
    const title = 'Testing a handler';
    const [, project] = /^dotnet build (\S+) -c Release$/.exec(block(title, 'sh', 'dotnet build').trim());
    assert.ok(existsSync(project.replace('/path/to/fanfare/', root)));
    const text = block(title, 'js', '// chat.test.mjs');
    const program = /const program = '(\S+)'/.exec(text)[1];
    const built = process.env.FANFARE_GATEWAY_DLL ?? program.replace('/path/to/fanfare/', root);
    const folder = makeFolder({
      'template.yaml': templateWith(), 'chat.js': block('Change it', 'js', '// chat.js'), 'chat.test.mjs': text.replace(program, built),
    });
    const env = { NODE_TEST_CONTEXT: undefined }; // or the runner takes itself for one of its own files, and runs nothing
    const helper = new Helper('sh', ['-c', `exec ${block(title, 'sh', 'node --test')}`], { cwd: folder, env });
    const how = await helper.ended();
    assert.equal(how, 0, helper.lines.entries.join('\n'));
    assert.ok(helper.lines.entries.some((line) => /^(#|ℹ) pass 2$/.test(line)), helper.lines.entries.join('\n'));
  });

  test('TypeScript', async (t) => {
    const folder = makeFolder({
      'template.yaml': templateWith(namespace('words')), 'chat.js': 'export const onSubscribe = () => {}',
      'words.ts': block('TypeScript', 'ts'),
    });
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler', 'words.ts'];
    execFileSync(join(modules, '.bin/tsc'), options, { cwd: folder });
    execFileSync('sh', ['-c', block('TypeScript', 'sh').replace('npx ', `${modules}/.bin/`)], { cwd: folder, stdio: 'pipe' });
    const gateway = await start(t, folder, { args: ['--Fanfare:Handlers:Strict=true'] });
    const { next } = await subscribe(t, gateway, '/words/a');
    await publish(gateway, '/words/a', { text: 'to be or not' });
    assert.equal((await next()).words, 4);
  });

  test('Without Node.js the rest works', async (t) => {
    const plain = `
  Plain:
    Type: AWS::AppSync::ChannelNamespace
    Properties: {ApiId: !GetAtt Api.ApiId, Name: plain}
`;
    const folder = makeFolder({ 'template.yaml': templateWith(plain), 'chat.js': blocks(first, 'js', '// chat.js')[0] });
    const gateway = await start(t, folder, { args: ['--Fanfare:Handlers:Node=no-such-node'] });
    assert.ok(gateway.lines.entries.some((line) => line.includes('need Node.js') && line.includes('Fanfare:Handlers:Node')));
    const { errorType } = await publish(gateway, '/chat/hello', { text: 'x' });
    assert.equal(errorType, 'HandlerExecutionError');
    const { answer, until } = await subscribe(t, gateway, '/plain/a');
    assert.equal(answer.type, 'subscribe_success');
    await publish(gateway, '/plain/a', 1);
    await until(1);
    assert.equal((await subscribe(t, gateway, '/chat/hello')).answer.type, 'subscribe_success', 'its code has no onSubscribe');
  });

  test('What differs from AppSync, and what code cannot do', async (t) => {
    const [absent] = sectionOf('What differs from AppSync').text.match(/What AppSync lacks as an object is not there either:[^.]*\./);
    const names = codesOf(absent);
    assert.ok(names.length > 4);
    const faults = {
      pattern: "util.matches('\\\\G', 'x')", builtin: 'Object.prototype.extra = 1', method: 'Array.prototype.map = () => 1',
      text: "(() => {}).constructor('return 1')()", evaluation: "(0, eval)('1')", module: "require('fs')", loop: '(() => { while (true) {} })()',
    };
    const folder = makeFolder({
      'template.yaml': templateWith(...Object.keys(faults).map((name) => namespace(name))),
      'chat.js': `let calls = 0
        export function onPublish(ctx) {
          calls += 1
          let turns = 0
          while (turns < 3) turns++
          let caught = false
          try { ctx.nothing.here } catch { caught = true }
          extensions.evictFromApiCache('Query', 'x', {})
          return [{ id: ctx.events[0].id, payload: { n: ctx.events[0].payload, calls, turns, caught, types: [${names.map((name) => `typeof ${name}`)}], extra: {}.extra } }]
        }`,
      ...Object.fromEntries(Object.entries(faults).map(([name, code]) => [`${name}.js`, `export function onPublish(ctx) { ${code}; return ctx.events }`])),
    });
    const gateway = await start(t, folder);
    const endless = publish(gateway, '/loop/a', 1);
    for (const name of Object.keys(faults)) {
      const { status, errorType } = await (name === 'loop' ? endless : publish(gateway, `/${name}/a`, 1));
      assert.deepEqual([status, errorType], [403, 'HandlerExecutionError'], name);
    }
    const { until } = await subscribe(t, gateway, '/chat/a');
    const expected = (n) => ({ n, calls: 1, turns: 3, caught: true, types: names.map(() => 'undefined') });
    await publish(gateway, '/chat/a', 1);
    await publish(gateway, '/chat/a', 2);
    assert.deepEqual(await until(expected(2)), [expected(1), expected(2)]);
  });

  test('Its settings are those that there are', () => {
    const options = readFileSync(join(root, 'Gateway/Handlers/HandlerOptions.cs'), 'utf8');
    const shown = Object.fromEntries(table('Limits and settings', 'setting').map(([name, value]) => [codesOf(name)[0], value]));
    const names = [...options.matchAll(/public \w+ (\w+) \{ get; set; \}/g)].map(([, name]) => name);
    assert.deepEqual(Object.keys(shown).toSorted(), names.toSorted());
    const [, others] = /^### Event handlers: .*?\n(.*?)^### /ms.exec(readFileSync(join(root, 'docs/configuration.md'), 'utf8'));
    const listed = [...others.matchAll(/^\| (?:`\S+` )?\| `(\w+)` \| (\S+) \|/gm)].map(([, name, value]) => [name, value]);
    assert.deepEqual(Object.fromEntries(listed), shown, 'both pages have the same defaults');
  });
});

test('Every block of the page on handlers was run', () => {
  const left = sections.flatMap(({ title, blocks: all }) => all.filter(({ isUsed }) => !isUsed).map(({ text }) => `${title}: ${text.slice(0, 40)}`));
  assert.deepEqual(left, []);
});
