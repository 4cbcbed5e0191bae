/**
 * daily-js as a browser gets it. Its package has an ESM build for bundlers and CommonJS types for Node's rules, under which
 * the default import looks like the whole module; what arrives at run time is the default export itself.
 */
import type { DailyCall, DailyFactoryOptions } from '@daily-co/daily-js';
import Bundled from '@daily-co/daily-js';

export type { DailyCall, DailyParticipant } from '@daily-co/daily-js';

// See above: the bundler resolves `module` (dist/daily-esm.js), whose default export is the class with this static method.
const Daily = Bundled as unknown as { createCallObject(options: DailyFactoryOptions): DailyCall };

export function createCallObject(options: DailyFactoryOptions): DailyCall {
  return Daily.createCallObject(options);
}
