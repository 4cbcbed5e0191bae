/**
 * What daily-js 0.92.2 expects of a call machine that shares its window (observed; the protocol is private to Daily):
 * ids waiting in `window._daily.pendings`, tracks handed over in `instances[id].tracks`, everything else by postMessage.
 */

export type SharedTracks = {
  audioTrack?: MediaStreamTrack;
  videoTrack?: MediaStreamTrack;
  /** One slot for all custom tracks: read it in the same task in which `start-custom-track` arrives. */
  customTrack?: MediaStreamTrack;
  screenMediaStream?: MediaStream;
};

export type CallMachineHandle = { store: { getState(): unknown }; reset(): void };
export type DailyInstance = { tracks: SharedTracks; publicPath?: string; callMachine?: CallMachineHandle };
export type DailyGlobal = { pendings: string[]; instances: Record<string, DailyInstance | undefined> };

/** Stands in messages where the application gave a MediaStreamTrack: tracks do not survive postMessage. */
export const CUSTOM_TRACK_MARKER = 'daily-custom-track';

/** A message of daily-js; the fields depend on `action` and come from the application, so each is checked where it is used. */
export type ModuleMessage = { readonly action: string; readonly callbackStamp?: string } & Readonly<
  Record<string, unknown>
>;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The field as a record; empty when it is anything else. */
export function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
