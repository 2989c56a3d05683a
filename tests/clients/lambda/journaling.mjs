// An authorizer that does what its token says, and prints each event it is asked about, so that a test can count and read them.

export const handler = async (event) => {
  console.log(`event ${JSON.stringify(event)}`);
  const [word, ttl] = event.authorizationToken.split('-');
  switch (word) {
    case 'allow':
      return { isAuthorized: true, ...(ttl && { ttlOverride: Number(ttl) }) };
    case 'deny':
      return { isAuthorized: false };
    case 'crash':
      throw new Error('the table of tenants is missing');
    case 'shrug':
      return { authorized: 'yes' };
    case 'sleep':
      return new Promise(() => {});
    default:
      return undefined;
  }
};
