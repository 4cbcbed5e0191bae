import type { CandidatePolicy } from './candidates.ts';
import type { Signal, WireParticipant } from '../../daily/protocol.ts';
import { Inbound } from './inbound.ts';
import { Outbound, type OutTrack } from './outbound.ts';
import { dailyParticipant, remoteTrack } from './participants.ts';
import { streamType, type MachineState } from './store.ts';
import type { Subscriptions } from './subscriptions.ts';

/** One other participant of the call: what it publishes, what we want of it, and the two connections between us. */
export class Remote {
  wire: WireParticipant;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #send: (signal: Signal) => void;
  readonly #state: MachineState;
  readonly #subscriptions: Subscriptions;
  #asked = '';
  #wanted: readonly string[] = [];
  #published: readonly OutTrack[] = [];

  constructor(
    wire: WireParticipant,
    ports: {
      send: (signal: Signal) => void;
      onChange: () => void;
      state: MachineState;
      subscriptions: Subscriptions;
      preferH264: boolean;
      policy: CandidatePolicy;
    },
  ) {
    this.wire = wire;
    this.#send = ports.send;
    this.#state = ports.state;
    this.#subscriptions = ports.subscriptions;
    this.#inbound = new Inbound(ports.send, ports.onChange, ports.policy);
    this.#outbound = new Outbound(ports.send, { preferH264: ports.preferH264, policy: ports.policy });
    this.#state.participants[wire.sessionId] = { public: {}, private: {} };
  }

  /** Tells the publisher which of its tracks we want, if that has changed. What it does not send costs nothing. */
  ask(): void {
    const { sessionId, tracks } = this.wire;
    const keys = Object.keys(tracks).filter(
      (key) => tracks[key]?.on === true && this.#subscriptions.of(sessionId, key) === true,
    );
    const asked = keys.toSorted().join('\n');
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#send({ kind: 'want', keys });
  }

  publish(tracks: readonly OutTrack[]): void {
    this.#published = tracks;
    this.#sync();
  }

  async signal(data: Signal): Promise<void> {
    switch (data.kind) {
      case 'want':
        this.#wanted = data.keys;
        return this.#sync();
      case 'offer':
        return this.#inbound.offered(data);
      case 'answer':
        return this.#outbound.answered(data.pc, data.sdp);
      case 'candidate': {
        const candidate = toInit(data.candidate);
        if (data.sentBy === 'publisher') this.#inbound.candidate(data.pc, candidate);
        else await this.#outbound.candidate(data.pc, candidate);
      }
    }
  }

  /** As daily-js wants to see it; puts the tracks where daily-js looks for them first. */
  view(): Record<string, unknown> {
    const { sessionId } = this.wire;
    for (const key of Object.keys(this.#state.streams))
      if (key.startsWith(`${sessionId} `)) delete this.#state.streams[key];
    for (const [key, { track, startedAt }] of this.#inbound.tracks) {
      const entry = { participantId: sessionId, type: streamType(key), pendingTrack: track, starttime: startedAt };
      if (this.wire.tracks[key]) this.#state.streams[`${sessionId} ${key}`] = entry;
    }
    return dailyParticipant(this.wire, {
      local: false,
      trackOf: (key, track) =>
        remoteTrack(track, this.#subscriptions.of(sessionId, key), this.#inbound.tracks.get(key)),
    });
  }

  stats(): Promise<RTCStatsReport>[] {
    return [this.#inbound.stats(), this.#outbound.stats()].filter((report) => report !== null);
  }

  close(): void {
    const { sessionId } = this.wire;
    this.#inbound.close();
    this.#outbound.close();
    delete this.#state.participants[sessionId];
    for (const key of Object.keys(this.#state.streams))
      if (key.startsWith(`${sessionId} `)) delete this.#state.streams[key];
    this.#subscriptions.forget(sessionId);
  }

  #sync(): void {
    this.#outbound.set(this.#published.filter(({ key }) => this.#wanted.includes(key)));
  }
}

/** Without the undefined fields that the wire's schema allows and the browser's type does not. */
function toInit(candidate: Extract<Signal, { kind: 'candidate' }>['candidate']): RTCIceCandidateInit {
  const { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
  return {
    candidate: line,
    sdpMid: sdpMid ?? null,
    sdpMLineIndex: sdpMLineIndex ?? null,
    usernameFragment: usernameFragment ?? null,
  };
}
