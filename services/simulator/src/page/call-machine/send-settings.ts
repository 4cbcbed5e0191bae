import { isRecord, recordOf, stringOf } from './daily-js.ts';

export type EncodingLimits = { maxBitrate?: number; maxFramerate?: number; scaleResolutionDownBy?: number };

/**
 * What daily-js' `sendSettings` mean for one track. There is a single layer here (no simulcast), so the best layer the
 * settings allow is used: `maxQuality`, else the highest one that has an encoding. Presets change nothing.
 */
export function encodingLimits(sendSettings: unknown, key: string): EncodingLimits {
  const all = recordOf(sendSettings);
  const isNamed = key === 'video' || key === 'screenVideo' || key in all;
  const settings = all[isNamed ? key : 'customVideoDefaults'];
  if (!isRecord(settings)) return {};
  const encodings = recordOf(settings['encodings']);
  const order = ['high', 'medium', 'low'];
  const from = Math.max(0, order.indexOf(stringOf(settings['maxQuality']) ?? 'high'));
  const encoding = recordOf(
    order
      .slice(from)
      .map((layer) => encodings[layer])
      .find(isRecord),
  );
  const limits: EncodingLimits = {};
  for (const name of ['maxBitrate', 'maxFramerate', 'scaleResolutionDownBy'] as const) {
    const value = encoding[name];
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) limits[name] = value;
  }
  return limits;
}
