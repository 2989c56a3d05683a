// Signature Version 4 by the signer of the AWS SDK for JavaScript, as its users put it together for AppSync.

import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';

/** Signs a body for the path `/event`, and returns all headers of the request. */
export async function sign(url, credentials, body, { region = 'us-east-1', ...options } = {}) {
  const { protocol, hostname, port, host } = new URL(url);
  const signer = new SignatureV4({ service: 'appsync', region, credentials, sha256: Sha256 });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol,
      hostname,
      port: Number(port),
      path: '/event',
      query: {},
      headers: {
        'host': host,
        'accept': 'application/json, text/javascript',
        'content-encoding': 'amz-1.0',
        'content-type': 'application/json; charset=UTF-8',
      },
      body,
    },
    options,
  );
  return headers;
}
