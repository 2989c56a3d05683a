// A page as an application would have it: a list that grows as events arrive, and two ways to send one.
// Its address says where the gateway is: ?gateway=URL&key=KEY&send=CHANNEL&watch=CHANNEL-OR-WILDCARD

import { Amplify } from 'aws-amplify';
import { events } from 'aws-amplify/data';

const settings = new URLSearchParams(location.search);
const gateway = settings.get('gateway');
const element = (id) => document.getElementById(id);

if (gateway.startsWith('http:')) {
  // Amplify makes wss: of http: too; against plain HTTP its sockets have to be led back.
  const Native = globalThis.WebSocket;
  globalThis.WebSocket = class extends Native {
    constructor(url, protocols) {
      super(String(url).replace(/^wss:/, 'ws:'), protocols);
    }
  };
}

Amplify.configure({
  API: {
    Events: { endpoint: `${gateway}/event`, region: 'eu-west-1', defaultAuthMode: 'apiKey', apiKey: settings.get('key') },
  },
});

const report = (error) => {
  element('error').textContent = `${error.name}: ${error.message ?? JSON.stringify(error)}`;
};

function show(event) {
  const item = document.createElement('li');
  item.textContent = typeof event === 'string' ? event : JSON.stringify(event);
  element('events').append(item);
}

/** Sends what is in the box: several lines' worth, separated by |, as a batch. */
async function send(sender) {
  const texts = element('text').value.split('|');
  element('text').value = '';
  try {
    await sender(texts.length === 1 ? texts[0] : texts);
  } catch (error) {
    report(error);
  }
}

try {
  const channel = await events.connect(settings.get('send'));
  const watched = await events.connect(settings.get('watch'));
  const subscription = watched.subscribe({ next: ({ event }) => show(event), error: report });
  await subscription.ready;
  element('state').textContent = 'subscribed';

  element('publish').onclick = () => send((value) => channel.publish(value));
  element('post').onclick = () => send((value) => events.post(settings.get('send'), value));
  element('close').onclick = async () => {
    await watched.close();
    await channel.close();
    element('state').textContent = 'closed';
  };
} catch (error) {
  report(error);
  element('state').textContent = 'failed';
}
document.forms[0].onsubmit = (submission) => submission.preventDefault();
