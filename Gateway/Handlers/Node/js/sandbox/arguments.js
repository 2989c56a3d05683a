// What functions of util accept. AWS documents types and no coercions; numbers and booleans are taken for their text, and everything
// else is a fault that says which function got what, since a wrong value would otherwise surface far from its cause.

(function (internal) {
  'use strict';

  const { Number, String, stringify } = internal;
  const { fault } = internal.call;

  /** A text argument of a function of util. */
  internal.textOf = (value, name) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw fault(`${name} expects a string`);
  };

  /** A number argument; a text of digits is taken for its number. */
  internal.numberOf = (value, name) => {
    const number = typeof value === 'string' && value !== '' ? Number(value) : value;
    if (typeof number === 'number' && number === number) return number;
    throw fault(`${name} expects a number`);
  };

  /** The JSON text of a value, `null` for what JSON leaves out (§1.4). */
  internal.jsonOf = (value) => {
    const text = stringify(value);
    return text === undefined ? 'null' : text;
  };

  return internal;
})
