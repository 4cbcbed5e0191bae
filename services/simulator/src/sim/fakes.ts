import type { DailyRooms, ParticipantView, Replica, ReplicaOptions, Replicas, RoomError } from '../ports.ts';

type Presence = Parameters<Parameters<DailyRooms['onPresence']>[0]>[0];

/** Rooms without media: who is in, and a list of what was done to them (`did`). */
export class FakeRooms implements DailyRooms {
  readonly did: string[] = [];
  readonly inside = new Map<string, { view: ParticipantView; isReplica: boolean }[]>();
  readonly #listeners = new Set<(event: Presence) => void>();
  #seen = 0;

  open(room: { name: string; maxParticipants?: number }): void {
    this.did.push(`open ${room.maxParticipants ?? '-'}`);
    this.inside.set(room.name, []);
  }

  close(name: string, error: RoomError): void {
    this.did.push(`close ${error}`);
    for (const one of this.inside.get(name) ?? []) this.leave(name, one.view.sessionId);
    this.inside.delete(name);
  }

  eject(name: string, sessionId: string): boolean {
    this.did.push(`eject ${sessionId}`);
    return this.leave(name, sessionId);
  }

  refuseJoins(_name: string, error: RoomError, count: number): void {
    this.did.push(`refuse ${error} ${count}`);
  }

  interruptNetwork(_name: string, ms: number): void {
    this.did.push(`interrupt ${ms}`);
  }

  setAppMessageLimit(limit: number | undefined): void {
    this.did.push(`limit ${limit ?? 'default'}`);
  }

  setLinger(ms: number): void {
    this.did.push(`linger ${ms}`);
  }

  rooms() {
    return [...this.inside].map(([name, all]) => ({ name, participants: all.map((one) => one.view) }));
  }

  onPresence(listener: (event: Presence) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Somebody comes; returns the session id. */
  join(name: string, userName: string, userId: string | null = null, isReplica = false): string {
    const sessionId = `s${(this.#seen += 1)}`;
    const view = {
      sessionId,
      userId,
      userName,
      userData: { of: userName },
      joinedAt: new Date(0).toISOString(),
      tracks: isReplica ? ['video', 'audio'] : [],
    };
    this.inside.get(name)?.push({ view, isReplica });
    this.#tell({ room: name, kind: 'joined', participant: view, isReplica });
    return sessionId;
  }

  leave(name: string, sessionId: string): boolean {
    const all = this.inside.get(name) ?? [];
    const gone = all.find((one) => one.view.sessionId === sessionId);
    if (gone === undefined) return false;
    this.inside.set(
      name,
      all.filter((one) => one !== gone),
    );
    this.#tell({ room: name, kind: 'left', participant: gone.view, isReplica: gone.isReplica });
    return true;
  }

  #tell(event: Presence): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** A replica that joins the fake room and writes down what it is told. */
export class FakeReplicas implements Replicas {
  readonly started: ReplicaOptions[] = [];
  readonly did: string[] = [];
  /** Set: the next start fails with it. */
  failWith: Error | undefined;
  heardMessages: { at: string; from: string; data: unknown }[] = [];
  running = 0;
  readonly #rooms: FakeRooms;

  constructor(rooms: FakeRooms) {
    this.#rooms = rooms;
  }

  async start(options: ReplicaOptions): Promise<Replica> {
    if (this.failWith !== undefined) throw this.failWith;
    this.started.push(options);
    this.running += 1;
    const sessionId = this.#rooms.join(options.room, options.userName, options.userId, true);
    let stopped = false;
    return {
      heard: async () => Buffer.from('RIFF heard'),
      messages: () => this.heardMessages,
      freezeVideo: (on) => void this.did.push(`freeze ${on}`),
      mute: (on) => void this.did.push(`mute ${on}`),
      say: () => {},
      stop: async () => {
        if (stopped) return;
        stopped = true;
        this.running -= 1;
        this.did.push('stop');
        this.#rooms.leave(options.room, sessionId);
      },
    };
  }

  async close(): Promise<void> {}
}
