import type { Signal } from '../../daily/protocol.ts';
import { Candidates, type CandidatePolicy } from './candidates.ts';
import { withMusicAudio, withoutCandidates, withStartBitrate } from './sdp.ts';
import type { EncodingLimits } from './send-settings.ts';

export type OutTrack = { readonly key: string; readonly track: MediaStreamTrack; readonly limits: EncodingLimits };

const ANSWER_DEADLINE_MS = 8_000;
const REBUILD_AFTER_MS = 500;
const START_KBPS = 1_500;
/** Our choice, above a real room's: what arrives is compared with what was sent, after three encoders. */
const AUDIO_BPS = 192_000;
/** Room for a 720p face; Chromium's own default would be lower for small pictures and would scale down when in doubt. */
const DEFAULT_MAX_VIDEO_BITRATE = 2_500_000;

/**
 * What this page sends to one subscriber: a peer connection that only ever sends, and always offers, so offers cannot
 * collide. Changes are applied one negotiation at a time; an unanswered offer or a failed connection starts a new one.
 */
export class Outbound {
  readonly #send: (signal: Signal) => void;
  readonly #preferH264: boolean;
  readonly #policy: CandidatePolicy;
  #tracks: readonly OutTrack[] = [];
  #pc: RTCPeerConnection | null = null;
  #pcId = '';
  #senders = new Map<string, RTCRtpTransceiver>();
  #answer: ((sdp: string | null) => void) | null = null;
  #early: RTCIceCandidateInit[] = [];
  #isRunning = false;
  #isDirty = false;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(send: (signal: Signal) => void, options: { preferH264: boolean; policy: CandidatePolicy }) {
    this.#send = send;
    this.#policy = options.policy;
    this.#preferH264 = options.preferH264;
  }

  /** The tracks that shall flow from now on. */
  set(tracks: readonly OutTrack[]): void {
    this.#tracks = tracks;
    this.#isDirty = true;
    void this.#run();
  }

  answered(pc: string, sdp: string): void {
    if (pc === this.#pcId) this.#answer?.(sdp);
  }

  async candidate(pc: string, candidate: RTCIceCandidateInit): Promise<void> {
    if (pc !== this.#pcId || !this.#pc) return;
    if (!this.#pc.remoteDescription) this.#early.push(candidate);
    else await this.#pc.addIceCandidate(candidate);
  }

  stats(): Promise<RTCStatsReport> | null {
    return this.#pc?.getStats() ?? null;
  }

  close(): void {
    this.#closed = true;
    this.#reset();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#isDirty && !this.#closed) {
        this.#isDirty = false;
        await this.#apply();
      }
    } catch (error) {
      // A connection closed under our feet or a refused description: the next one starts from nothing.
      console.debug('outbound media', error);
      this.#rebuild();
    } finally {
      this.#isRunning = false;
    }
  }

  async #apply(): Promise<void> {
    if (!this.#pc && this.#tracks.length === 0) return;
    const pc = this.#pc ?? this.#create();
    let mustOffer = pc.remoteDescription === null;
    const wanted = new Map(this.#tracks.map((track) => [track.key, track]));
    for (const [key, transceiver] of this.#senders) {
      const track = wanted.get(key);
      const isSameKind = track === undefined || transceiver.receiver.track.kind === track.track.kind;
      if (!isSameKind) this.#senders.delete(key); // another kind under the same name needs its own m-line
      const direction = track && isSameKind ? 'sendonly' : 'inactive';
      if (transceiver.sender.track !== (direction === 'inactive' ? null : track?.track))
        await transceiver.sender.replaceTrack(direction === 'inactive' ? null : (track?.track ?? null));
      if (transceiver.direction === direction) continue;
      transceiver.direction = direction;
      mustOffer = true;
    }
    for (const [key, { track }] of wanted) {
      if (this.#senders.has(key)) continue;
      const transceiver = pc.addTransceiver(track, { direction: 'sendonly' });
      if (track.kind === 'video' && this.#preferH264) preferH264(transceiver);
      this.#senders.set(key, transceiver);
      mustOffer = true;
    }
    if (mustOffer) await this.#negotiate(pc);
    for (const [key, { limits }] of wanted) await this.#limit(this.#senders.get(key), limits);
  }

  async #negotiate(pc: RTCPeerConnection): Promise<void> {
    await pc.setLocalDescription(await pc.createOffer());
    const mids: Record<string, string> = {};
    for (const [key, { mid }] of this.#senders) if (mid !== null) mids[mid] = key;
    const sdp = await new Promise<string | null>((resolve) => {
      this.#answer = resolve;
      this.#timer = setTimeout(() => resolve(null), ANSWER_DEADLINE_MS);
      this.#send({ kind: 'offer', pc: this.#pcId, sdp: withoutCandidates(pc.localDescription?.sdp ?? ''), mids });
    });
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#answer = null;
    if (this.#closed || pc !== this.#pc) return;
    if (sdp === null) throw new Error('no answer in time');
    const maxKbps = Math.min(
      ...this.#tracks.map(({ limits }) => (limits.maxBitrate ?? DEFAULT_MAX_VIDEO_BITRATE) / 1000),
    );
    await pc.setRemoteDescription({
      type: 'answer',
      sdp: withMusicAudio(withStartBitrate(sdp, Math.round(Math.min(START_KBPS, maxKbps))), AUDIO_BPS),
    });
    for (const candidate of this.#early.splice(0)) await pc.addIceCandidate(candidate);
  }

  async #limit(transceiver: RTCRtpTransceiver | undefined, limits: EncodingLimits): Promise<void> {
    if (!transceiver || transceiver.sender.track?.kind !== 'video') return;
    const parameters = transceiver.sender.getParameters();
    const encoding = parameters.encodings[0];
    if (!encoding) return;
    parameters.degradationPreference = 'maintain-resolution';
    Object.assign(encoding, { maxBitrate: DEFAULT_MAX_VIDEO_BITRATE, ...limits });
    await transceiver.sender.setParameters(parameters);
  }

  #create(): RTCPeerConnection {
    const pc = new RTCPeerConnection();
    const id = crypto.randomUUID();
    this.#pc = pc;
    this.#pcId = id;
    const candidates = new Candidates(this.#policy, (candidate) =>
      this.#send({
        kind: 'candidate',
        pc: id,
        sentBy: 'publisher',
        candidate: { ...candidate, candidate: candidate.candidate ?? '' },
      }),
    );
    pc.onicecandidate = ({ candidate }) => candidates.add(candidate);
    pc.onconnectionstatechange = () => {
      if (pc === this.#pc && pc.connectionState === 'failed') this.#rebuild();
    };
    return pc;
  }

  #rebuild(): void {
    this.#reset();
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#isDirty = true;
      void this.#run();
    }, REBUILD_AFTER_MS);
  }

  #reset(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const pc = this.#pc;
    this.#pc = null;
    this.#senders = new Map();
    this.#early = [];
    pc?.close();
    this.#answer?.(null); // lets a negotiation in flight end
    this.#answer = null;
  }
}

/** H264 first; other codecs stay, so a browser without it still connects. */
function preferH264(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
  const isH264 = (codec: RTCRtpCodec): boolean => codec.mimeType.toLowerCase() === 'video/h264';
  if (codecs.some(isH264))
    transceiver.setCodecPreferences([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))]);
}
