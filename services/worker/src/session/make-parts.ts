import { FleetError, roomUrlProblem } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import type { Joined, Room } from '@tavus-fleet/rooms';
import { traced } from '@tavus-fleet/telemetry';
import { TavusVideoService } from '@tavus-fleet/video-service';
import { Checks } from './checks/checks.ts';
import { UnheardCheck } from './checks/unheard.ts';
import { LedgeredConversations, type Inherited } from './conversations.ts';
import type { SessionDeps, SessionSecrets } from './deps.ts';
import type { Ending } from './ending.ts';
import { Inheritance } from './inheritance.ts';
import { audioMode } from './mode.ts';
import { MediaStreams } from './outputs/media-streams.ts';
import type { SessionOutput } from './output.ts';
import { isGhostOf } from './succession.ts';

const OPEN_MS = 15_000;
const USER_ROOM_MS = 15_000;

export function openPage({ clock, rooms, record, ownership, log }: SessionDeps, signal: AbortSignal): Promise<Room> {
  const identity = { conversationId: record.conversationId, epoch: ownership.epoch };
  // A page that opens while the start is being given up has no session that would close it.
  const late = (room: Room): void =>
    void room.close().catch((error: unknown) => log.warn({ err: error }, 'a page that came too late was not closed'));
  return traced('open page', {}, () =>
    withDeadline({ signal, ms: OPEN_MS, what: 'Opening a page', code: 'browser-failed', clock, late }, (own) =>
      rooms.open(identity, own),
    ),
  );
}

/** The video service of one session: with the ledger around every call to Tavus, and what happens there told as events. */
export function makeService(
  { clock, record, tavus, ledger, log }: SessionDeps,
  room: Room,
  output: SessionOutput,
  options: {
    outputs: MediaStreams['wanted'];
    inherited: ((signal: AbortSignal) => Promise<Inherited | undefined>) | undefined;
  },
): TavusVideoService {
  const { spec } = record;
  const tell = (error: Pick<FleetError, 'code' | 'message'>): void => output.error(error.code, error.message, false);
  const api = new LedgeredConversations(
    tavus,
    ledger,
    clock,
    {
      waiting: (why) => {
        log.info({ why }, 'waiting for a provider slot');
        const full =
          why === 'fleet-full' ? 'Every provider slot of the fleet is taken' : 'Tavus says that the plan is full';
        tell({ code: 'tavus-capacity', message: `${full}; the start waits.` });
      },
      failed: tell,
      unbooked: () => log.warn({}, 'a ledger write failed; its row stays for the reaper'),
    },
    options.inherited,
  );
  return new TavusVideoService({
    api,
    room,
    sink: output,
    clock,
    mode: audioMode(spec),
    settings: record.settings,
    audioOnly: spec.tavus.audioOnly ?? false,
    direct: spec.output.direct ?? false,
    outputs: options.outputs,
    step: (name, work) => traced(name, {}, work),
  });
}

export function makeChecks(
  { clock, record: { spec } }: SessionDeps,
  room: Room,
  service: TavusVideoService,
  output: SessionOutput,
  of: {
    audio: boolean;
    framesIn: () => number;
    trip: (ending: Ending) => void;
    replicaLost: (error: FleetError) => void;
  },
): Checks {
  return new Checks({
    clock,
    limits: spec.limits,
    room,
    activity: () => ({
      frames: of.framesIn(),
      bufferedMs: service.bufferedMs,
      playedMs: output.counters.playedMs,
    }),
    listening: !(spec.output.direct ?? false) || of.audio,
    tell: (code, message) => output.error(code, message, false),
    trip: of.trip,
    replicaLost: of.replicaLost,
    audioOnly: spec.tavus.audioOnly ?? false,
  });
}

/** The media that the backend asked for, on their way to Redis. */
export function makeMedia(
  { clock, record: { spec }, mediaOut }: SessionDeps,
  skewMs: number,
  { output, room }: { output: () => SessionOutput; room: () => Room | undefined },
): MediaStreams {
  return new MediaStreams({
    spec,
    out: mediaOut,
    skewMs,
    onDropped: (count, ms, why) => output().outputDropped(count, ms, why),
    requestKeyFrame: () => room()?.requestKeyFrame(),
    onTooManyUsers: (most) =>
      output().error('user-audio-limit', `Of the users only the first ${most} are heard.`, false),
    clock,
  });
}

/** What earlier owners left at Tavus; none for a first owner. */
export function makeInheritance(
  { clock, record, ownership, tavus, ledger, succession }: SessionDeps,
  of: { nowMs: () => number; secrets: () => Promise<SessionSecrets> },
): Inheritance | undefined {
  if (ownership.epoch === 1) return undefined;
  return new Inheritance({
    tavus,
    ledger,
    clock,
    nowMs: of.nowMs,
    tavusConversationId: record.tavusConversationId,
    conversationUrl: async () => (await of.secrets()).conversationUrl,
    replace: succession.again?.tavus === 'replace',
    present: succession.handedOver ?? false,
  });
}

/** Only tracks can be mixed up with a predecessor's: messages of the room reach the replica whoever else is there. */
export function makeUnheard(
  { clock, record, ownership }: SessionDeps,
  of: { heard: () => void; lost: (error: FleetError) => void },
): UnheardCheck | undefined {
  if (ownership.epoch === 1 || audioMode(record.spec) !== 'stream') return undefined;
  return new UnheardCheck({
    clock,
    isGhost: (participant) => isGhostOf(ownership, participant),
    trip: () => of.lost(new FleetError('replica-unheard', 'The replica does not answer the speech it is given.')),
    onHeard: of.heard,
  });
}

/** Throws `user-room-refused`. The API has checked it too, but is not the only one who writes records. */
export function checkUserRoom({ userRoomUrl }: SessionSecrets, hosts: readonly string[]): void {
  const problem = userRoomUrl === undefined ? undefined : roomUrlProblem(userRoomUrl, hosts);
  if (problem) throw new FleetError('user-room-refused', `output.room.url ${problem}.`, { field: 'output.room.url' });
}

/** Undefined when there is none. */
export async function joinUserRoom(
  { clock, record }: SessionDeps,
  room: Room,
  { userRoomUrl: url, userRoomToken: token }: SessionSecrets,
  signal: AbortSignal,
): Promise<Joined | undefined> {
  if (url === undefined) return undefined;
  const userName = record.spec.output.room?.name ?? 'Avatar';
  return traced('join user room', {}, () =>
    withDeadline({ signal, ms: USER_ROOM_MS, what: 'Joining the user room', code: 'user-room-refused', clock }, (own) =>
      room.joinUserRoom({ url, userName, ...(token === undefined ? {} : { token }) }, own),
    ),
  );
}
