import type { MachineState, Subscribed, SubscribedTags } from './store.ts';
import { isRecord } from './daily-js.ts';

const TAGS: Record<string, Exclude<keyof SubscribedTags, 'custom'>> = {
  video: 'cam-video',
  audio: 'cam-audio',
  screenVideo: 'screen-video',
  screenAudio: 'screen-audio',
};

/** Which tracks of others this call wants: one default and what `setSubscribedTracks` asked for, per participant. */
export class Subscriptions {
  readonly #tracks: MachineState['local']['public']['subscribedTracks'];

  /** `tracks` is the store's own object: daily-js reads it, we write it. */
  constructor(tracks: MachineState['local']['public']['subscribedTracks']) {
    this.#tracks = tracks;
  }

  /** Turning the automatic mode on forgets what was asked one by one; turning it off keeps nobody subscribed by default. */
  setAutomatic(enabled: boolean): void {
    if (enabled) for (const id of Object.keys(this.#tracks)) if (id !== 'ALL') delete this.#tracks[id];
    this.#tracks.ALL = enabled;
  }

  /** `wanted` is what the application gave as `setSubscribedTracks`; kinds it does not name stay as they are. */
  set(sessionId: string, wanted: unknown): void {
    const plain = subscribedOf(wanted);
    if (plain !== undefined) {
      this.#tracks[sessionId] = allTags(plain);
      return;
    }
    if (!isRecord(wanted)) return;
    const tags = this.#tagsOf(sessionId);
    for (const [key, tag] of Object.entries(TAGS)) {
      const value = subscribedOf(wanted[key]);
      if (value !== undefined) tags[tag] = value;
    }
    const custom = subscribedOf(wanted['custom']);
    if (custom !== undefined) tags.custom = custom;
    else if (isRecord(wanted['custom'])) {
      const before = typeof tags.custom === 'object' ? tags.custom : {};
      const named = Object.entries(wanted['custom']).flatMap(([name, value]) => {
        const subscribed = subscribedOf(value);
        return subscribed === undefined ? [] : [[name, subscribed] as const];
      });
      tags.custom = { ...before, ...Object.fromEntries(named) };
    }
    this.#tracks[sessionId] = tags;
  }

  of(sessionId: string, key: string): Subscribed {
    const entry = this.#tracks[sessionId] ?? this.#tracks.ALL;
    if (typeof entry !== 'object') return entry;
    const tag = TAGS[key];
    if (tag) return entry[tag];
    return typeof entry.custom === 'object' ? (entry.custom[key] ?? false) : entry.custom;
  }

  forget(sessionId: string): void {
    delete this.#tracks[sessionId];
  }

  #tagsOf(sessionId: string): SubscribedTags {
    const entry = this.#tracks[sessionId] ?? this.#tracks.ALL;
    return typeof entry === 'object' ? { ...entry } : allTags(entry);
  }
}

function subscribedOf(value: unknown): Subscribed | undefined {
  if (value === true || value === false || value === 'staged') return value;
  return value === 'avatar' ? true : undefined;
}

function allTags(value: Subscribed): SubscribedTags {
  return { 'cam-video': value, 'cam-audio': value, 'screen-video': value, 'screen-audio': value, custom: value };
}
