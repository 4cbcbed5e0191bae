import type { Signal } from '../../daily/protocol.ts';
import { Candidates, type CandidatePolicy } from './candidates.ts';
import { withoutCandidates } from './sdp.ts';

export type InTrack = {
  readonly track: MediaStreamTrack;
  readonly startedAt: Date;
  /** A fresh remote track is muted until its first packet; then it is playable, and interrupted while packets stay away. */
  hasPlayed: boolean;
};

/**
 * What one publisher sends us. Answers its offers, one after the other; a new connection id replaces the connection.
 * `onChange` is called when a track appears, starts or stops to carry media.
 */
export class Inbound {
  readonly tracks = new Map<string, InTrack>();
  readonly #send: (signal: Signal) => void;
  readonly #onChange: () => void;
  readonly #policy: CandidatePolicy;
  #pc: RTCPeerConnection | null = null;
  #pcId = '';
  #early: { readonly pcId: string; readonly candidate: RTCIceCandidateInit }[] = [];
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(send: (signal: Signal) => void, onChange: () => void, policy: CandidatePolicy) {
    this.#policy = policy;
    this.#send = send;
    this.#onChange = onChange;
  }

  offered(offer: Extract<Signal, { kind: 'offer' }>): void {
    this.#inTurn(async () => {
      try {
        await this.#answer(offer);
      } catch (error) {
        // The publisher's deadline brings a new offer.
        console.debug('inbound media', error);
      }
    });
  }

  candidate(pcId: string, candidate: RTCIceCandidateInit): void {
    this.#inTurn(async () => {
      if (pcId !== this.#pcId || !this.#pc?.remoteDescription) return this.#keep(pcId, candidate);
      try {
        await this.#pc.addIceCandidate(candidate);
      } catch (error) {
        console.debug('inbound candidate', error); // one bad candidate of several
      }
    });
  }

  stats(): Promise<RTCStatsReport> | null {
    return this.#pc?.getStats() ?? null;
  }

  close(): void {
    this.#closed = true;
    this.#pc?.close();
    this.#pc = null;
    this.tracks.clear();
  }

  #inTurn(work: () => Promise<void>): void {
    const before = this.#queue;
    this.#queue = (async () => {
      await before;
      await work();
    })();
  }

  async #answer({ pc: pcId, sdp, mids }: Extract<Signal, { kind: 'offer' }>): Promise<void> {
    if (this.#closed) return;
    const pc = this.#pc && pcId === this.#pcId ? this.#pc : this.#create(pcId);
    await pc.setRemoteDescription({ type: 'offer', sdp });
    this.#adopt(pc, mids);
    await pc.setLocalDescription(await pc.createAnswer());
    if (pc !== this.#pc) return;
    this.#send({ kind: 'answer', pc: pcId, sdp: withoutCandidates(pc.localDescription?.sdp ?? '') });
    for (const early of this.#early.splice(0)) if (early.pcId === pcId) await pc.addIceCandidate(early.candidate);
    this.#onChange();
  }

  /** A candidate that overtook its offer. */
  #keep(pcId: string, candidate: RTCIceCandidateInit): void {
    if (this.#early.length < 100) this.#early.push({ pcId, candidate });
  }

  #adopt(pc: RTCPeerConnection, mids: Readonly<Record<string, string>>): void {
    for (const transceiver of pc.getTransceivers()) {
      const key = transceiver.mid === null ? undefined : mids[transceiver.mid];
      const { track } = transceiver.receiver;
      if (key === undefined || this.tracks.get(key)?.track === track) continue;
      const entry: InTrack = { track, startedAt: new Date(), hasPlayed: !track.muted };
      this.tracks.set(key, entry);
      track.onunmute = () => {
        entry.hasPlayed = true;
        this.#onChange();
      };
      track.onmute = () => this.#onChange();
    }
  }

  #create(pcId: string): RTCPeerConnection {
    this.#pc?.close();
    this.tracks.clear();
    const pc = new RTCPeerConnection();
    this.#pc = pc;
    this.#pcId = pcId;
    const candidates = new Candidates(this.#policy, (candidate) =>
      this.#send({
        kind: 'candidate',
        pc: pcId,
        sentBy: 'subscriber',
        candidate: { ...candidate, candidate: candidate.candidate ?? '' },
      }),
    );
    pc.onicecandidate = ({ candidate }) => candidates.add(candidate);
    return pc;
  }
}
