// A function behind a namespace, asked in two ways: by a handler, which sends { channel, events } and wants to know which events to keep, or
// directly, with the whole context. Prints each event it is asked about, so that a test can count and read them.

const isBad = (payload) => payload?.odds <= 0;

export const handler = async (event) => {
  console.log(`event ${JSON.stringify(event)}`);
  if (event.events?.some(({ payload }) => payload === 'crash')) throw new RangeError('no such odds');
  if (!event.info) return { keep: event.events.filter(({ payload }) => !isBad(payload)).map(({ id }) => id) };
  if (event.info.operation === 'SUBSCRIBE') return event.info.channel.segments.includes('closed') ? { error: 'closed' } : null;
  return {
    events: event.events.map(({ id, payload }) => (isBad(payload) ? { id, error: 'no odds' } : { id, payload: { ...payload, checked: true } })),
  };
};
