import { z } from 'zod';

const ExtraValue = z.union([z.string().max(1024), z.number(), z.boolean(), z.null()]);

/**
 * The keys of `extra` that have an effect; null takes it back. `maxVideoFps`: at most so many pictures a second in the user room.
 * `echoChunkMs`: longest piece of speech in one echo message (the room's own limit counts as well). `audioPacing`: echo messages as
 * fast as they are accepted, or in real time.
 */
const KNOWN_EXTRA = {
  maxVideoFps: z.number().min(1).max(60).nullable(),
  echoChunkMs: z.number().min(10).max(1000).nullable(),
  audioPacing: z.enum(['paced', 'burst']).nullable(),
} as const;

/** Keys that `extra` holds in all, over every update: what is merged must not grow without end. */
export const MAX_EXTRA_KEYS = 64;

/** Run-time settings of a conversation as a delta: an absent key means "not given", null means "set to null". Unknown keys of `extra` are kept and reported. */
export const SettingsDelta = z.strictObject({
  model: z.string().max(128).nullable().optional(),
  extra: z
    .record(z.string().min(1).max(64), ExtraValue)
    .superRefine((extra, context) => {
      if (Object.keys(extra).length > MAX_EXTRA_KEYS)
        context.addIssue({ code: 'custom', message: `must hold at most ${MAX_EXTRA_KEYS} keys` });
      for (const [key, schema] of Object.entries(KNOWN_EXTRA)) {
        if (!(key in extra)) continue;
        for (const { message } of schema.safeParse(extra[key]).error?.issues ?? [])
          context.addIssue({ code: 'custom', path: [key], message });
      }
    })
    .optional(),
});
export type SettingsDelta = z.infer<typeof SettingsDelta>;

/** What changed by an update: key → old value; a key that had never been set carries `null`. `extra` keys appear as `extra.<key>`. */
export const SettingsChanged = z.record(z.string(), z.unknown());
export type SettingsChanged = z.infer<typeof SettingsChanged>;
