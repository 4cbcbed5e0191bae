import type { SettingsChanged, SettingsDelta } from '@tavus-fleet/contracts';

/**
 * Merges a delta into settings: an absent key is left alone, `null` is a value. `changed` maps each key whose value
 * differs to its old value (null if it had none); keys of `extra` appear as `extra.<key>`. Setting what is there already changes nothing.
 */
export function mergeSettings(
  current: SettingsDelta,
  delta: SettingsDelta,
): { settings: SettingsDelta; changed: SettingsChanged } {
  const changed: SettingsChanged = {};
  const settings: SettingsDelta = { ...current };
  if (delta.model !== undefined && delta.model !== current.model) {
    changed['model'] = current.model ?? null;
    settings.model = delta.model;
  }
  for (const [key, value] of Object.entries(delta.extra ?? {})) {
    // Own keys only: a caller may call a key `constructor`.
    const old = current.extra && Object.hasOwn(current.extra, key) ? current.extra[key] : undefined;
    if (old === value) continue;
    changed[`extra.${key}`] = old ?? null;
    settings.extra = { ...settings.extra, [key]: value };
  }
  return { settings, changed };
}
