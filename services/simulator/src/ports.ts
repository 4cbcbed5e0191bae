/**
 * The seam inside the simulator: Tavus' side (REST, timers, billing, faults) drives rooms and replicas through these
 * ports only, so that either half can be read, tested and replaced without the other.
 */

import type { Hearing, ReplicaOptions } from './replica-options.ts';
import type { RoomError } from './room-error.ts';

export type { Hearing, ReplicaOptions, RoomError };

/** One participant as `/sim/state` shows it. `tracks` are daily-js' names: `video`, `audio`, `stream`, … */
export type ParticipantView = {
  readonly sessionId: string;
  readonly userId: string | null;
  readonly userName: string;
  readonly userData: unknown;
  readonly joinedAt: string;
  readonly tracks: readonly string[];
};

/** Daily's side: rooms with signalling and real peer connections between their participants. */
export interface DailyRooms {
  /** Opens a Tavus room. User rooms need no call: they are made on first join. */
  open(room: { name: string; maxParticipants?: number }): void;
  /** Closes the room; everyone in it gets the fatal error and later joins are refused with it. */
  close(name: string, error: RoomError): void;
  /** Throws one participant out with `ejected`. False if it is not there. */
  eject(name: string, sessionId: string): boolean;
  /** Refuses the next `count` joins of the room with this error (for example `meeting-full`). */
  refuseJoins(name: string, error: RoomError, count: number): void;
  /** Cuts the signalling of all non-replica participants of a room for `ms`; they come back with the same session_id. */
  interruptNetwork(name: string, ms: number): void;
  /** Overrides daily-js' app-message limit (characters) told to those who join from now on; undefined = default 4096. */
  setAppMessageLimit(limit: number | undefined): void;
  /** Ghosts: a participant whose connection drops stays visible this long (0 = gone at once). */
  setLinger(ms: number): void;
  rooms(): readonly { name: string; participants: readonly ParticipantView[] }[];
  /** Called on every join and leave, replica included. Returns the unsubscribe function. */
  onPresence(
    listener: (event: {
      room: string;
      kind: 'joined' | 'left';
      participant: ParticipantView;
      isReplica: boolean;
    }) => void,
  ): () => void;
}

/** One avatar in one room: draws, hears, speaks. Owned by the conversation that started it. */
export interface Replica {
  /** What it heard so far: mono WAV, 24 kHz s16le, with silence where nothing was heard, bounded to the newest 10 minutes. */
  heard(): Promise<Buffer>;
  /** App messages it received, in order, with arrival times (ISO) and sender. */
  messages(): readonly { at: string; from: string; data: unknown }[];
  /** Video stands still (frames of the same picture go on or stop: see its README) until turned off. */
  freezeVideo(on: boolean): void;
  /** Audio track goes silent although it should speak. */
  mute(on: boolean): void;
  /** Sends an app message into the room as the replica. */
  say(data: unknown): void;
  /** Leaves the room; may be called twice. */
  stop(): Promise<void>;
}

export interface Replicas {
  start(options: ReplicaOptions, signal: AbortSignal): Promise<Replica>;
  /** Ends every replica and the browser behind them. */
  close(): Promise<void>;
}
