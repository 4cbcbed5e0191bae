import { FakeClock } from '@tavus-fleet/lifecycle';
import { z } from 'zod';
import { buildApp } from '../app.ts';
import type { SimSettings } from '../settings.ts';
import { FakeReplicas, FakeRooms } from './fakes.ts';
import { createSimulator } from './simulator.ts';

const Created = z.looseObject({ conversation_id: z.string(), conversation_url: z.string() });
const State = z
  .object({
    conversations: z.array(
      z
        .object({
          id: z.string(),
          name: z.string(),
          status: z.string(),
          createdAt: z.string(),
          endedAt: z.string().nullable(),
          endedBy: z.string().nullable(),
          calls: z.array(
            z
              .object({ route: z.string(), at: z.string(), epoch: z.union([z.number(), z.string()]).nullable() })
              .strict(),
          ),
        })
        .strict(),
    ),
    rooms: z.array(
      z
        .object({
          name: z.string(),
          participants: z.array(
            z
              .object({
                sessionId: z.string(),
                userName: z.string(),
                userData: z.unknown(),
                tracks: z.array(z.string()),
              })
              .strict(),
          ),
        })
        .strict(),
    ),
    billing: z.object({ seconds: z.number(), unended: z.array(z.string()) }).strict(),
  })
  .strict();

/** A whole simulator on fake rooms, replicas and time, and the few words a test needs to speak to it. */
export function testWorld(settings: Partial<SimSettings> = {}) {
  const clock = new FakeClock();
  const rooms = new FakeRooms();
  const replicas = new FakeReplicas(rooms);
  const warnings: string[] = [];
  const simulator = createSimulator({
    clock,
    rooms,
    replicas,
    log: { info: () => {}, warn: (values, message) => void warnings.push(`${message} ${JSON.stringify(values)}`) },
    settings: { createLatencyMs: 0, ...settings },
  });
  const app = buildApp(simulator);

  const call = async (
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const response = await app.inject({
      method,
      url,
      headers: {
        host: 'localhost',
        'x-api-key': 'key',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    // Bodies are read as whatever they are; each test says what it expects.
    const json: unknown =
      response.body === '' || response.headers['content-type']?.includes('json') !== true ? undefined : response.json();
    return { status: response.statusCode, body: json, text: response.body, headers: response.headers };
  };
  /** Creates a conversation; returns its id. */
  const create = async (body: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<string> => {
    const { body: created } = await call(
      'POST',
      '/v2/conversations',
      { replica_id: 'r1', persona_id: 'pipecat-stream', ...body },
      headers,
    );
    return Created.parse(created).conversation_id;
  };
  const state = async () => State.parse((await call('GET', '/sim/state')).body);
  const endedBy = async (id: string) => (await state()).conversations.find((one) => one.id === id)?.endedBy;
  const fault = async (body: Record<string, unknown>) => (await call('POST', '/sim/faults', body)).body;
  return { clock, rooms, replicas, simulator, app, warnings, call, create, state, endedBy, fault };
}
