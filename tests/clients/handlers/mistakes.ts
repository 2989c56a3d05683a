// Not a handler: what the compiler must find, or it does not look at the types of the package.
import { util, type EventOnPublishContext } from '@aws-appsync/utils';

export function onPublish(ctx: EventOnPublishContext) {
  // @ts-expect-error
  util.unauthorised();
  // @ts-expect-error
  return ctx.info.channel.name;
}
