/** Settings as command-line arguments: nested objects and lists become keys with colons, absent values nothing. */
export function settings(prefix, value) {
  if (value === undefined) return [];
  if (typeof value !== 'object') return [`--${prefix}=${value}`];
  return Object.entries(value).flatMap(([name, inner]) => settings(`${prefix}:${name}`, inner));
}

/** The key pair of an IAM user as settings. */
export const accessKey = ({ accessKeyId, secretAccessKey, sessionToken }) =>
  ({ AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken });
