import {
  errorCodes,
  type Counters,
  type MalformedFrame,
  type OutboundEvent,
  type RecordMetrics,
} from '@tavus-fleet/contracts';
import type { RoomEvent } from '@tavus-fleet/rooms';
import type { FrameOut, FrameSink, Position, Progress } from '@tavus-fleet/video-service';
import type { SessionProgress } from './deps.ts';
import type { MediaStreams } from './outputs/media-streams.ts';

/** What the fleet counts of a session beyond its own events. Must not throw. */
export interface SessionMeters {
  ttfb(seconds: number): void;
  dropped(why: string, count: number): void;
}

/** What earlier owners had counted, and where they stood. */
type Before = {
  readonly counters: Counters;
  readonly metrics: RecordMetrics;
  readonly position: Position;
  readonly positionMs: number;
};

/**
 * The video service's way out: frames become events, counters and metrics. The counters are the record's; they are saved by
 * the checkpoint and printed in the summary line.
 */
export class SessionOutput implements FrameSink {
  readonly #write: (event: OutboundEvent) => void;
  readonly #meters: SessionMeters;
  readonly #onPlayed: (playedMs: number) => void;
  readonly #onSpeaking: () => void;
  readonly #media: Pick<MediaStreams, 'sound' | 'picture'> | undefined;
  readonly #before: Before;
  readonly counters: Counters;
  readonly metrics: RecordMetrics;
  #ownPosition: Position | undefined;
  #at: { readonly position: Position; readonly positionMs: number; readonly inferenceId: string | null } | undefined;
  #isHeld = false;
  #frameAgeMs: number | undefined;

  /** `before`: what earlier owners had counted. */
  constructor(
    write: (event: OutboundEvent) => void,
    meters: SessionMeters,
    tell: { played: (playedMs: number) => void; speaking?: () => void },
    before: Before,
    media?: Pick<MediaStreams, 'sound' | 'picture'>,
  ) {
    this.#write = write;
    this.#meters = meters;
    this.#onPlayed = tell.played;
    this.#onSpeaking = tell.speaking ?? (() => undefined);
    this.#before = before;
    this.counters = { ...before.counters };
    this.metrics = { ...before.metrics };
    this.#media = media;
  }

  /** While held no position is saved: nobody has heard yet what is being played, and whoever goes on plays it again. */
  hold(on: boolean): void {
    this.#isHeld = on;
  }

