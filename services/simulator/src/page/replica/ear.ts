import type { DailyCall, DailyParticipant } from '../daily.ts';
import type { ReplicaOptions } from '../../replica-options.ts';
import type { ToVoiceWorker } from './messages.ts';

// Chromium's; not in TypeScript's DOM library.
declare const MediaStreamTrackProcessor: new (init: { track: MediaStreamTrack; maxBufferSize: number }) => {
  readonly readable: ReadableStream<AudioData>;
};

/** The name a bot must have for its track to be heard (observed with Pipecat's use of Tavus). */
const BOT_NAME = 'Pipecat';
const TRACK = 'stream';

type Source = {
  readonly track: MediaStreamTrack;
  readonly player: HTMLAudioElement;
  readonly id: string;
};

/**
 * Listens to the custom track `stream` of participants named exactly `Pipecat`, and to nothing else: it subscribes to no
 * other track. With several of them the policy says which one is heard; a ghost's silent track counts as long as it is there.
 */
export class Ear {
  readonly #call: DailyCall;
  readonly #voice: Worker;
  readonly #policy: ReplicaOptions['streamPolicy'];
  /** In the order in which the tracks appeared. */
  readonly #sources = new Map<string, Source | null>();
  #opened = 0;

  constructor(call: DailyCall, voice: Worker, policy: ReplicaOptions['streamPolicy']) {
    this.#call = call;
    this.#voice = voice;
    this.#policy = policy;
  }

  /** To be called once, after the join. */
  listen(): void {
    const call = this.#call;
    const look = (event: { participant: DailyParticipant }): void => this.#look(event.participant);
    call.on('participant-joined', look);
    call.on('participant-updated', look);
    call.on('participant-left', ({ participant }) => this.#drop(participant.session_id));
    const present = Object.values(call.participants()).toSorted((a, b) => timeOf(a) - timeOf(b));
    for (const participant of present) this.#look(participant);
  }

  #look(participant: DailyParticipant): void {
    if (participant.local || participant.user_name !== BOT_NAME) return;
    const stream = participant.tracks[TRACK];
    const id = participant.session_id;
    if (!stream || stream.state === 'off') return this.#drop(id);
    if (!this.#sources.has(id)) {
      this.#sources.set(id, null);
      this.#call.updateParticipant(id, { setSubscribedTracks: { custom: { [TRACK]: true } } });
    }
    const track = stream.persistentTrack;
    if (track && this.#sources.get(id)?.track !== track) {
      this.#close(this.#sources.get(id));
      this.#sources.set(id, this.#open(track));
    }
    this.#connect();
  }

  #drop(id: string): void {
    this.#close(this.#sources.get(id));
    if (this.#sources.delete(id)) this.#connect();
  }

  #open(track: MediaStreamTrack): Source {
    const player = new Audio();
    // A remote track delivers nothing to anybody until an element plays it; muted is enough (observed with Chromium).
    player.muted = true;
    player.srcObject = new MediaStream([track]);
    void player.play();
    this.#opened += 1;
    const id = String(this.#opened);
    const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 50 });
    this.#tell({ type: 'hear', id, readable }, [readable]);
    return { track, player, id };
  }

  #close(source: Source | null | undefined): void {
    if (source) source.player.srcObject = null;
  }

  #connect(): void {
    const all = [...this.#sources.values()];
    const chosen = this.#policy === 'mix' ? all : this.#policy === 'first' ? all.slice(0, 1) : all.slice(-1);
    this.#tell({ type: 'connect', ids: chosen.flatMap((source) => source?.id ?? []) });
  }

  #tell(message: ToVoiceWorker, transfer: Transferable[] = []): void {
    this.#voice.postMessage(message, transfer);
  }
}

function timeOf({ joined_at: joinedAt }: DailyParticipant): number {
  return joinedAt?.getTime() ?? 0;
}
