/** A fact that becomes true once and carries why: `ended`, `lost`, `left`. Later sets are ignored and answer false. */
export class Latch<T> {
  readonly #resolvers = Promise.withResolvers<T>();
  #value: { readonly value: T } | undefined;

  /** Resolves when the latch is set; never rejects. */
  get promise(): Promise<T> {
    return this.#resolvers.promise;
  }

  get isSet(): boolean {
    return this.#value !== undefined;
  }

  get value(): T | undefined {
    return this.#value?.value;
  }

  set(value: T): boolean {
    if (this.#value) return false;
    this.#value = { value };
    this.#resolvers.resolve(value);
    return true;
  }
}
