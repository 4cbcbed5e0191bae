import type { SettingsChanged, SettingsDelta } from '@tavus-fleet/contracts';

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
