import type { ClientMessage, ServerMessage, WireParticipant } from '../../daily/protocol.ts';
import type { CandidatePolicy } from './candidates.ts';
import type { LocalMedia } from './local-media.ts';
import type { OutTrack } from './outbound.ts';
import { dailyParticipant, localTrack } from './participants.ts';
import { Remote } from './remote.ts';
import { encodingLimits } from './send-settings.ts';
import { Signalling } from './signalling.ts';
import { CallStats } from './stats.ts';
import type { MachineState } from './store.ts';
import type { Subscriptions } from './subscriptions.ts';

export type Post = (action: string, fields?: Record<string, unknown>) => void;
type Join = Extract<ClientMessage, { type: 'join' }>;

type CallOptions = {
  readonly url: string;
  readonly join: Omit<Join, 'type' | 'tracks'>;
  readonly preferH264: boolean;
  readonly state: MachineState;
  readonly local: LocalMedia;
  readonly subscriptions: Subscriptions;
  readonly sendSettings: () => unknown;
  readonly post: Post;
  /** The call is over and not by our own wish. */
  readonly onFatal: (error: { type: string; msg: string; details?: unknown }) => void;
};

/** One meeting from join to leave. A re-join is a new Call, with a new session id. */
export class Call {
  readonly #options: CallOptions;
  readonly #signalling: Signalling;
  readonly #remotes = new Map<string, Remote>();
  readonly #stats = new CallStats();
  #self: WireParticipant | null = null;
  #policy: CandidatePolicy = 'loopback'; // the room says; no connection is made before it has
  #closed = false;

  constructor(options: CallOptions) {
    this.#options = options;
    this.#signalling = new Signalling(
      options.url,
      { type: 'join', ...options.join, tracks: this.#wireTracks() },
      {
        message: (message) => this.#receive(message),
        interrupted: () => this.#network('interrupted'),
        lost: () => {
          const on = this.#self ? 'reconnect' : 'join';
          const msg = 'The connection to the room server was lost';
          options.onFatal({
            type: 'connection-error',
            msg,
            details: { on, sourceError: { type: 'websocket', msg }, uri: options.url },
          });
        },
      },
    );
  }

  get isJoined(): boolean {
    return this.#self !== null;
  }

