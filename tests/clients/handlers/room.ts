import { util, type EventOnPublishContext, type EventOnPublishResult, type EventOnSubscribeContext } from '@aws-appsync/utils';
import * as ddb from '@aws-appsync/utils/dynamodb';
import { isClean, shorten } from './words';

type Message = { text: string; tags?: string[]; secret?: string };

enum Verdict {
  Good = 'good',
  Rude = 'rude',
}

const judge = ({ text }: Message): Verdict => (isClean(text) ? Verdict.Good : Verdict.Rude);

export function onPublish(ctx: EventOnPublishContext<Message>): EventOnPublishResult {
  const [, room = 'none'] = ctx.info.channel.segments;
  return ctx.events.map(({ id, payload: { secret, ...rest } }) =>
    judge(rest) === Verdict.Rude
      ? { id, error: `${Verdict.Rude}: ${shorten(rest.text)}` }
      : { id, payload: { ...rest, room, tags: rest.tags ?? [], at: util.time.nowEpochMilliSeconds() > 0 } });
}

export const onSubscribe = {
  request: (ctx: EventOnSubscribeContext) => ddb.get<{ room: string }>({ key: { room: ctx.info.channel.segments[1] ?? '' } }),
  response(ctx: EventOnSubscribeContext & { result: { isOpen: boolean } | null }) {
    if (!ctx.result?.isOpen) util.unauthorized();
    return null;
  },
};
