import { z } from 'zod';

const ExtraValue = z.union([z.string().max(1024), z.number(), z.boolean(), z.null()]);

/**
 * Run-time settings of a conversation as a delta: an absent key means "not given", null means "set to null".
 * `extra` keys we know: `maxVideoFps` (1–60), `audioPacing` (`paced`|`burst`), `echoChunkMs` (10–1000); others are kept and reported.
 */
export const SettingsDelta = z.strictObject({
  model: z.string().max(128).nullable().optional(),
  extra: z.record(z.string().min(1).max(64), ExtraValue).optional(),
});
export type SettingsDelta = z.infer<typeof SettingsDelta>;

/** What changed by an update: key → old value; a key that had never been set carries `null`. `extra` keys appear as `extra.<key>`. */
export const SettingsChanged = z.record(z.string(), z.unknown());
export type SettingsChanged = z.infer<typeof SettingsChanged>;
