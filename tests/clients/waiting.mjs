// Waiting on conditions, with deadlines whose failure says what was missing. Nothing here polls or sleeps.

/** Settles as `promise` does, or rejects after `milliseconds` saying that `what` did not happen. */
export async function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Everything that happened at one place, in order: events of a subscription, frames of a socket, lines of a process.
 * To show that something does not arrive, cause a marker afterwards and assert that it is what `next` returns.
 */
export class Journal {
  entries = [];
  #taken = 0;
  #checks = new Set();

  constructor(name) {
    this.name = name;
  }

  push(entry) {
    this.entries.push(entry);
    for (const check of [...this.#checks]) check();
  }

  /** The first entry, from the `from`-th on, that satisfies `predicate`; already written or still to come. */
  until(what, predicate, { from = 0, deadline = 10_000 } = {}) {
    let check;
    const found = new Promise((resolve) => {
      let position = from;
      check = () => {
        for (; position < this.entries.length; position++) {
          if (predicate(this.entries[position])) {
            this.#checks.delete(check);
            return resolve(this.entries[position]);
          }
        }
      };
      this.#checks.add(check);
      check();
    });
    return within(deadline, `${this.name}: ${what}`, found).catch((error) => {
      this.#checks.delete(check);
      error.message += `; so far: ${JSON.stringify(this.entries.slice(-20))}`;
      throw error;
    });
  }

  /** The next entry that no `next` has returned before. */
  next(what = 'the next entry', { deadline = 10_000 } = {}) {
    const position = this.#taken++;
    return this.until(what, () => true, { from: position, deadline });
  }

  /** The next `count` entries, in order. */
  async take(count, what = `${count} entries`) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next(`${what} (${taken.length} of ${count} so far)`));
    return taken;
  }
}
