// A function as users of Powertools for AWS Lambda write it: routes of AppSync Events by channel.

import { AppSyncEventsResolver, UnauthorizedException } from '@aws-lambda-powertools/event-handler/appsync-events';

const app = new AppSyncEventsResolver();

// One by one: an error that is thrown concerns one event.
app.onPublish('/chat/*', (payload) => {
  if (typeof payload.text !== 'string') throw new TypeError('text is missing');
  return { ...payload, text: payload.text.trim() };
});

// The most specific route counts; it has the whole request at hand.
app.onPublish('/chat/rooms/*', (payload, event) => ({ ...payload, room: event.info.channel.segments.at(-1), by: event.request.headers['x-user'] }));

// All together: the list that comes back is what is broadcast.
app.onPublish(
  '/chat/batches',
  (events) => {
    if (events.some(({ payload }) => payload === 'forbidden')) throw new UnauthorizedException('not allowed here');
    if (events.some(({ payload }) => payload === 'broken')) throw new Error('the batch is broken');
    return events.filter(({ payload }) => payload % 2 === 0).map(({ id, payload }) => ({ id, payload: payload * 10 }));
  },
  { aggregate: true },
);

app.onSubscribe('/chat/*', (event) => console.log(`subscribed ${event.info.channel.path} ${JSON.stringify(event.events)}`));
app.onSubscribe('/chat/secret', () => {
  throw new UnauthorizedException('a secret');
});
app.onSubscribe('/chat/broken', () => {
  throw new Error('broken');
});

export const handler = (event, context) => {
  console.log(`event ${JSON.stringify(event)}`);
  return app.resolve(event, context);
};
