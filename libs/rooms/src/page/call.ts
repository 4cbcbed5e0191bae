import Daily, {
  type DailyCall,
  type DailyCallOptions,
  type DailyEventObjectFatalError,
  type DailyParticipant,
} from '@daily-co/daily-js';
import { defaultMaxMessageLength } from '../limits.ts';
import type { RoomName } from '../port.ts';
import type { Command, Identity, WireEvent, WireJoined, WireParticipant } from '../wire.ts';

export type CallHooks = {
  readonly onEvent: (event: WireEvent) => void;
  /** Someone came, changed or brought a track: tracks may have to be attached, userData looked at. */
  readonly onParticipant: (participant: WireParticipant) => void;
  readonly onGone: () => void;
};
export type Sources = {
  readonly videoSource: MediaStreamTrack | false;
  readonly audioSource: MediaStreamTrack | false;
  readonly maxFps?: number | undefined;
};
type JoinCommand = Extract<Command, { type: 'join' }>;

const leaveTimeoutMs = 3_000;
const sentTimeoutMs = 2_000;

/** One layer at full size: simulcast would scale a 640x360 picture down, and its lower layers have no viewer that needs them. */
const sendSettingsFor = (maxFps = 30): NonNullable<DailyCallOptions['sendSettings']> => ({
  video: {
    maxQuality: 'low',
    allowAdaptiveLayers: false,
    encodings: { low: { maxBitrate: 1_500_000, maxFramerate: maxFps, scaleResolutionDownBy: 1 } },
  },
});

/**
 * One Daily room through one daily-js call object. Joins once, leaves once; what Daily does to us in between is reported as
 * `lost` exactly once. Observed with daily-js 0.92.2: leave() during join() leaves join() pending for ever, hence own deadlines.
 */
export class Call {
  readonly #room: RoomName;
  readonly #hooks: CallHooks;
  readonly #call: DailyCall;
  #state: 'new' | 'joining' | 'joined' | 'left' = 'new';
  readonly #cancelled = Promise.withResolvers<never>();
  #leaving: Promise<void> | undefined;

