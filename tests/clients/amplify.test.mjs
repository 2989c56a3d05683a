// AWS Amplify, the most used client of the protocol, unmodified, in Node. What it does inside is in amplify/scenarios.mjs.

import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runScenario } from './amplify/run.mjs';
import { makeCertificate } from './certificate.mjs';
import { Gateway } from './gateway.mjs';

const program = fileURLToPath(new URL('./amplify/scenarios.mjs', import.meta.url));
let certificate;
let gateway;

before(async () => {
  certificate = makeCertificate();
  gateway = await Gateway.start({ tls: certificate });
});
after(async () => {
  certificate.remove();
  await gateway?.stop();
});

const run = (scenario, { signal, environment }) =>
  runScenario(program, scenario, { signal, environment: { FANFARE_URL: gateway.url, ...environment } });

// The long waits first, so that the short scenarios run beside them.
describe('Amplify in Node', { concurrency: 6 }, () => {
  const scenarios = {
    'An idle connection is kept alive, as Amplify sees it, for longer than a minute': ['idle', 110_000],
    'A page that was open for longer than the time-out before it connects stays connected': ['clock-ahead', 60_000],
    'After a lost confirmation Amplify repeats all its subscriptions, and none of them is harmed': ['lost-confirmation', 90_000],
    'When the gateway crashes and comes back, the same subscriptions resume on a new connection': ['gateway-crash', 90_000],
    'When the gateway is stopped and replaced, it says so and the same subscriptions resume': ['gateway-stop', 90_000],
    'When the network is cut, the same subscriptions resume on a new connection': ['network-cut', 60_000],
    'What is published or posted arrives at exact and wildcard subscriptions, batches in order': ['round-trip', 60_000],
    'Every kind of JSON value arrives as it was sent': ['value-kinds', 60_000],
    'A wrong key at connect is refused at once, and the socket is closed': ['wrong-key-at-connect', 60_000],
    'A wrong key at subscribe or publish is refused, and the socket stays usable': ['wrong-key-at-subscribe', 60_000],
    'An unknown namespace or a malformed channel is refused, and the socket stays usable': ['unknown-namespace', 60_000],
    'Six events at once are refused, and none of them is delivered': ['six-events', 60_000],
    'Two subscriptions to one channel are independent': ['two-subscriptions', 60_000],
  };
  for (const [title, [scenario, timeout]] of Object.entries(scenarios))
    test(title, { timeout }, ({ signal }) => run(scenario, { signal }));

  test('Over TLS nothing of the client needs changing', { timeout: 60_000 }, ({ signal }) =>
    run('round-trip', {
      signal,
      environment: { FANFARE_URL: gateway.secureUrl, NODE_EXTRA_CA_CERTS: certificate.cert },
    }));
});
