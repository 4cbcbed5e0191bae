import type { RoomName } from '../port.ts';
import type { ToWorker } from './ports.ts';

/** What is needed of a call to hear its participants. */
type Hearable = {
  readonly joined: boolean;
  subscribe(participantId: string, wanted: { audio: boolean; video: boolean }): void;
  track(participantId: string, kind: 'audio' | 'video'): MediaStreamTrack | undefined;
};
type Heard = { readonly track: MediaStreamTrack; readonly element: HTMLAudioElement };

/** Subscribes to the voices of those users that our process named, and hands their tracks to the worker as they come and go. */
export class UserTracks {
  readonly #toWorker: (message: ToWorker, transfer?: Transferable[]) => void;
  readonly #subscribed = new Set<string>();
  readonly #heard = new Map<string, Heard>();
  #wanted: { readonly room: RoomName; readonly ids: ReadonlySet<string> } | undefined;

  constructor(toWorker: (message: ToWorker, transfer?: Transferable[]) => void) {
    this.#toWorker = toWorker;
  }

  /** Whether users of that room are heard. */
  isIn(room: RoomName): boolean {
    return this.#wanted?.room === room;
  }

  /** Exactly these from now on. `call`: that room's, once there is one. */
  want(room: RoomName, participantIds: readonly string[], call: Hearable | undefined): void {
    this.#wanted = { room, ids: new Set(participantIds) };
    this.look(call);
  }

  /** Somebody came, went or brought a track. */
  look(call: Hearable | undefined): void {
    if (!this.#wanted || !call?.joined) return;
    const { ids } = this.#wanted;
    for (const id of this.#subscribed) if (!ids.has(id)) this.#drop(id, call);
    for (const id of ids) {
      if (!this.#subscribed.has(id)) call.subscribe(id, { audio: true, video: false });
      this.#subscribed.add(id);
      this.#hear(id, call.track(id, 'audio'));
    }
  }

  close(): void {
    this.#wanted = undefined;
    this.#subscribed.clear();
    for (const id of this.#heard.keys()) this.#hear(id, undefined);
  }

  #drop(id: string, call: Hearable): void {
    call.subscribe(id, { audio: false, video: false });
    this.#subscribed.delete(id);
    this.#hear(id, undefined);
  }

  #hear(id: string, track: MediaStreamTrack | undefined): void {
    const before = this.#heard.get(id);
    if (before?.track === track) return;
    if (before) {
      before.element.srcObject = null;
      this.#heard.delete(id);
      this.#toWorker({ type: 'stop-hearing-user', participantId: id });
    }
    if (track) void this.#open(id, track);
  }

  async #open(id: string, track: MediaStreamTrack): Promise<void> {
    // As with the replica's: nothing is delivered until an element plays it; muted is enough.
    const element = new Audio();
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    this.#heard.set(id, { track, element });
    try {
      await element.play();
    } catch (error) {
      return console.warn('user voice', String(error)); // gone again before it played
    }
    if (this.#heard.get(id)?.track !== track) return; // replaced while starting
    const { readable } = new MediaStreamTrackProcessor<AudioData>({ track, maxBufferSize: 50 });
    this.#toWorker({ type: 'hear-user', participantId: id, readable }, [readable]);
  }
}
