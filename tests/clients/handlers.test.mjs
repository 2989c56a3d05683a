// Handlers as larger projects make them: TypeScript with the types of @aws-appsync/utils, put into one file by esbuild.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DynamoDB } from './dynamodb.mjs';
import { Gateway, apiKey } from './gateway.mjs';
import { Connection, assertRefused, post } from './protocol.mjs';
import { settings } from './settings.mjs';

const sources = fileURLToPath(new URL('./handlers', import.meta.url));
const program = (name) => fileURLToPath(new URL(`./node_modules/.bin/${name}`, import.meta.url));

// What AWS's guide to bundling handlers says.
const bundling = [
  '--bundle', '--sourcemap=inline', '--sources-content=false', '--target=esnext', '--platform=node', '--format=esm',
  '--external:@aws-appsync/utils', '--external:@aws-appsync/utils/*', '--log-level=warning',
];

describe('Handlers in TypeScript', { timeout: 60_000 }, () => {
  let folder;
  let database;
  let gateway;
  let url;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fanfare-handlers-'));
    execFileSync(program('esbuild'), [join(sources, 'room.ts'), ...bundling, `--outfile=${join(folder, 'room.js')}`]);
    const modes = [{ AuthType: 'API_KEY' }];
    const ApiId = { 'Fn::GetAtt': ['Api', 'ApiId'] };
    const onSubscribe = { OnSubscribe: { Behavior: 'CODE', Integration: { DataSourceName: 'rooms' } } };
    const namespace = (Name, code) =>
      ({ Type: 'AWS::AppSync::ChannelNamespace', Properties: { ApiId, Name, HandlerConfigs: onSubscribe, ...code } });
    const template = {
      Resources: {
        Api: {
          Type: 'AWS::AppSync::Api',
          Properties: {
            Name: 'bundles',
            EventConfig: { AuthProviders: modes, ConnectionAuthModes: modes, DefaultPublishAuthModes: modes, DefaultSubscribeAuthModes: modes },
          },
        },
        Key: { Type: 'AWS::AppSync::ApiKey', Properties: { ApiId } },
        Rooms: {
          Type: 'AWS::AppSync::DataSource',
          Properties: { ApiId, Name: 'rooms', Type: 'AMAZON_DYNAMODB', DynamoDBConfig: { TableName: 'rooms', AwsRegion: 'us-east-1' } },
        },
        File: namespace('file', { CodeS3Location: './room.js' }),
        Inline: namespace('inline', { CodeHandlers: readFileSync(join(folder, 'room.js'), 'utf8') }),
      },
    };
    writeFileSync(join(folder, 'template.json'), JSON.stringify(template));
    database = await DynamoDB.start();
    await database.createTable('rooms', 'room');
    await database.call('PutItem', { TableName: 'rooms', Item: { room: { S: 'open' }, isOpen: { BOOL: true } } });

    // Strict: what AppSync would refuse ends the start.
    const set = settings('Fanfare', { DataSources: { DynamoDBEndpoint: database.url }, Handlers: { Strict: true } });
    gateway = await Gateway.start({ args: ['--template', 'template.json', ...set], cwd: folder });
    url = gateway.url;
  });
  after(async () => {
    await gateway?.stop();
    await database?.stop();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const namespace of ['file', 'inline']) {
    test(`The bundle decides as its sources say (${namespace})`, async () => {
      const key = { 'host': new URL(url).host, 'x-api-key': apiKey };
      const connection = await Connection.connect(url, key);
      const { type, id } = await connection.subscribe(`/${namespace}/open`, key);
      assert.equal(type, 'subscribe_success');
      assertRefused(await connection.subscribe(`/${namespace}/closed`, key), 'subscribe_error', 'Unauthorized');

      const events = [{ text: 'What the HECK is this supposed to be' }, { text: 'hello', secret: 'x' }].map((event) => JSON.stringify(event));
      const { status, body } = await post(url, { 'x-api-key': apiKey }, { channel: `/${namespace}/open`, events });
      assert.equal(status, 200);
      assert.deepEqual(body.failed.map(({ index, message }) => [index, message]), [[0, 'rude: What the HECK is thi…']]);
      await connection.received(id, '{"text":"hello","room":"open","tags":[],"at":true}');
      connection.close();
    });
  }

  test('Its sources hold up against the types of the package', () => {
    const { status, stdout } = spawnSync(program('tsc'), ['--project', '.'], { encoding: 'utf8', cwd: sources });
    assert.equal(status, 0, stdout);
  });
});
