import { MAX_EXTRA_KEYS, type SettingsChanged, type SettingsDelta } from '@tavus-fleet/contracts';

/**
 * Settings store with Pipecat's NOT_GIVEN semantics: a delta's absent key changes nothing, null sets null, a value sets it.
 * `extra` merges by key; keys are never removed.
 */
export class TavusVideoSettings {
  #model: string | null = null;
  readonly #extra = new Map<string, unknown>();

  constructor(initial: SettingsDelta = {}) {
    this.applyUpdate(initial);
  }

  get model(): string | null {
    return this.#model;
  }

  extra(key: string): unknown {
    return this.#extra.get(key);
  }

  /** Pictures a second that the user room gets at most; undefined: all. */
  get maxVideoFps(): number | undefined {
    return this.#number('maxVideoFps');
  }

  /** Longest piece of speech in one echo message, ms; undefined: as much as the room takes. */
  get echoChunkMs(): number | undefined {
    return this.#number('echoChunkMs');
  }

  /** Echo messages go out as fast as they are accepted, or in real time. */
  get audioPacing(): 'paced' | 'burst' {
    return this.#extra.get('audioPacing') === 'paced' ? 'paced' : 'burst';
  }

  #number(key: string): number | undefined {
    const value = this.#extra.get(key);
    return typeof value === 'number' ? value : undefined;
  }

  /** Whether a delta would make `extra` hold more keys than it may. */
  exceeds(delta: SettingsDelta): boolean {
    const more = Object.keys(delta.extra ?? {}).filter((key) => !this.#extra.has(key)).length;
    return more > 0 && this.#extra.size + more > MAX_EXTRA_KEYS;
  }

  /** Applies a delta; answers key → old value for what changed (a key never set before: null). */
  applyUpdate(delta: SettingsDelta): SettingsChanged {
    const changed: SettingsChanged = {};
    if (delta.model !== undefined && delta.model !== this.#model) {
      changed['model'] = this.#model;
      this.#model = delta.model;
    }
    for (const [key, value] of Object.entries(delta.extra ?? {})) {
      if (this.#extra.has(key) && this.#extra.get(key) === value) continue;
      changed[`extra.${key}`] = this.#extra.get(key) ?? null;
      this.#extra.set(key, value);
    }
    return changed;
  }
}
