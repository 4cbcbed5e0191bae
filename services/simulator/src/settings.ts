import { z } from 'zod';
import { LIMITS } from './tavus/limits.ts';

const Size = z.union([
  z.object({ width: z.int().min(16).max(3840), height: z.int().min(16).max(2160) }).strict(),
  z
    .string()
    .regex(/^\d{2,4}x\d{2,4}$/, 'expected WIDTHxHEIGHT, for example 640x360')
    .transform((text) => {
      const [width = 0, height = 0] = text.split('x').map(Number);
      return { width, height };
    }),
]);

const Milliseconds = z.int().min(0).max(600_000);

const Settings = z
  .object({
    /** Which `stream` track a replica hears when two are in the room. */
    streamPolicy: z.enum(['first', 'latest', 'mix']),
    /** Picture of replicas started from now on; `{width,height}` or `"640x360"`. */
    size: Size,
    fps: z.int().min(1).max(60),
    /** How long POST /v2/conversations takes to answer; the conversation runs from the beginning of that time. */
    createLatencyMs: Milliseconds,
    /** From create until the replica begins to join its room. */
    replicaJoinDelayMs: Milliseconds,
    /** From hearing a sound to playing it back. */
    replicaDelayMs: z.int().min(0).max(10_000),
    /** How long a participant whose connection broke stays visible (see also the fault ghost-lingers). */
    ghostLingerMs: Milliseconds,
    /** `conversation_url` is this, a slash and the id. Rooms are found under the default only: another base is for testing what a client refuses. */
    conversationUrlBase: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
    /** Active conversations that the plan allows; null = any number. */
    planConcurrency: z.int().min(0).nullable(),
    /** Silent cap of the plan on `max_call_duration`; null = only the documented 3600. */
    planMaxCallSeconds: z.int().min(1).nullable(),
    /** Keys answered with 401 although they are not empty. */
    refusedApiKeys: z.array(z.string().min(1).max(LIMITS.name)).max(100),
    /** What POST …/end answers for a conversation that has ended already (not documented, so all three are worth a test). */
    endTwiceStatus: z.union([z.literal(200), z.literal(400), z.literal(404)]),
    /** Beginning of the replica's user_id: older and newer backends differ (observed). */
    replicaUserIdPrefix: z.enum(['tavus-replica', 'tavus-face']),
    /** False: shutdown reasons of timers come without " reached", as one documented example has them. */
    reasonsSayReached: z.boolean(),
  })
  .strict();

export type SimSettings = z.infer<typeof Settings>;

export const defaultSettings: SimSettings = {
  streamPolicy: 'first',
  size: { width: 640, height: 360 },
  fps: 24,
  createLatencyMs: 200,
  replicaJoinDelayMs: 500,
  replicaDelayMs: 100,
  ghostLingerMs: 3_000,
  conversationUrlBase: 'https://tavus.daily.co',
  planConcurrency: null,
  planMaxCallSeconds: null,
  refusedApiKeys: [],
  endTwiceStatus: 200,
  replicaUserIdPrefix: 'tavus-replica',
  reasonsSayReached: true,
};

export const SettingsPatch = Settings.partial();

/** What the whole simulator reads at the moment of use, so that a change counts from then on, never backwards. */
export class SettingsStore {
  #current: SimSettings;

  constructor(initial: Partial<SimSettings> = {}) {
    this.#current = { ...defaultSettings, ...initial };
  }

  get current(): SimSettings {
    return this.#current;
  }

  /** `patch` must have gone through `SettingsPatch`. Returns the effective settings. */
  change(patch: z.infer<typeof SettingsPatch>): SimSettings {
    const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    this.#current = { ...this.#current, ...given };
    return this.#current;
  }
}
