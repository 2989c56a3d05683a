// An authorizer as users of AppSync Events write them: tokens by table, channels by tenant.
const tenants = { 'token-of-acme': 'acme', 'token-of-zeta': 'zeta' };

exports.handler = async (event) => {
  const { authorizationToken, requestContext } = event;
  const { operation, channelNamespaceName, channel } = requestContext;
  if (authorizationToken === 'token-that-crashes') throw new TypeError('tenants is not a function');

  const tenant = tenants[authorizationToken];
  const isAuthorized = tenant !== undefined
    && (operation === 'EVENT_CONNECT' || channel === `/${channelNamespaceName}/${tenant}` || channel.startsWith(`/${channelNamespaceName}/${tenant}/`));
  console.log(`${operation} ${channel ?? ''} for ${tenant ?? 'nobody'}: ${isAuthorized}`);
  return { isAuthorized, handlerContext: { tenant: tenant ?? '' }, ttlOverride: 10 };
};
