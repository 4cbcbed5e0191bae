import type { Clock } from '@tavus-fleet/lifecycle';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { z } from 'zod';
import { FAULT_NAMES, FaultRequest, type Faults } from '../faults.ts';
import type { DailyRooms } from '../ports.ts';
import { defaultSettings, SettingsPatch, type SettingsStore } from '../settings.ts';
import type { Conversations } from '../tavus/conversations.ts';
import type { BillingMeter } from '../tavus/meter.ts';
import type { Webhooks } from '../tavus/webhooks.ts';
import type { RoomFaults } from './room-faults.ts';
import { stateBody } from './state.ts';

export type SimRouteDeps = {
  readonly clock: Clock;
  readonly settings: SettingsStore;
  readonly faults: Faults;
  readonly roomFaults: RoomFaults;
  readonly conversations: Conversations;
  readonly meter: BillingMeter;
  readonly webhooks: Webhooks;
  readonly rooms: DailyRooms;
};

type WithId = { Params: { id: string } };

/** Everything below `/sim`: what a test sees and turns. No key: it listens on this machine only, and checks Host. */
export function simRoutes(app: FastifyInstance, deps: SimRouteDeps): void {
  const { conversations, faults, roomFaults, settings, webhooks, rooms } = deps;

  app.get('/state', async () => stateBody({ ...deps, nowMs: deps.clock.now() }));

  app.get<WithId>('/conversations/:id/heard.wav', async (request, reply) => {
    const { id } = request.params;
    const recording = (await conversations.known(id)?.recording()) ?? conversations.recordings.get(id);
    if (recording === undefined) return reply.code(404).send({ error: 'no replica has heard anything there' });
    return reply.type('audio/wav').send(recording.heard);
  });

  app.get<WithId>('/conversations/:id/messages', async (request, reply) => {
    const conversation = conversations.known(request.params.id);
    if (conversation === undefined) return reply.code(404).send({ error: 'no such conversation' });
    const recording = (await conversation.recording()) ?? conversations.recordings.get(request.params.id);
    return reply.send(recording?.messages ?? []);
  });

  app.get('/faults', async () => ({ armed: faults.list(), known: FAULT_NAMES }));

  app.post('/faults', async (request, reply) => {
    const parsed = FaultRequest.safeParse(request.body);
    if (!parsed.success) return refuse(reply, parsed.error, FAULT_NAMES);
    return { struck: roomFaults.arm(parsed.data), armed: faults.list() };
  });

  app.delete('/faults', async (_request, reply) => {
    roomFaults.clear();
    return reply.code(204).send();
  });

  app.get('/settings', async () => settings.current);

  app.post('/settings', async (request, reply) => {
    const parsed = SettingsPatch.safeParse(request.body);
    if (!parsed.success) return refuse(reply, parsed.error, Object.keys(defaultSettings));
    if (parsed.data.ghostLingerMs !== undefined) rooms.setLinger(parsed.data.ghostLingerMs);
    return settings.change(parsed.data);
  });

  app.get('/webhooks', async () => webhooks.counters);
}

/** 400 that names every bad field and lists the words that would have been known. */
function refuse(reply: FastifyReply, error: z.ZodError, known: readonly string[]): FastifyReply {
  const fields = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: key, problem: 'unknown' }))
      : [{ field: issue.path.join('.') || 'body', problem: issue.message }],
  );
  return reply.code(400).send({
    error: fields.map((one) => `${one.field}: ${one.problem}`).join('; '),
    field: fields[0]?.field,
    fields,
    known,
  });
}
