// Failed attempts: whoever keeps failing is held back, and who is known goes on meanwhile, even from the same address.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, apiKey, wrongKey } from './gateway.mjs';
import { Connection, post } from './protocol.mjs';
import { within } from './waiting.mjs';

test('Who tries one wrong key after the other is held back, and users of the right one never notice', { timeout: 60_000 }, async (t) => {
  const gateway = await Gateway.start();
  t.after(() => gateway.stop());
  const { url } = gateway;
  const publish = (key) => post(url, { 'x-api-key': key }, { channel: '/default/room', events: ['1'] });
  const authorization = { 'host': new URL(url).host, 'x-api-key': apiKey };
  const connection = await Connection.connect(url, authorization);
  assert.equal((await publish(apiKey)).status, 200);

  // Ten seconds' worth of failures are let through at once; then as many as the limit says, however many try.
  const seen = new Map();
  let attempts = 0;
  let goesOn = true;
  let notice;
  const isHeldBack = new Promise((resolve) => (notice = resolve));
  const attackers = Array.from({ length: 4 }, async () => {
    while (goesOn) {
      const { status, errorType, message } = await publish(`${wrongKey}-${attempts++}`);
      seen.set(status, { errorType, message });
      if (status === 429) notice();
    }
  });
  await within(20_000, 'the first attempt that is held back', isHeldBack);
  assert.ok(attempts > 90, `held back after ${attempts} attempts`);
  try {
    let refusal;
    for (let i = 0; i < 50 && refusal?.errorType !== 'LimitExceededError'; i++) {
      assert.equal((await publish(apiKey)).status, 200);
      const { type } = await connection.publish('/default/room', ['2'], authorization);
      assert.equal(type, 'publish_success');
      (await Connection.connect(url, authorization)).close();
      refusal = await Connection.refused(url, { ...authorization, 'x-api-key': wrongKey });
    }
    assert.deepEqual(refusal, { errorType: 'LimitExceededError', message: 'Rate exceeded', errorCode: 429 });
  } finally {
    goesOn = false;
    await Promise.all(attackers);
  }
  assert.deepEqual([...seen.keys()].toSorted(), [401, 429]);
  assert.deepEqual(seen.get(429), { errorType: 'ThrottlingException', message: 'Rate exceeded' });
  connection.close();
});