  push(frame: FrameOut): void {
    switch (frame.type) {
      case 'joined':
        return this.#write({ type: 'joined', data: { room: 'tavus', participantId: frame.participantId } });
      case 'tts-started':
        this.counters.utterances += 1;
        return this.#write({
          type: frame.type,
          data: frame.context === undefined ? {} : { context: frame.context },
        });
      case 'tts-stopped':
        return this.#write({
          type: frame.type,
          data: frame.context === undefined ? {} : { context: frame.context },
        });
      case 'bot-started-speaking':
      case 'bot-stopped-speaking':
        if (frame.source === 'transport') return; // the fleet has no transport that feeds its words back
        if (frame.type === 'bot-started-speaking') this.#onSpeaking();
        return this.#write({ type: frame.type, data: { source: frame.source } });
      case 'interrupted':
        this.counters.interruptions += 1;
        return this.#write({
          type: frame.type,
          data: {
            playedMs: frame.playedMs,
            droppedMs: frame.droppedMs,
            ...(frame.context === undefined ? {} : { context: frame.context }),
            ...(frame.by === undefined ? {} : { by: frame.by }),
          },
        });
      case 'metrics':
        if (frame.data.ttfbMs !== undefined) {
          this.metrics.lastTtfbMs = frame.data.ttfbMs;
          this.#meters.ttfb(frame.data.ttfbMs / 1000);
        }
        return this.#write({ type: 'metrics', data: { ...frame.data, ...this.#measured() } });
      case 'settings-updated':
        return this.#write({ type: 'settings-updated', data: { changed: frame.changed } });
      case 'replica-joined':
        return this.#write({
          type: frame.type,
          data: {
            participantId: frame.participantId,
            ...(frame.userName === undefined ? {} : { userName: frame.userName }),
          },
        });
      case 'replica-left':
        return this.#write({
          type: frame.type,
          data: { participantId: frame.participantId, ...(frame.reason === undefined ? {} : { reason: frame.reason }) },
        });
      case 'message':
        return this.#write({ type: 'message', data: { fromId: frame.fromId, message: frame.message } });
      case 'frames-dropped':
        return this.dropped(frame.count, frame.ms, frame.why);
      case 'error':
        return this.error(frame.code, frame.message, frame.fatal);
      case 'speech-output-audio':
        return this.#media?.sound(frame);
      case 'output-image':
        return this.#media?.picture(frame);
      case 'output-transport-ready':
      case 'other':
        return; // comes back after the session said that its stream is ready; nothing to tell
      default:
        return frame satisfies never;
    }
  }

  /** Of the frame that was read last: how long ago it was added to the stream, ms. */
  aged(ms: number): void {
    this.#frameAgeMs = ms;
  }

  /** Live: the first metrics, before any utterance has some. */
  started(): void {
    const { startMs } = this.metrics;
    if (startMs !== undefined) this.#write({ type: 'metrics', data: { startMs } });
  }

  /** What is known beside what the service measures of an utterance. */
  #measured(): { frameAgeMs?: number; videoFps?: number } {
    const { videoFps } = this.metrics;
    return {
      ...(this.#frameAgeMs === undefined ? {} : { frameAgeMs: this.#frameAgeMs }),
      ...(videoFps === undefined ? {} : { videoFps }),
    };
  }

  played(position: Position | undefined, { samples, intoMs, inferenceId }: Progress): void {
    // Until an entry of ours was played whole we still stand in the one in which our predecessor stood.
    this.#ownPosition = position ?? this.#ownPosition;
    const beginsMs = this.#ownPosition === undefined ? this.#before.positionMs : 0;
    this.#at = {
      position: this.#ownPosition ?? this.#before.position,
      positionMs: Math.round(beginsMs + intoMs),
      inferenceId: inferenceId ?? null,
    };
    const playedMs = (samples * 1000) / 24_000;
    this.counters.playedMs = this.#before.counters.playedMs + playedMs;
    this.#onPlayed(playedMs);
  }

  /** Progress for the checkpoint: what a successor needs and what the API shows. */
  progress(framesIn: number): SessionProgress {
    this.counters.framesIn = this.#before.counters.framesIn + framesIn;
    return { counters: { ...this.counters }, metrics: { ...this.metrics }, ...(this.#isHeld ? {} : this.#at) };
  }

  summary(): Counters & RecordMetrics {
    return { ...this.counters, ...this.metrics };
  }

  malformed(what: MalformedFrame): void {
    this.counters.framesMalformed += 1;
    this.error('malformed-frame', `An entry was skipped: ${what.field} ${what.problem}.`, false, what.field);
  }

  /** Who is in the rooms and speaks there, and what is measured of the replica's media. */
  roomEvent(event: RoomEvent): void {
    if (event.type === 'user-speech')
      return this.#write({
        type: event.speaking ? 'user-started-speaking' : 'user-stopped-speaking',
        data: { participantId: event.participantId, atMs: event.at },
      });
    if (event.type === 'media') this.metrics.videoFps = event.report.fps;
    if (event.type === 'network' && !event.connected)
      this.error(
        'room-lost',
        `The connection to the ${event.room} room is interrupted; it is being taken up again.`,
        false,
      );
    if ((event.type !== 'participant-joined' && event.type !== 'participant-left') || event.participant.local) return;
    const { id, userName } = event.participant;
    const reason = event.type === 'participant-left' && event.reason !== undefined ? { reason: event.reason } : {};
    this.#write({
      type: event.type,
      data: { room: event.room, participantId: id, ...(userName === undefined ? {} : { userName }), ...reason },
    });
  }

  dropped(count: number, ms: number, why: string): void {
    this.counters.framesDropped += count;
    this.#tellDropped(count, ms, why);
  }

  /** What a slow or absent Redis cost the backend's copy of the avatar; no frame that came in. */
  outputDropped(count: number, ms: number, why: string): void {
    this.#tellDropped(count, ms, why);
  }

  error(code: Extract<FrameOut, { type: 'error' }>['code'], message: string, fatal: boolean, field?: string): void {
    this.#write({
      type: 'error',
      data: { code, category: errorCodes[code].category, fatal, message, ...(field === undefined ? {} : { field }) },
    });
  }

  #tellDropped(count: number, ms: number, why: string): void {
    this.#meters.dropped(why, count);
    this.#write({ type: 'frames-dropped', data: { count, ms, why } });
  }
}