  constructor(room: RoomName, bundleUrl: string, hooks: CallHooks) {
    this.#room = room;
    this.#hooks = hooks;
    this.#call = Daily.createCallObject({
      allowMultipleCallInstances: true,
      subscribeToTracksAutomatically: false,
      // avoidEval: the page's policy has no unsafe-eval. H264 costs less than half of VP8 to encode (3.5 against 8.5 ms per 720p frame, measured).
      dailyConfig: {
        avoidEval: true,
        preferH264ForCam: true,
        ...(bundleUrl === '' ? {} : { bundlePathOverride: bundleUrl }),
      },
    });
    this.#cancelled.promise.catch(() => undefined); // only a join under way listens
    this.#listen();
  }

  get joined(): boolean {
    return this.#state === 'joined';
  }

  /** Left, lost or never joined: another call may take its place. */
  get isOver(): boolean {
    return this.#state === 'left';
  }

  /** Joins within the command's time. Rejects with what Daily said and leaves nothing behind. */
  async join(command: JoinCommand, identity: Identity, sources: Sources): Promise<WireJoined> {
    this.#state = 'joining';
    const { maxFps, ...tracks } = sources;
    const silent = { startVideoOff: sources.videoSource === false, startAudioOff: sources.audioSource === false };
    try {
      const joining = withTimeout(command.timeoutMs, 'Joining the room', async () => {
        const { url, token, userName } = command;
        await this.#call.join({
          url,
          ...(token === undefined ? {} : { token }),
          userName,
          userData: identity,
          ...tracks,
          ...silent,
          sendSettings: sendSettingsFor(maxFps),
        });
      });
      await Promise.race([joining, this.#cancelled.promise]);
    } catch (error) {
      await this.leave();
      throw error;
    }
    this.#state = 'joined';
    const participants = this.participants();
    const local = participants.find((participant) => participant.local);
    if (!local) throw new Error('Daily named no local participant.');
    return { participantId: local.id, participants, maxMessageLength: maxMessageLengthOf(this.#call) };
  }

  participants(): WireParticipant[] {
    return Object.values(this.#call.participants()).map(toWire);
  }

  /** The playing track of that participant; a short interruption of the network does not take it away. */
  track(participantId: string, kind: 'audio' | 'video'): MediaStreamTrack | undefined {
    const found = Object.values(this.#call.participants()).find(
      (participant) => participant.session_id === participantId,
    );
    const track = found?.tracks[kind];
    return track && (track.state === 'playable' || track.state === 'interrupted') ? track.persistentTrack : undefined;
  }

  subscribe(participantId: string, wanted: { audio: boolean; video: boolean }): void {
    if (this.joined) this.#call.updateParticipant(participantId, { setSubscribedTracks: wanted });
  }

  /** Throws synchronously when the message is too long for this room. */
  send(data: unknown): void {
    this.#call.sendAppMessage(data, '*');
  }

  /**
   * Publishes the audio track `stream`. Bitrate and mono are spelt out instead of the presets: `music` sends stereo at a rate made for
   * music, `speech` is tuned to be understood, while a replica moves its lips by the finest of these sounds.
   */
  async publishStream(track: MediaStreamTrack): Promise<void> {
    await this.#call.startCustomTrack({
      track,
      trackName: 'stream',
      mode: { bitrate: 64_000, stereo: false },
      ignoreAudioLevel: true,
    });
  }

  async unpublishStream(): Promise<void> {
    await this.#call.stopCustomTrack('stream');
  }

  /** Replaces the published camera picture. */
  async publishVideo(track: MediaStreamTrack): Promise<void> {
    await this.#call.setInputDevicesAsync({ videoSource: track });
    this.#call.setLocalVideo(true);
  }

  async publishAudio(track: MediaStreamTrack): Promise<void> {
    await this.#call.setInputDevicesAsync({ audioSource: track });
    this.#call.setLocalAudio(true);
  }

  /** The others see the track as switched off; it is not captured from any device, so nothing is to be discarded. */
  stopAudio(): void {
    this.#call.setLocalAudio(false);
  }

  /** Resolves when Daily shows our own track as sent, or after two seconds: what it says of local tracks is not documented. */
  async untilSent(kind: 'video' | 'audio'): Promise<void> {
    const sent = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.#call.participants().local?.tracks[kind].state === 'playable') sent.resolve();
    };
    this.#call.on('participant-updated', look);
    look();
    try {
      await withTimeout(sentTimeoutMs, 'Publishing', () => sent.promise);
    } catch {
      // whoever is there will see it when it comes
    } finally {
      this.#call.off('participant-updated', look);
    }
  }

  async limitVideo(maxFps: number | undefined): Promise<void> {
    await this.#call.updateSendSettings(sendSettingsFor(maxFps));
  }

  async setUserData(identity: Identity): Promise<void> {
    await this.#call.setUserData(identity);
  }

  leave(): Promise<void> {
    this.#state = 'left';
    this.#cancelled.reject(new Error('Left while joining.'));
    this.#leaving ??= this.#destroy();
    return this.#leaving;
  }

  async #destroy(): Promise<void> {
    // destroy() leaves first. Late or refused, the object is dropped: the page does not outlive its session by much.
    await withTimeout(leaveTimeoutMs, 'Leaving the room', () => this.#call.destroy()).catch((error: unknown) =>
      console.warn('leave', String(error)),
    );
  }

  #listen(): void {
    const { onEvent, onParticipant, onGone } = this.#hooks;
    for (const type of ['participant-joined', 'participant-updated'] as const) {
      this.#call.on(type, ({ participant }) => {
        const wire = toWire(participant);
        onEvent({ type, room: this.#room, participant: wire });
        onParticipant(wire);
      });
    }
    this.#call.on('participant-left', ({ participant, reason }) => {
      const wire = toWire(participant);
      onEvent({ type: 'participant-left', room: this.#room, participant: wire, ...(reason ? { reason } : {}) });
      onGone();
    });
    this.#call.on('app-message', ({ data, fromId }) => onEvent({ type: 'message', room: this.#room, fromId, data }));
    this.#call.on('network-connection', ({ event }) =>
      onEvent({ type: 'network', room: this.#room, connected: event === 'connected' }),
    );
    this.#call.on('error', (event) => this.#lost(event));
    this.#call.on('left-meeting', () => this.#lost(undefined));
  }

  #lost(event: DailyEventObjectFatalError | undefined): void {
    if (this.#state !== 'joined') return; // asked for, or join() rejects with the same
    this.#state = 'left';
    const kind = event?.error?.type;
    const reason = kind ?? (event ? 'error' : 'left-meeting');
    this.#hooks.onEvent({
      type: 'lost',
      room: this.#room,
      code: kind === 'ejected' ? 'room-ejected' : 'room-lost',
      reason,
    });
    this.#leaving ??= this.#destroy();
  }
}

function toWire(participant: DailyParticipant): WireParticipant {
  const tracks: WireParticipant['tracks'] = {};
  for (const [name, track] of Object.entries(participant.tracks)) if (track) tracks[name] = track.state;
  return {
    id: participant.session_id,
    userId: participant.user_id,
    userName: participant.user_name,
    ...(participant.userData === undefined ? {} : { userData: participant.userData }),
    local: participant.local,
    tracks,
  };
}

// daily-js learns a meeting's limit at its join and shows it nowhere; its own check reads this private field (0.92.2).
function maxMessageLengthOf(call: DailyCall): number {
  const value: unknown = Reflect.get(call, '_maxAppMessageSize');
  return typeof value === 'number' && value > 0 ? value : defaultMaxMessageLength;
}

async function withTimeout(ms: number, what: string, work: () => Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${ms} ms.`)), ms);
  try {
    await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
