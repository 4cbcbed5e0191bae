/** How Node's console and util.inspect ask an object for its picture. */
const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * A value that must not be seen. Printing it, putting it into JSON, a template or a log gives `[redacted]`; only `reveal()`
 * gives the value, so that every use can be found by its name.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect](): string {
    return '[redacted]';
  }
}
