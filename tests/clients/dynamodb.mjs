// A DynamoDB that nobody here wrote: dynalite, in memory, in a process of its own.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Helper, findFreePort } from './processes.mjs';

const program = join(dirname(createRequire(import.meta.url).resolve('dynalite')), 'cli.js');

// It wants requests to look signed, and does not check how.
const signature = {
  'authorization': 'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=any',
  'x-amz-date': '20260101T000000Z',
};

export class DynamoDB {
  #process;

  static async start(port) {
    const database = new DynamoDB();
    port ??= await findFreePort();
    database.url = `http://127.0.0.1:${port}`;
    database.#process = new Helper(process.execPath, [program, '--host', '127.0.0.1', '--port', `${port}`, '--createTableMs', '0']);
    await database.#process.printed('istening');
    return database;
  }

  /** Calls an operation by its name, as the protocol has it. */
  async call(operation, body) {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { ...signature, 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const answer = await response.json();
    assert.ok(response.ok, `${operation}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Makes a table with a key of texts: the partition key and perhaps a sort key. */
  createTable(name, ...keys) {
    return this.call('CreateTable', {
      TableName: name,
      AttributeDefinitions: keys.map((key) => ({ AttributeName: key, AttributeType: 'S' })),
      KeySchema: keys.map((key, index) => ({ AttributeName: key, KeyType: index === 0 ? 'HASH' : 'RANGE' })),
      BillingMode: 'PAY_PER_REQUEST',
    });
  }

  /** What a table holds, as the protocol has it, in no order. */
  async items(table) {
    return (await this.call('Scan', { TableName: table, ConsistentRead: true })).Items;
  }

  stop() {
    return this.#process.stop();
  }
}