  /** The local tracks, our name or our data have changed. */
  localChanged(change: { userName?: string; userData?: unknown } = {}): void {
    if (!this.#self || this.#closed) return;
    this.#self = { ...this.#self, ...change, tracks: this.#wireTracks() };
    this.#signalling.send({ type: 'update', tracks: { ...this.#self.tracks }, ...change });
    this.#options.post('participant-updated', { participant: this.#localView(this.#self) });
    this.publish();
  }

  /** Hands the tracks that are on, with their present limits, to every subscriber. */
  publish(): void {
    const tracks = this.#outTracks();
    for (const remote of this.#remotes.values()) remote.publish(tracks);
  }

  subscriptionsChanged(): void {
    for (const remote of this.#remotes.values()) this.#show('participant-updated', remote);
  }

  participantIds(): string[] {
    return [...this.#remotes.keys()];
  }

  sendAppMessage(to: string | string[], data: unknown): void {
    this.#signalling.send({ type: 'app-message', to, data });
  }

  stats(): Promise<Record<string, unknown>> {
    return this.#stats.latest([...this.#remotes.values()].flatMap((remote) => remote.stats()));
  }

  close(): void {
    this.#closed = true;
    this.#signalling.close();
    for (const remote of this.#remotes.values()) remote.close();
    this.#remotes.clear();
  }

  #receive(message: ServerMessage): void {
    if (this.#closed) return;
    const { post } = this.#options;
    switch (message.type) {
      case 'joined':
        return this.#joined(message);
      case 'resumed':
        this.#network('connected');
        return this.#resync(message.others);
      case 'participant':
        return this.#upsert(message.participant);
      case 'participant-left':
        return this.#left(message.sessionId);
      case 'signal':
        void this.#remotes.get(message.from)?.signal(message.data);
        return;
      case 'app-message':
        return post('app-message', { data: message.data, fromId: message.from });
      case 'fatal':
        return this.#options.onFatal({ type: message.error, msg: message.message });
    }
  }

  #joined(message: Extract<ServerMessage, { type: 'joined' }>): void {
    const { post, state } = this.#options;
    this.#self = { ...message.self, tracks: this.#wireTracks() };
    this.#policy = message.candidates;
    state.local.public.id = message.self.sessionId;
    for (const wire of message.others) this.#remotes.set(wire.sessionId, this.#remote(wire));
    post('access-state-updated', { access: { level: 'full' } });
    post('meeting-session-summary-updated', { meetingSession: { id: message.meetingId } });
    post('meeting-session-state-updated', { meetingSessionState: { data: {}, topology: 'peer' } });
    const participants: Record<string, unknown> = { local: this.#localView(this.#self) };
    for (const [id, remote] of this.#remotes) participants[id] = remote.view();
    post('joined-meeting', {
      participants,
      internal: message.appMessageLimit === undefined ? {} : { _maxAppMessageSize: message.appMessageLimit },
    });
    this.#network('connected');
    this.#count();
    for (const remote of this.#remotes.values()) remote.ask();
    // Devices may have come or gone while the join was under way.
    this.localChanged();
  }

  /** After an outage: what was missed is the difference between then and now. */
  #resync(others: readonly WireParticipant[]): void {
    const here = new Set(others.map((wire) => wire.sessionId));
    for (const id of this.#remotes.keys()) if (!here.has(id)) this.#left(id);
    for (const wire of others) this.#upsert(wire);
  }

  #upsert(wire: WireParticipant): void {
    const known = this.#remotes.get(wire.sessionId);
    if (known) {
      known.wire = wire;
      return this.#show('participant-updated', known);
    }
    const remote = this.#remote(wire);
    this.#remotes.set(wire.sessionId, remote);
    this.#show('participant-joined', remote);
    this.#count();
  }

  #left(sessionId: string): void {
    const remote = this.#remotes.get(sessionId);
    if (!remote) return;
    this.#remotes.delete(sessionId);
    const participant = remote.view();
    remote.close();
    this.#options.post('participant-left', { participant });
    this.#count();
  }

  #remote(wire: WireParticipant): Remote {
    const { state, subscriptions, preferH264 } = this.#options;
    const remote: Remote = new Remote(wire, {
      send: (data) => this.#signalling.send({ type: 'signal', to: wire.sessionId, data }),
      onChange: () => {
        if (this.#remotes.get(wire.sessionId) === remote) this.#show('participant-updated', remote);
      },
      state,
      subscriptions,
      preferH264,
      policy: this.#policy,
    });
    remote.publish(this.#outTracks());
    return remote;
  }

  #show(action: 'participant-joined' | 'participant-updated', remote: Remote): void {
    remote.ask();
    this.#options.post(action, { participant: remote.view() });
  }

  #localView(self: WireParticipant): Record<string, unknown> {
    return dailyParticipant(self, { local: true, trackOf: (_key, track) => localTrack(track) });
  }

  #wireTracks(): Join['tracks'] {
    return Object.fromEntries([...this.#options.local.publications()].map(([key, { wire }]) => [key, wire]));
  }

  #outTracks(): OutTrack[] {
    return [...this.#options.local.publications()].flatMap(([key, { track }]) =>
      track
        ? [{ key, track, limits: track.kind === 'video' ? encodingLimits(this.#options.sendSettings(), key) : {} }]
        : [],
    );
  }

  #network(event: 'connected' | 'interrupted'): void {
    this.#options.post('network-connection', { type: 'signaling', event, session_id: this.#self?.sessionId });
  }

  #count(): void {
    this.#options.post('participant-counts-updated', {
      participantCounts: { present: this.#remotes.size + 1, hidden: 0 },
    });
  }
}
