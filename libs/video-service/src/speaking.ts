/** Whether the avatar is heard. One owner of that fact, so that a start is said once and a stop only after a start. */
export class Speaking {
  #source: 'tavus' | 'audio' | undefined;
  #says = false;

  get now(): boolean {
    return this.#says;
  }

  /**
   * A hint from one source. Tavus' own events win once they have been seen (they carry the utterance and are not fooled by
   * codec noise; Pipecat D17); received audio decides until then. Answers whether the state changed.
   */
  hint(source: 'tavus' | 'audio', speaking: boolean): boolean {
    if (source === 'audio' && this.#source === 'tavus') return false;
    this.#source = source;
    return this.#set(speaking);
  }

  /** The replica left: it is silent, whoever said that it spoke; its successor's first hint decides again. Answers whether the state changed. */
  gone(): boolean {
    this.#source = undefined;
    return this.#set(false);
  }

  #set(speaking: boolean): boolean {
    if (this.#says === speaking) return false;
    this.#says = speaking;
    return true;
  }
}
